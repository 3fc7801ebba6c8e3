package template

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// toy answers for every resource that it is one.
type toy struct{}

func (toy) Reference(_ context.Context, id, version string, full bool) (any, error) {
	if strings.HasSuffix(id, "/missing") {
		return nil, errors.New("there is no such resource")
	}
	return map[string]any{"of": id[strings.LastIndex(id, "/")+1:], "version": version, "full": full, "n": float64(7)}, nil
}

func (toy) List(_ context.Context, function, id, _ string, _ any) (any, error) {
	return map[string]any{"key": function + " " + id[strings.LastIndex(id, "/")+1:]}, nil
}

// plan reads a template whose members are given, and renders its resources in a line each: name, what it comes after, and its body.
func plan(t *testing.T, text string, outer *Outer) (string, error) {
	t.Helper()
	tmpl, err := New(t.Context(), load(t, `{`+schema+`, `+text+`}`), nil, testContext, outer)
	if err != nil {
		return "", err
	}
	if err := tmpl.Plan(t.Context()); err != nil {
		return "", err
	}
	if err := tmpl.Check(t.Context()); err != nil {
		return "", err
	}
	var out []string
	for _, r := range tmpl.Resources {
		var after []string
		for _, i := range r.DependsOn {
			after = append(after, tmpl.Resources[i].Name)
		}
		body, _, err := tmpl.Body(t.Context(), r, toy{})
		if err != nil {
			return "", err
		}
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%s after %v %s", r.Name, after, b)
		if r.Skipped {
			line = r.Name + " skipped"
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n"), nil
}

func TestPlan(t *testing.T) {
	const r = `"type": "A.B/c", "apiVersion": "2024-01-01"`
	for name, c := range map[string]struct{ text, want string }{
		"reference orders, by name and by id": {
			`"resources": [{` + r + `, "name": "x", "properties": {"p": "[reference('y').n]", "q": "[reference(resourceId('A.B/c', 'z'), '2025-01-01', 'Full').full]"}}, {` + r + `, "name": "y"}, {` + r + `, "name": "z"}]`,
			"x after [y z] {\"properties\":{\"p\":7,\"q\":true}}\ny after [] {}\nz after [] {}",
		},
		"list functions order": {
			`"resources": [{` + r + `, "name": "x", "k": "[listKeys('y').key]"}, {` + r + `, "name": "y"}]`,
			"x after [y] {\"k\":\"listKeys y\"}\ny after [] {}",
		},
		"a serial loop goes in batches": {
			`"resources": [{` + r + `, "name": "[concat('n', copyIndex())]", "copy": {"name": "l", "count": 5, "mode": "serial", "batchSize": 2}}]`,
			"n0 after [] {}\nn1 after [] {}\nn2 after [n0 n1] {}\nn3 after [n0 n1] {}\nn4 after [n2 n3] {}",
		},
		"children stand inside, take their parent's names, and come after it": {
			`"resources": [{` + r + `, "name": "p", "resources": [{"type": "d", "apiVersion": "1", "name": "k"}]}, {"type": "A.B/c/d", "apiVersion": "1", "name": "p/m"}]`,
			"p after [] {}\np/k after [p] {}\np/m after [p] {}",
		},
		"a condition that is false": {
			`"resources": [{` + r + `, "name": "x", "condition": "[equals(1, 2)]", "resources": [{"type": "d", "apiVersion": "1", "name": "k"}]}, {` + r + `, "name": "y", "dependsOn": ["x"]}]`,
			"x skipped\nx/k skipped\ny after [x] {}",
		},
		"loops in properties and in values": {
			`"resources": [{` + r + `, "name": "x", "properties": {"copy": [{"name": "disks", "count": 2, "input": {"lun": "[copyIndex('disks')]"}}], "[concat('a', 'b')]": "[[kept]"}}]`,
			`x after [] {"properties":{"ab":"[kept]","disks":[{"lun":0},{"lun":1}]}}`,
		},
		"symbolic names": {
			`"languageVersion": "2.0", "resources": {"b": {` + r + `, "name": "bb", "p": "[reference('a[1]').of]", "all": "[length(references('a'))]"}, "a": {` + r + `, "name": "[format('a{0}', copyIndex())]", "copy": {"name": "a", "count": 2}}, "old": {` + r + `, "name": "o", "existing": true}}`,
			"a0 after [] {}\na1 after [] {}\nbb after [a0 a1] {\"all\":2,\"p\":\"a1\"}\no after [] {}",
		},
		"an extension's scope": {
			`"resources": [{"type": "Microsoft.Authorization/locks", "apiVersion": "1", "name": "l", "scope": "A.B/c/x"}, {` + r + `, "name": "x"}]`,
			"l after [x] {}\nx after [] {}",
		},
	} {
		got, err := plan(t, c.text, nil)
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != c.want {
			t.Errorf("%s\n got %s\nwant %s", name, got, c.want)
		}
	}
}

func TestOuter(t *testing.T) {
	got, err := plan(t, `"resources": [{"type": "A.B/c", "apiVersion": "1", "name": "[concat(variables('v'), copyIndex())]", "p": "[parameters('q')]", "r": "[reference('around').of]"}]`,
		&Outer{Parameters: map[string]any{"Q": 3.0}, Variables: map[string]any{"V": "n"}, Copies: map[string]int{"l": 4}, Copy: "l", Names: map[string]string{"around": "/x/around"}})
	if err != nil || got != `n4 after [] {"p":3,"r":"around"}` {
		t.Error(got, err)
	}
}

func TestParameters(t *testing.T) {
	doc := func(parameters string) map[string]any {
		return load(t, `{`+schema+`, "resources": [], "parameters": `+parameters+`}`)
	}
	for _, c := range []struct{ declared, sent, want string }{
		{`{"p": {"type": "int", "maxValue": 3}}`, `{"P": {"value": 3}}`, ""},
		{`{"p": {"type": "int", "maxValue": 3}}`, `{"p": {"value": 4}}`, "at most 3 is allowed ('maxValue'), not 4"},
		{`{"p": {"type": "int"}}`, `{"p": {"value": 1.5}}`, "it must be of the type 'int', not a number"},
		{`{"p": {"type": "array", "allowedValues": ["a", "b"]}}`, `{"p": {"value": ["a", "c"]}}`, "may not be"},
		{`{"p": {"type": "array", "allowedValues": ["a", "b"], "minLength": 1}}`, `{"p": {"value": ["b"]}}`, ""},
		{`{"p": {"type": "text"}}`, `{}`, "the type \"text\" is not known"},
		{`{"p": {"type": "string", "defaultValue": "[parameters('q')]"}, "q": {"type": "string", "defaultValue": "[parameters('p')]"}}`, `{}`, "depends on itself"},
		{`{"p": {"type": "string", "defaultValue": "[toUpper(parameters('q'))]"}, "q": {"type": "string"}}`, `{"q": {"value": "x"}}`, ""},
		{`{"p": {"type": "string", "nullable": true}}`, `{"p": {"value": null}}`, ""},
		{`{"p": {"type": "string"}}`, `{"p": "x"}`, "must stand in an object"},
		{`{"p": {"type": "string"}}`, `{"p": {"reference": {"keyVault": {}}}}`, "key vault"},
		{`{"p": {"type": "secureObject"}}`, `{"p": {"value": {"a": 1}}}`, ""},
	} {
		_, err := New(t.Context(), doc(c.declared), load(t, c.sent), testContext, nil)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %s: %v, want %q", c.declared, c.sent, err, c.want)
		}
	}
}
