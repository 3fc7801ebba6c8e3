// Package resourceid parses and builds ARM resource ids.
//
// An id is compared without regard to case and shown as it was written:
// https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
package resourceid

import (
	"fmt"
	"strings"
)

// ID is a parsed id of a subscription, a resource group, a resource or an
// extension resource (a resource on a scope that is an id itself).
type ID struct {
	raw       string
	Scope     string   // what stands before the last /providers/: a subscription, a group, a resource, "" for the tenant
	Namespace string   // Microsoft.Network; empty for a subscription or a group
	Types     []string // virtualNetworks, subnets
	Names     []string // vnet1, default
}

// Parse reads an id. Empty segments (`//`) are dropped and a trailing slash is ignored.
// The number of types and names may differ by one: then the id is of a collection, and has no last name.
func Parse(s string) (ID, error) {
	segs := make([]string, 0, strings.Count(s, "/")+1)
	for seg := range strings.SplitSeq(s, "/") {
		if seg != "" {
			segs = append(segs, seg)
		}
	}
	id := ID{raw: "/" + strings.Join(segs, "/")}
	last := -1
	for i, seg := range segs {
		if strings.EqualFold(seg, "providers") {
			last = i
		}
	}
	if last < 0 {
		id.Scope = id.raw
		if len(segs) == 0 {
			id.Scope, id.raw = "", "/"
			return id, nil
		}
		if !strings.EqualFold(segs[0], "subscriptions") && !strings.EqualFold(segs[0], "tenants") {
			return ID{}, fmt.Errorf("resource id %q: does not begin with /subscriptions/", s)
		}
		if len(segs) > 2 && !strings.EqualFold(segs[2], "resourceGroups") {
			return ID{}, fmt.Errorf("resource id %q: after the subscription, resourceGroups or providers must follow", s)
		}
		if len(segs) > 4 {
			return ID{}, fmt.Errorf("resource id %q: after the resource group, providers must follow", s)
		}
		return id, nil
	}
	if last > 0 {
		id.Scope = "/" + strings.Join(segs[:last], "/")
	}
	rest := segs[last+1:]
	if len(rest) == 0 {
		return ID{}, fmt.Errorf("resource id %q: no namespace after providers", s)
	}
	id.Namespace = rest[0]
	id.Types, id.Names = make([]string, 0, len(rest)/2), make([]string, 0, len(rest)/2)
	for i, seg := range rest[1:] {
		if i%2 == 0 {
			id.Types = append(id.Types, seg)
		} else {
			id.Names = append(id.Names, seg)
		}
	}
	return id, nil
}

// MustParse is Parse for ids that the program made itself.
func MustParse(s string) ID {
	id, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return id
}

// String is the id as it was written, without empty segments.
func (id ID) String() string { return id.raw }

// Key is the id in lower case: equal for equal ids.
func (id ID) Key() string { return strings.ToLower(id.raw) }

// Type is the resource type, Microsoft.Network/virtualNetworks/subnets; of a
// group Microsoft.Resources/resourceGroups, of a subscription Microsoft.Resources/subscriptions.
func (id ID) Type() string {
	if id.Namespace == "" {
		if id.ResourceGroup() != "" {
			return "Microsoft.Resources/resourceGroups"
		}
		return "Microsoft.Resources/subscriptions"
	}
	return strings.Join(append([]string{id.Namespace}, id.Types...), "/")
}

// Name is the last name; empty for the id of a collection.
func (id ID) Name() string {
	if id.Namespace == "" {
		return id.raw[strings.LastIndex(id.raw, "/")+1:]
	}
	if len(id.Names) == 0 || len(id.Names) < len(id.Types) {
		return ""
	}
	return id.Names[len(id.Names)-1]
}

// IsCollection tells whether the last segment is a type.
func (id ID) IsCollection() bool { return id.Namespace != "" && len(id.Types) > len(id.Names) }

// Subscription is the subscription's GUID as written, or "".
func (id ID) Subscription() string { return id.segment(0, "subscriptions") }

// ResourceGroup is the group's name as written, or "".
func (id ID) ResourceGroup() string { return id.segment(2, "resourceGroups") }

func (id ID) segment(i int, name string) string {
	segs := strings.Split(strings.TrimPrefix(id.raw, "/"), "/")
	if len(segs) > i+1 && strings.EqualFold(segs[i], name) {
		return segs[i+1]
	}
	return ""
}

// Group is the id of the resource group that the id is in; the zero ID if it is in none.
func (id ID) Group() ID {
	if id.ResourceGroup() == "" {
		return ID{}
	}
	return MustParse("/subscriptions/" + id.Subscription() + "/resourceGroups/" + id.ResourceGroup())
}

// Parent is the resource that contains this one: the parent type's resource,
// or the scope (group, subscription, or the resource that an extension is on).
func (id ID) Parent() ID {
	if id.Namespace == "" {
		if id.ResourceGroup() != "" {
			return MustParse("/subscriptions/" + id.Subscription())
		}
		return ID{raw: "/"}
	}
	if len(id.Types) > 1 {
		n := 1
		if !id.IsCollection() {
			n = 2
		}
		i := len(id.raw)
		for range n {
			i = strings.LastIndex(id.raw[:i], "/")
		}
		return MustParse(id.raw[:i])
	}
	if id.Scope == "" {
		return ID{raw: "/"}
	}
	return MustParse(id.Scope)
}

// Child is the id of a resource of a child type: Child("subnets", "default").
func (id ID) Child(typ, name string) ID { return MustParse(id.raw + "/" + typ + "/" + name) }

// Resource is the id of a resource on this scope: Resource("Microsoft.Network/virtualNetworks", "v").
func (id ID) Resource(typ, name string) ID {
	return MustParse(id.raw + "/providers/" + typ + "/" + name)
}

// IsZero tells an ID that was never set.
func (id ID) IsZero() bool { return id.raw == "" }
