package fabric

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"cloister.dev/cloister/internal/netplan"
)

// Obstacle is a packet filter of somebody else that drops what networks send to the world and what comes
// back. A chain of Cloister's own cannot help: a packet passes only if every chain lets it. So that the
// owner has to, and Lines is how.
type Obstacle struct {
	Chain string   // family, table and chain
	Owner string   // whose it is, if that can be seen: Docker, ufw; or ""
	Lines []string // commands that let the networks' packets through, and nothing else
}

func (o Obstacle) String() string {
	owner := o.Owner
	if owner != "" {
		owner = " of " + owner
	}
	return fmt.Sprintf("The chain %s%s drops forwarded packets: virtual networks have no way out until you run\n%s\n(everything inside of networks works without; see docs/host.md)", o.Chain, owner, "    "+strings.Join(o.Lines, "\n    "))
}

// Obstacles lists the host's chains that drop forwarded packets by policy and have no rules that let
// Cloister's through. It changes nothing.
func (f *Fabric) Obstacles(ctx context.Context) ([]Obstacle, error) {
	var out bytes.Buffer
	if err := f.run(ctx, netplan.HostNS, nil, &out, "--json", "--stateless", "list", "ruleset"); err != nil {
		return nil, err
	}
	found, err := obstacles(out.Bytes())
	if err != nil {
		return nil, err
	}
	older, err := f.legacyObstacles(ctx)
	return append(found, older...), err
}

// ruleset is what `nft --json list ruleset` prints (libnftables-json(5)).
type ruleset struct {
	Nftables []struct {
		Chain *chainJSON
		Rule  *ruleJSON
	}
}

type chainJSON struct{ Family, Table, Name, Hook, Policy string }

type ruleJSON struct {
	Family, Table, Chain string
	Expr                 []map[string]json.RawMessage
}

func obstacles(text []byte) ([]Obstacle, error) {
	var all ruleset
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("nft's list of rules: %w", err)
	}
	var out []Obstacle
	for _, x := range all.Nftables {
		c := x.Chain
		if c == nil || c.Hook != "forward" || c.Policy != "drop" || c.Family != "ip" && c.Family != "inet" || c.Table == netplan.Table {
			continue
		}
		var chains []string
		in, back := false, false
		for _, y := range all.Nftables {
			if y.Chain != nil && y.Chain.Family == c.Family && y.Chain.Table == c.Table {
				chains = append(chains, y.Chain.Name)
			}
			if y.Rule != nil && y.Rule.Family == c.Family && y.Rule.Table == c.Table {
				i, b := y.Rule.lets()
				in, back = in || i, back || b
			}
		}
		if in && back {
			continue
		}
		out = append(out, advise(c, chains))
	}
	return out, nil
}

// lets tells whether the rule accepts what comes from Cloister's link, and what goes to it in answer.
func (r *ruleJSON) lets() (in, back bool) {
	accepts, from, to, answers := false, "", "", false
	for _, e := range r.Expr {
		for kind, raw := range e {
			switch kind {
			case "accept":
				accepts = true
			case "match":
				var m struct {
					Left struct {
						Meta *struct{ Key string }
						Ct   *struct{ Key string }
					}
					Op    string
					Right any
				}
				if json.Unmarshal(raw, &m) != nil {
					continue
				}
				name := nameIn(m.Right)
				if m.Op == "!=" {
					name = "not " + name
				}
				switch {
				case m.Left.Meta != nil && m.Left.Meta.Key == "iifname":
					from = name
				case m.Left.Meta != nil && m.Left.Meta.Key == "oifname":
					to = name
				case m.Left.Ct != nil && m.Left.Ct.Key == "state":
					answers = true
				}
			case "xt": // a match of iptables; nft knows its name only
				answers = answers || bytes.Contains(raw, []byte(`"conntrack"`)) || bytes.Contains(raw, []byte(`"state"`))
			}
		}
	}
	if !accepts {
		return false, false
	}
	return from == netplan.HostLink && !answers, from == "" && (to == netplan.HostLink || to == "" && answers)
}

// nameIn is the link that a rule names; of a set Cloister's, if it is in it.
func nameIn(right any) string {
	switch v := right.(type) {
	case string:
		return v
	case map[string]any:
		if list, ok := v["set"].([]any); ok && slices.Contains(list, any(netplan.HostLink)) {
			return netplan.HostLink
		}
	}
	return "another"
}

// advise says what the owner of the chain has for such rules: a place that its program leaves alone.
func advise(c *chainJSON, chains []string) Obstacle {
	o := Obstacle{Chain: c.Family + " " + c.Table + " " + c.Name}
	iptables := func(chain string) []string {
		return []string{
			"iptables -I " + chain + " -i " + netplan.HostLink + " -j ACCEPT",
			"iptables -I " + chain + " -o " + netplan.HostLink + " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
		}
	}
	switch {
	case slices.Contains(chains, "DOCKER-USER"): // before ufw: Docker puts its jump at the begin of the chain
		o.Owner, o.Lines = "Docker", iptables("DOCKER-USER")
	case slices.Contains(chains, "ufw-user-forward"):
		o.Owner, o.Lines = "ufw", []string{"ufw route allow in on " + netplan.HostLink}
	case c.Family == "ip" && c.Table == "filter" && c.Name == "FORWARD":
		o.Lines = iptables("FORWARD")
	default:
		rule := "nft insert rule " + o.Chain
		o.Lines = []string{rule + " iifname " + netplan.HostLink + " accept", rule + " oifname " + netplan.HostLink + " ct state established,related accept"}
	}
	return o
}
