package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"cloister.dev/cloister/internal/arm"
	"cloister.dev/cloister/internal/store"
	"cloister.dev/cloister/internal/store/storetest"
)

func TestMatchAction(t *testing.T) {
	for _, c := range []struct {
		pattern, action string
		want            bool
	}{
		{"*", "Microsoft.Network/virtualNetworks/write", true},
		{"*/read", "microsoft.network/virtualnetworks/READ", true},
		{"*/read", "Microsoft.Network/virtualNetworks/write", false},
		{"Microsoft.Network/*", "Microsoft.Network/virtualNetworks/subnets/join/action", true},
		{"Microsoft.Network/*", "Microsoft.NetworkX/virtualNetworks/read", false},
		{"Microsoft.Authorization/*/Write", "Microsoft.Authorization/roleAssignments/write", true},
		{"Microsoft.Authorization/*/Write", "Microsoft.Authorization/roleAssignments/read", false},
		{"Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action", "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", true},
		{"Microsoft.Compute/disks/read", "Microsoft.Compute/disks/read", true},
		{"Microsoft.Compute/disks/read", "Microsoft.Compute/disks/read/x", false},
		{"a*b*c", "a/b/b/c", true},
		{"a*b*c", "a/c", false},
		{"ab*ba", "aba", false},
	} {
		if got := MatchAction(c.pattern, c.action); got != c.want {
			t.Errorf("MatchAction(%q, %q) = %v", c.pattern, c.action, got)
		}
	}
}

const (
	subscription = "/subscriptions/22222222-2222-2222-2222-222222222222"
	group        = subscription + "/resourceGroups/rg"
	vnet         = group + "/providers/Microsoft.Network/virtualNetworks/v"
	zone         = group + "/providers/Microsoft.Network/privateDnsZones/z.example"
	cluster      = group + "/providers/Microsoft.ContainerService/managedClusters/c"
)

// assign gives a built-in role and returns who has it.
func (f *facts) assign(t *testing.T, scope, role string) string {
	t.Helper()
	who := newID()
	f.put(t, NewAssignment(scope, newID(), role, who, KindUser, time.Now()))
	return who
}

func (f *facts) put(t *testing.T, r *arm.Resource) string {
	t.Helper()
	tx := &store.Tx{}
	arm.Put(tx, r)
	e := store.Event{Doc: store.Doc{Key: tx.Changes[0].Key, Value: tx.Changes[0].Value}}
	if err := f.apply(e); err != nil {
		t.Fatal(err)
	}
	return e.Key
}

func TestBuiltInRoles(t *testing.T) {
	for _, c := range []struct {
		role, at, action, scope string
		want                    bool
	}{
		{RoleOwner, "", "Microsoft.Authorization/roleAssignments/write", subscription, true},
		{RoleOwner, subscription, "Microsoft.Network/virtualNetworks/delete", strings.ToUpper(vnet), true},
		{RoleOwner, subscription, "Microsoft.Network/virtualNetworks/delete", "/", false},
		{RoleOwner, group, "Microsoft.Resources/subscriptions/resourceGroups/write", subscription + "/resourceGroups/rg2", false},
		{RoleOwner, group, "Microsoft.Network/virtualNetworks/read", subscription + "/resourceGroups/RG/providers/Microsoft.Network/virtualNetworks/v", true},
		{RoleContributor, subscription, "Microsoft.ContainerService/managedClusters/write", cluster, true},
		{RoleContributor, subscription, "Microsoft.Authorization/roleAssignments/write", cluster, false},
		{RoleContributor, subscription, "Microsoft.Authorization/roleAssignments/delete", cluster, false},
		{RoleContributor, subscription, "Microsoft.Authorization/roleAssignments/read", cluster, true},
		{RoleReader, subscription, "Microsoft.Network/virtualNetworks/read", vnet, true},
		{RoleReader, subscription, "Microsoft.Network/virtualNetworks/write", vnet, false},
		{RoleReader, subscription, "Microsoft.ContainerService/managedClusters/listClusterAdminCredential/action", cluster, false},
		{RoleUserAccessAdministrator, group, "Microsoft.Authorization/roleAssignments/write", vnet, true},
		{RoleUserAccessAdministrator, group, "Microsoft.Network/virtualNetworks/write", vnet, false},
		{RoleNetworkContributor, vnet + "/subnets/s", "Microsoft.Network/virtualNetworks/subnets/join/action", vnet + "/subnets/s", true},
		{RoleNetworkContributor, vnet + "/subnets/s", "Microsoft.Network/virtualNetworks/subnets/join/action", vnet + "/subnets/s2", false},
		{RoleNetworkContributor, vnet + "/subnets/s", "Microsoft.Network/virtualNetworks/subnets/join/action", vnet, false},
		{RolePrivateDNSZoneContributor, zone, "Microsoft.Network/privateDnsZones/A/write", zone + "/A/host", true},
		{RolePrivateDNSZoneContributor, group, "Microsoft.Network/virtualNetworks/write", vnet, false},
		{RoleManagedIdentityOperator, group, "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i", true},
		{RoleManagedIdentityOperator, group, "Microsoft.ManagedIdentity/userAssignedIdentities/write", group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i", false},
		{RoleAKSClusterUser, cluster, "Microsoft.ContainerService/managedClusters/listClusterUserCredential/action", cluster, true},
		{RoleAKSClusterUser, cluster, "Microsoft.ContainerService/managedClusters/listClusterAdminCredential/action", cluster, false},
		{RoleAKSClusterAdmin, cluster, "Microsoft.ContainerService/managedClusters/listClusterAdminCredential/action", cluster, true},
		{"b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b", cluster, "Microsoft.ContainerService/managedClusters/pods/read", cluster, false}, // data, not control
		{"00000000-0000-0000-0000-000000000000", subscription, "Microsoft.Network/virtualNetworks/read", vnet, false},
	} {
		f := newFacts()
		who := f.assign(t, c.at, c.role)
		if got := f.allowed(who, strings.ToLower(c.action), normalScope(c.scope)); got != c.want {
			t.Errorf("%s at %q: %s on %s: %v", f.name(c.role), c.at, c.action, c.scope, got)
		}
		if f.allowed(newID(), strings.ToLower(c.action), normalScope(c.scope)) {
			t.Errorf("somebody else may %s", c.action)
		}
	}
}

func (f *facts) name(role string) string {
	if r := f.roles[role]; r != nil {
		return r.Name
	}
	return role
}

func TestScopesAreWholeNames(t *testing.T) {
	f := newFacts()
	who := f.assign(t, group, RoleOwner)
	for scope, want := range map[string]bool{
		group: true, group + "/": true, group + "//providers/a/b/c": true, "//" + group[1:]: true,
		group + "2": false, group + "2/providers/a/b/c": false, subscription: false, "/": false, "": false, "/x" + group: false,
	} {
		if got := f.allowed(who, "a/b/read", normalScope(scope)); got != want {
			t.Errorf("%q: %v", scope, got)
		}
	}
}

func TestGroupsNested(t *testing.T) {
	f := newFacts()
	inner, outer, user := newID(), newID(), newID()
	member := func(id string, members ...string) {
		doc := fmt.Sprintf(`{"id":%q,"kind":"Group","members":["%s"]}`, id, strings.Join(members, `","`))
		if err := f.apply(store.Event{Doc: store.Doc{Key: keyPrincipals + id, Value: []byte(doc)}}); err != nil {
			t.Fatal(err)
		}
	}
	member(inner, user)
	member(outer, inner, outer) // a group in itself does no harm
	f.put(t, NewAssignment(subscription, newID(), RoleReader, outer, KindGroup, time.Now()))
	if !f.allowed(user, "a/b/read", normalScope(group)) {
		t.Fatal("a role of the outer group does not reach the user")
	}
	member(inner)
	if f.allowed(user, "a/b/read", normalScope(group)) {
		t.Fatal("the user left and still has the role")
	}
}

func TestAssignmentsComeAndGo(t *testing.T) {
	f := newFacts()
	who := newID()
	one := NewAssignment(subscription, newID(), RoleReader, who, KindUser, time.Now())
	two := NewAssignment(subscription, newID(), RoleReader, who, KindUser, time.Now())
	keys := []string{f.put(t, one), f.put(t, two)}
	conditional := NewAssignment(subscription, newID(), RoleOwner, who, KindUser, time.Now())
	conditional.Properties()["condition"] = "@Resource[a] == 'b'"
	f.put(t, conditional)
	may := func(action string) bool { return f.allowed(who, action, normalScope(group)) }
	if !may("a/b/read") || may("a/b/write") {
		t.Fatal("reader does not read, or a conditional owner writes")
	}
	for i, key := range keys {
		if err := f.apply(store.Event{Doc: store.Doc{Key: key}, Deleted: true}); err != nil {
			t.Fatal(err)
		}
		if may("a/b/read") != (i == 0) {
			t.Fatalf("after %d deletions: %v", i+1, may("a/b/read"))
		}
	}
	if len(f.held) != 0 {
		t.Fatalf("left over: %v", f.held)
	}
}

func TestCustomRole(t *testing.T) {
	f := newFacts()
	id, who := newID(), newID()
	key := f.put(t, &arm.Resource{
		ID: subscription + "/providers/" + TypeRole + "/" + id, Type: TypeRole, Name: id,
		Body: map[string]any{"properties": map[string]any{"roleName": "restarter", "permissions": []any{map[string]any{"actions": []any{"Microsoft.Compute/*/restart/action"}}}}},
	})
	f.put(t, NewAssignment(group, newID(), id, who, KindUser, time.Now()))
	may := func() bool {
		return f.allowed(who, "microsoft.compute/virtualmachines/restart/action", normalScope(group))
	}
	if !may() {
		t.Fatal("the custom role allows nothing")
	}
	if err := f.apply(store.Event{Doc: store.Doc{Key: key}, Deleted: true}); err != nil || may() {
		t.Fatalf("the deleted role still allows: %v", err)
	}
	shadow := &arm.Resource{ID: subscription + "/providers/" + TypeRole + "/" + RoleReader, Type: TypeRole, Name: RoleReader, Body: map[string]any{"properties": map[string]any{"permissions": []any{map[string]any{"actions": []any{"*"}}}}}}
	f.put(t, shadow)
	reader := f.assign(t, group, RoleReader)
	if f.allowed(reader, "a/b/write", normalScope(group)) {
		t.Fatal("a custom role took a built-in role's place")
	}
}

func TestAuthorizerFollowsTheStore(t *testing.T) {
	st := storetest.New(t)
	a, err := OpenAuthorizer(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = a.Follow(t.Context()) }()
	p := arm.Principal{ObjectID: newID(), AppID: newID(), Name: "app", Kind: KindServicePrincipal}
	err = a.Authorize(t.Context(), p, "Microsoft.Network/virtualNetworks/read", vnet)
	var e *arm.Error
	if !errors.As(err, &e) || e.Status != 403 || e.Code != "AuthorizationFailed" || !strings.HasPrefix(e.Message, "The client '"+p.AppID+"' with object id '"+p.ObjectID+"' does not have authorization to perform action 'Microsoft.Network/virtualNetworks/read' over scope '"+vnet+"'") {
		t.Fatalf("got %v", err)
	}
	if err := a.Authorize(t.Context(), arm.Principal{System: true}, "a/b/write", "/"); err != nil {
		t.Fatal(err)
	}
	r := NewAssignment(group, newID(), RoleReader, p.ObjectID, KindServicePrincipal, time.Now())
	tx := &store.Tx{}
	arm.Put(tx, r)
	if _, err := st.Commit(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return a.Authorize(t.Context(), p, "Microsoft.Network/virtualNetworks/read", vnet) == nil })
	if !a.SeesBelow(p.ObjectID, subscription) || a.SeesBelow(p.ObjectID, subscription+"3") || !a.SeesBelow(p.ObjectID, "/") {
		t.Error("SeesBelow is wrong")
	}
	if got := a.Permissions(p.ObjectID, vnet); len(got) != 1 || got[0].Actions[0] != "*/read" {
		t.Errorf("permissions %v", got)
	}
	if _, err := st.Commit(t.Context(), (&store.Tx{}).Delete(arm.Key(r.ID))); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return a.Authorize(t.Context(), p, "Microsoft.Network/virtualNetworks/read", vnet) != nil })
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatal("it did not come about in 20 s")
		case <-tick.C:
		}
	}
}

func BenchmarkAuthorize(b *testing.B) {
	f := newFacts()
	who := newID()
	for i := range 1000 {
		f.assignBench(b, fmt.Sprintf("%s%d", group, i), newID())
	}
	f.assignBench(b, subscription, who)
	a := &Authorizer{facts: f}
	p := arm.Principal{ObjectID: who}
	for b.Loop() {
		if err := a.Authorize(b.Context(), p, "Microsoft.Network/virtualNetworks/subnets/join/action", vnet+"/subnets/s"); err != nil {
			b.Fatal(err)
		}
	}
}

func (f *facts) assignBench(b *testing.B, scope, who string) {
	b.Helper()
	tx := &store.Tx{}
	arm.Put(tx, NewAssignment(scope, newID(), RoleContributor, who, KindUser, time.Now()))
	if err := f.apply(store.Event{Doc: store.Doc{Key: tx.Changes[0].Key, Value: tx.Changes[0].Value}}); err != nil {
		b.Fatal(err)
	}
}
