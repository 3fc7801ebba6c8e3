package arm

import (
	"encoding/json"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/resourceid"
)

func fuzzServer() *Server {
	s := &Server{types: map[string]*Type{}, namespaces: map[string]string{}}
	if err := s.Add([]*Type{{Name: groupType}, {Name: "Toy.Net/nets"}, {Name: "Toy.Net/nets/parts"}, {Name: "Toy.Auth/grants", Extension: true}}, nil); err != nil {
		panic(err)
	}
	return s
}

// FuzzPath: whatever the path, what is resolved is an id that is its own canonical
// form, with the same key however often it is parsed, and without a segment that leads elsewhere.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"/subscriptions/s/resourceGroups/rg/providers/Toy.Net/nets/a/parts/p", "//subscriptions//s/resourcegroups/g", "/subscriptions/s/resourceGroups",
		"/subscriptions/s/providers/Toy.Auth/grants/g", "/providers/toy.auth/GRANTS/x", "/subscriptions/s/resourceGroups/rg/providers/Toy.Net/nets/a/providers/Toy.Auth/grants/g",
		"/subscriptions/s/resourceGroups/providers/providers/Toy.Net/nets/providers", "/a%2Fb/..%2f", "/subscriptions/s/resourceGroups/%70roviders",
	} {
		f.Add(seed)
	}
	s := fuzzServer()
	f.Fuzz(func(t *testing.T, path string) {
		segs, problem := splitPath(path)
		if problem != nil {
			return
		}
		for _, seg := range segs {
			if strings.Contains(seg, "/") || seg == ".." {
				t.Fatalf("segment %q", seg)
			}
		}
		id, typ, err := s.resolve(segs)
		if err != nil {
			return
		}
		again, err := resourceid.Parse(id.String())
		if err != nil || again.Key() != id.Key() || !strings.EqualFold(again.Type(), typ.Name) {
			t.Fatalf("%q came out as %q of %s, then %q: %v", path, id, typ.Name, again, err)
		}
		if s.canonical(id) != id.String() {
			t.Fatalf("%q is not canonical: %q", id, s.canonical(id))
		}
		if !id.IsCollection() && id.Name() == "" {
			t.Fatalf("%q has no name", id)
		}
	})
}

func FuzzFilter(f *testing.F) {
	for _, seed := range []string{
		"name eq 'a'", "tagName eq 'a' and tagValue eq 'b''c'", "not (substringof('x', name) or startswith(name,'y'))", "atScope()", "assignedTo('p')",
		"properties/x ne true", "((((", "a eq", "''", "name eq 'a' and", "contains(name,name)",
	} {
		f.Add(seed)
	}
	r := &Resource{ID: "/subscriptions/s/resourceGroups/g/providers/Toy.Net/nets/a", Name: "a", Type: "Toy.Net/nets", Body: map[string]any{"tags": map[string]any{"a": "b"}, "properties": map[string]any{"x": true}}}
	f.Fuzz(func(t *testing.T, text string) {
		take, problem := parseFilter(text)
		if (take == nil) == (problem == nil) {
			t.Fatalf("%q: %v, %v", text, take, problem)
		}
		if problem == nil {
			take.matches(r)
		}
	})
}

func FuzzBody(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":`, `[1]`, `{"properties":null}`, "\xef\xbb\xbf{}", `{"a":"\ud800"}`, `{"a":1e999}`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		body, err := parseBody(raw, true)
		if err != nil {
			return
		}
		c := clean(mergePatch(body, body))
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		back, err := normal(c)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := json.Marshal(back); string(again) != string(b) {
			t.Fatalf("%s became %s", b, again)
		}
	})
}

func TestMergePatch(t *testing.T) {
	for _, c := range []struct{ target, patch, want string }{
		{`{"a":1,"b":{"c":2,"d":3}}`, `{"b":{"c":null,"e":4},"f":{"g":null,"h":1}}`, `{"a":1,"b":{"d":3,"e":4},"f":{"h":1}}`},
		{`{"a":[1,2]}`, `{"a":[3]}`, `{"a":[3]}`},
		{`{"a":1}`, `{"a":{"b":1}}`, `{"a":{"b":1}}`},
		{`{}`, `{}`, `{}`},
	} {
		var target, patch map[string]any
		if json.Unmarshal([]byte(c.target), &target) != nil || json.Unmarshal([]byte(c.patch), &patch) != nil {
			t.Fatal(c)
		}
		got, err := json.Marshal(mergePatch(target, patch))
		if err != nil || string(got) != c.want {
			t.Errorf("%s + %s = %s, want %s: %v", c.target, c.patch, got, c.want, err)
		}
		if b, _ := json.Marshal(target); string(b) != c.target {
			t.Errorf("the target was changed to %s", b)
		}
	}
}
