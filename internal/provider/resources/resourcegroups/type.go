// Package resourcegroups is Microsoft.Resources/resourceGroups: what is in a group is
// deleted with it. The kernel keeps the order.
// https://learn.microsoft.com/rest/api/resources/resource-groups
package resourcegroups

import (
	"context"
	"regexp"

	"cloister.dev/cloister/internal/arm"
)

// Name is the resource type.
const Name = "Microsoft.Resources/resourceGroups"

// New is the type.
func New() *arm.Type {
	return &arm.Type{
		Name: Name, Tracked: true, Async: true,
		APIVersions: []string{"2025-04-01", "2024-11-01", "2024-03-01", "2023-07-01", "2022-09-01", "2021-04-01", "2020-06-01", "2019-10-01", "2018-05-01", "2016-06-01"},
		Names:       regexp.MustCompile(`^[\p{L}\p{N}_().-]{0,89}[\p{L}\p{N}_()-]$`),
		NameRule:    "1 to 90 letters, digits, '_', '-', '.', '(' and ')', and no '.' at the end",
		Release:     release, View: view, ViewAlone: true,
	}
}

// release refuses to delete the group of another resource, a cluster's MC_ group, as long as that one is there.
func release(ctx context.Context, w *arm.Write) error {
	manager := w.Old.ManagedBy
	if manager == "" || w.Principal.System {
		return nil
	}
	owner, err := w.Read.Get(ctx, manager)
	if arm.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !owner.Deleting {
		w.Problems = append(w.Problems, arm.Conflict("ResourceGroupManagedByAnotherResource",
			"The resource group '%s' belongs to '%s' and cannot be deleted by itself. Delete that resource: the group goes with it.", w.Old.Name, owner.ID))
	}
	return nil
}

// view shows a group as Azure does: without etag, with managedBy also where nothing manages it.
func view(_ context.Context, r *arm.Resource, doc map[string]any) error {
	delete(doc, "etag")
	doc["managedBy"] = nil
	if r.ManagedBy != "" {
		doc["managedBy"] = r.ManagedBy
	}
	if doc["tags"] == nil {
		doc["tags"] = map[string]any{}
	}
	return nil
}
