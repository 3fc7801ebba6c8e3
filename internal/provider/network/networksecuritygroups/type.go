// Package networksecuritygroups is Microsoft.Network/networkSecurityGroups and their
// securityRules: which connections machines may make and take.
// https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview
package networksecuritygroups

import (
	"context"
	"regexp"
	"sort"
	"strings"

	"github.com/google/uuid"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/provider/network/kit"
)

var (
	names    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?$`)
	nameRule = "1 to 80 letters, digits, '_', '.' and '-', beginning with a letter or digit and ending with one or '_'"
)

// Types are the group and its rules.
func Types(d kit.Deps) []*arm.Type {
	t := typ{d}
	return []*arm.Type{
		{
			Name: kit.GroupType, APIVersions: kit.APIVersions, Tracked: true, Names: names, NameRule: nameRule,
			Admit: t.admit, Release: t.release, View: t.view,
			DeleteAfter: []string{kit.InterfaceType, kit.NetworkType, kit.MachineType, kit.ScaleSetType, kit.ClusterType},
		},
		{
			Name: kit.RuleType, APIVersions: kit.APIVersions, Names: names, NameRule: nameRule,
			Admit: t.admitRule, Release: t.releaseRule,
		},
	}
}

type typ struct{ kit.Deps }

func (t typ) admit(ctx context.Context, w *arm.Write) error {
	props := kit.Props(w.New)
	if !kit.CheckKinds(w, props, "properties.", map[string]kit.Kind{"securityRules": kit.Objects, "flushConnection": kit.Boolean}) {
		return nil
	}
	for _, computed := range []string{"defaultSecurityRules", "networkInterfaces", "subnets", "flowLogs", "resourceGuid"} {
		delete(props, computed)
	}
	props["resourceGuid"] = uuid.NewString()
	if w.Old != nil {
		props["resourceGuid"] = kit.Props(w.Old)["resourceGuid"]
	}
	return writeRules(ctx, w, props)
}

// release refuses to delete a group that is used: by interfaces and subnets, which are noted in
// it, and by machines of scale sets, whose interfaces are no resources.
func (t typ) release(ctx context.Context, w *arm.Write) error {
	users := kit.Users(w.Old)
	owners, err := interfaceOwners(ctx, t.Store, w.ID.Key())
	if err != nil {
		return err
	}
	for _, o := range owners {
		if !containsFold(users, o) {
			users = append(users, o)
		}
	}
	if len(users) > 0 {
		w.Fail("InUseNetworkSecurityGroupCannotBeDeleted", "", "Network security group %s cannot be deleted because it is in use by the following resources: %s. In order to delete the network security group, remove the association with the resources.", w.Old.ID, strings.Join(users, ", "))
	}
	return nil
}

func containsFold(list []string, s string) bool {
	for _, e := range list {
		if strings.EqualFold(e, s) || strings.HasPrefix(strings.ToLower(e), strings.ToLower(s)+"/") {
			return true
		}
	}
	return false
}

// view embeds the rules, Azure's default ones, and who uses the group.
func (t typ) view(ctx context.Context, r *arm.Resource, doc map[string]any) error {
	props := kit.Doc(doc).Sub("properties")
	rules, err := t.Read().Below(ctx, r.ID, kit.RuleType)
	if err != nil {
		return err
	}
	sort.SliceStable(rules, func(i, j int) bool { return kit.Props(rules[i]).Int("priority") < kit.Props(rules[j]).Int("priority") })
	list := []any{}
	for _, rule := range rules {
		sub, _ := kit.Clone(rule.Body).(map[string]any)
		kit.Doc(sub).Sub("properties")["provisioningState"] = rule.State
		sub["id"], sub["name"], sub["type"], sub["etag"] = rule.ID, rule.Name, rule.Type, rule.ETag()
		list = append(list, sub)
	}
	props["securityRules"], props["defaultSecurityRules"] = list, defaultRules(r)
	var nics, nets []string
	for _, u := range kit.Users(r) {
		if strings.Contains(strings.ToLower(u), "/subnets/") {
			nets = append(nets, u)
		} else {
			nics = append(nics, u)
		}
	}
	if len(nics) > 0 {
		props["networkInterfaces"] = kit.Refs(nics)
	}
	if len(nets) > 0 {
		props["subnets"] = kit.Refs(nets)
	}
	return nil
}
