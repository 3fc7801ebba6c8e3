package fabric

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"cloister.dev/cloister/internal/netplan"
)

// legacy is the program of hosts whose iptables is the kernel's older packet filter, of which nft knows nothing.
const legacy = "iptables-legacy"

// legacyObstacles looks at that filter, if it is in use. Listing it would load it otherwise.
func (f *Fabric) legacyObstacles(ctx context.Context) ([]Obstacle, error) {
	var out bytes.Buffer
	err := inNamespace(f.host, func() error {
		tables, err := os.ReadFile("/proc/thread-self/net/ip_tables_names")
		if err != nil || !slices.Contains(strings.Fields(string(tables)), "filter") {
			return nil //nolint:nilerr // a kernel without it
		}
		program, err := exec.LookPath(legacy)
		if err != nil {
			return nil //nolint:nilerr // nothing here could have made rules
		}
		cmd := exec.CommandContext(ctx, program, "-S")
		cmd.Stdout = &out
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s -S: %w", legacy, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return legacyRules(out.String()), nil
}

// legacyRules reads what iptables -S prints.
func legacyRules(text string) []Obstacle {
	drops, in, back := false, false, false
	var chains []string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		has := func(words ...string) bool {
			return strings.Contains(" "+strings.Join(f, " ")+" ", " "+strings.Join(words, " ")+" ")
		}
		answers := strings.Contains(line, "ESTABLISHED")
		switch {
		case has("-P", "FORWARD", "DROP"):
			drops = true
		case len(f) == 2 && f[0] == "-N":
			chains = append(chains, f[1])
		case !has("-j", "ACCEPT") || has("!"):
		case has("-i", netplan.HostLink):
			in = in || !answers
		case has("-o", netplan.HostLink) && !has("-i"), answers && !has("-o") && !has("-i"):
			back = true
		}
	}
	if !drops || in && back {
		return nil
	}
	o := advise(&chainJSON{Family: "ip", Table: "filter", Name: "FORWARD"}, chains)
	o.Chain = "FORWARD (" + legacy + ")"
	for i, line := range o.Lines {
		o.Lines[i] = strings.Replace(line, "iptables ", legacy+" ", 1)
	}
	return []Obstacle{o}
}
