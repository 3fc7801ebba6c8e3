package arm

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/store"
)

// defaultNames is what most resources may be named:
// https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
var defaultNames = regexp.MustCompile(`^[\p{L}\p{N}_.()-]{1,80}$`)

const defaultNameRule = "1 to 80 letters, digits, '-', '_', '.', '(' and ')', and no '.' at the end"

func checkName(w *Write, t *Type) {
	name, rule := w.ID.Name(), t.NameRule
	var ok bool
	if t.Names != nil {
		ok = t.Names.MatchString(name)
		if rule == "" {
			rule = "what matches " + t.Names.String()
		}
	} else {
		ok, rule = defaultNames.MatchString(name) && !strings.HasSuffix(name, "."), defaultNameRule
	}
	if !ok {
		w.Fail("InvalidResourceName", "name", "The name '%s' is not one for %s. Allowed: %s.", printable(name), t.Name, rule)
	}
}

// Limits of tags: https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources#limitations
const (
	maxTags     = 50
	maxTagName  = 512
	maxTagValue = 256
)

func checkTags(w *Write) {
	raw, ok := w.New.Body["tags"]
	if !ok || raw == nil {
		return
	}
	tags, ok := raw.(map[string]any)
	if !ok {
		w.Fail("InvalidTagsFormat", "tags", "'tags' must be a JSON object of names and text values.")
		return
	}
	if len(tags) > maxTags {
		w.Fail("TooManyTags", "tags", "The resource has %d tags. At most %d are allowed.", len(tags), maxTags)
	}
	names := make([]string, 0, len(tags))
	seen := map[string]string{}
	for name := range tags {
		names = append(names, name)
	}
	for _, name := range sorted(names) {
		if other, ok := seen[strings.ToLower(name)]; ok {
			w.Fail("DuplicateTagName", "tags", "The tags '%s' and '%s' differ in case only.", printable(other), printable(name))
		}
		seen[strings.ToLower(name)] = name
		value, text := tags[name].(string)
		switch {
		case name == "" || utf8.RuneCountInString(name) > maxTagName || strings.ContainsAny(name, `<>%&\?/`):
			w.Fail("InvalidTagName", "tags", "The tag name '%s' is not allowed: 1 to %d characters, none of < > %% & \\ ? /.", printable(name), maxTagName)
		case !text:
			w.Fail("InvalidTagValue", "tags", "The value of tag '%s' must be text.", printable(name))
		case utf8.RuneCountInString(value) > maxTagValue:
			w.Fail("InvalidTagValue", "tags", "The value of tag '%s' has more than %d characters.", printable(name), maxTagValue)
		}
	}
}

// checkLocation holds the location of tracked resources to the cloud's regions, and to what it was.
func (s *Server) checkLocation(w *Write, t *Type) {
	if !t.Tracked {
		return
	}
	location := strings.ToLower(strings.ReplaceAll(w.New.Location(), " ", ""))
	old := ""
	if w.Old != nil {
		old = strings.ToLower(w.Old.Location())
	}
	switch {
	case location == "" && t.Global:
		location = "global"
	case location == "" && old != "":
		location = old
	case location == "":
		w.Fail("LocationRequired", "location", "The location property is required for this definition. Locations are: %s.", strings.Join(s.Locations, ", "))
		return
	case old != "" && location != old:
		w.Problems = append(w.Problems, Conflict("InvalidResourceLocation", "The resource '%s' already exists in location '%s' in resource group '%s'. A resource with the same name cannot be created in location '%s'. Please select a new resource name.",
			w.ID.Name(), old, w.ID.ResourceGroup(), printable(location)).On("location"))
		return
	case t.Global && location == "global":
	case len(s.Locations) > 0 && !slices.ContainsFunc(s.Locations, func(l string) bool { return strings.EqualFold(l, location) }):
		w.Fail("LocationNotAvailableForResourceType", "location", "The provided location '%s' is not available for resource type '%s'. List of available regions for the resource type is '%s'.",
			printable(location), t.Name, strings.Join(s.Locations, ","))
		return
	}
	if w.New.Body == nil {
		w.New.Body = map[string]any{}
	}
	w.New.Body["location"] = location
}

// checkContainers refuses a new resource in what does not exist or is going away, and
// makes the transaction fail if a container changes before it is committed.
func (s *Server) checkContainers(ctx context.Context, c *change, old *Resource, tx *store.Tx) error {
	if old != nil && c.principal.System {
		return nil // what is being taken down may still be changed on the way
	}
	if group := c.id.Group(); !group.IsZero() && c.id.Namespace != "" && s.types[groupKey] != nil {
		g, err := s.read.Get(ctx, group.String())
		if err != nil {
			return err
		}
		if g.Deleting {
			return Conflict("ResourceGroupBeingDeleted", "The resource group '%s' is in deprovisioning state and cannot perform this operation. Wait until it is gone.", g.Name)
		}
		tx.Expect(Key(g.ID), g.Rev)
	}
	parent := c.id.Parent()
	if c.id.Namespace == "" || parent.Namespace == "" {
		return nil
	}
	p, err := s.read.Get(ctx, parent.String())
	if IsNotFound(err) {
		return NotFound("ParentResourceNotFound", "Can not perform requested operation on nested resource. Parent resource '%s' not found. Make it first.", parentName(parent))
	}
	if err != nil {
		return err
	}
	if p.Deleting {
		return busy(s.typeNamed(p.Type), "The parent resource '%s' is being deleted. Wait until it is gone.", p.ID)
	}
	tx.Expect(Key(p.ID), p.Rev)
	return nil
}

func parentName(id resourceid.ID) string { return strings.Join(id.Names, "/") }
