package template

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

const (
	testSub   = "/subscriptions/22222222-2222-2222-2222-222222222222"
	testGroup = testSub + "/resourceGroups/rg"
	schema    = `"$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#", "contentVersion": "1.0.0.0"`
)

var testContext = Context{
	Scope: testGroup, Now: time.Date(2026, 1, 31, 23, 5, 9, 120_000_000, time.UTC),
	Subscription:  map[string]any{"id": testSub, "subscriptionId": "22222222-2222-2222-2222-222222222222"},
	ResourceGroup: map[string]any{"id": testGroup, "name": "rg", "location": "eastus"},
	Deployment:    map[string]any{"name": "d"},
	Environment:   map[string]any{"name": "Cloister"},
}

// value evaluates one expression, as an output's would be.
func value(t *testing.T, expr string) string {
	t.Helper()
	tmpl, err := New(t.Context(), load(t, `{`+schema+`, "resources": [], "parameters": {"n": {"type": "int", "defaultValue": 3}, "o": {"type": "object", "defaultValue": {"a": {"B": [1, {"c": "d"}]}, "e": null}}},
		"functions": [{"namespace": "my", "members": {"twice": {"parameters": [{"name": "x", "type": "string"}], "output": {"type": "string", "value": "[concat(parameters('x'), parameters('x'))]"}}}}],
		"variables": {"v": "[concat('p', parameters('n'))]", "loop": "[variables('loop2')]", "loop2": "[variables('loop')]", "copy": [{"name": "nums", "count": 3, "input": "[mul(copyIndex('nums', 1), 10)]"}],
		"inner": {"copy": [{"name": "x", "count": 2, "input": {"n": "[copyIndex('x')]"}}]}}}`), nil, testContext, nil)
	if err != nil {
		t.Fatal(err)
	}
	v, err := tmpl.env(t.Context(), nil).text(expr)
	if err != nil {
		return "error: " + err.Error()
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func load(t *testing.T, text string) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return doc
}

// TestFunctions holds the functions to what Azure documents of them.
func TestFunctions(t *testing.T) {
	for expr, want := range map[string]string{
		"plain": `"plain"`, "[[x]": `"[x]"`, "[x": `"[x"`, "['it''s']": `"it's"`, "[concat( 'a' , 'b')]": `"ab"`,
		"[parameters('O').A.b[1].C]": `"d"`, "[parameters('o')['a']['b'][0]]": `1`, "[variables('v')]": `"p3"`, "[variables('nums')]": `[10,20,30]`,
		"[variables('inner').x[1].n]": `1`, "[my.twice('ab')]": `"abab"`, "[resourceGroup().location]": `"eastus"`,
		"[concat(createArray(1, 2), array(3))]": `[1,2,3]`, "[contains('abc', 'B')]": `false`, "[contains(parameters('o'), 'A')]": `true`, "[contains(createArray(1,2), 2)]": `true`,
		"[empty('')]": `true`, "[empty(null())]": `true`, "[empty(createArray(1))]": `false`, "[length('äöü')]": `3`, "[first('one')]": `"o"`, "[last(createArray('a', 'b'))]": `"b"`,
		"[indexOf('test', 'T')]": `0`, "[lastIndexOf('test', 't')]": `3`, "[indexOf(createArray('a','b'), 'b')]": `1`, "[range(5, 3)]": `[5,6,7]`, "[skip('one two', 4)]": `"two"`,
		"[take(createArray(1,2,3), 2)]": `[1,2]`, "[max(createArray(0,3,2))]": `3`, "[min(4,2,9)]": `2`, "[flatten(createArray(createArray(1), createArray(2,3)))]": `[1,2,3]`,
		"[union(createObject('a', createObject('x', 1)), createObject('a', createObject('y', 2)))]": `{"a":{"x":1,"y":2}}`, "[union(createArray(1,2), createArray(2,3))]": `[1,2,3]`,
		"[intersection(createArray(1,2,3), createArray(3,2))]": `[2,3]`, "[items(createObject('b', 1, 'a', 2))]": `[{"key":"a","value":2},{"key":"b","value":1}]`,
		"[json('{\"a\": [1, 2.5]}').a[1]]": `2.5`, "[tryGet(parameters('o'), 'zz', 'y')]": `null`, "[objectKeys(parameters('o'))]": `["a","e"]`,
		"[and(true(), equals('a', 'a'), less(1, 2))]": `true`, "[or(false(), not(false()))]": `true`, "[if(equals(1, 2), div(1, 0), 'ok')]": `"ok"`, "[bool('TRUE')]": `true`,
		"[coalesce(null(), 'x')]": `"x"`, "[add(1, mul(2, sub(5, 2)))]": `7`, "[div(8, 3)]": `2`, "[mod(7, 3)]": `1`, "[int('42')]": `42`, "[greaterOrEquals('b', 'a')]": `true`,
		"[base64('one, two')]": `"b25lLCB0d28="`, "[base64ToString('b25l')]": `"one"`, "[dataUri('Hello')]": `"data:text/plain;charset=utf8;base64,SGVsbG8="`,
		"[dataUriToString('data:;base64,SGVsbG8sIFdvcmxkIQ==')]": `"Hello, World!"`, "[endsWith('abcdef', 'EF')]": `true`, "[startsWith('abcdef', 'AB')]": `true`,
		"[format('{0}, {1}. Formatted number: {2:N0}', 'Hello', 'User', 8175133)]": `"Hello, User. Formatted number: 8,175,133"`, "[format('{{{0:D3}}}{1,4}|', 7, 'x')]": `"{007}   x|"`, "[format('{0:000}', 5)]": `"005"`,
		"[join(createArray('a', 1, true()), '-')]": `"a-1-True"`, "[padLeft('123', 10, '0')]": `"0000000123"`, "[replace('123-123', '-', '')]": `"123123"`,
		"[split('one;two,three', createArray(',', ';'))]": `["one","two","three"]`, "[string(createObject('a', 1))]": `"{\"a\":1}"`, "[substring('one two three', 4, 3)]": `"two"`,
		"[toUpper(trim(' a '))]": `"A"`, "[uri('http://contoso.com/resources/', 'nested/azuredeploy.json')]": `"http://contoso.com/resources/nested/azuredeploy.json"`,
		"[uriComponent('http://contoso.com/a b')]": `"http%3A%2F%2Fcontoso.com%2Fa%20b"`, "[uriComponentToString('a%20b')]": `"a b"`,
		"[uniqueString('test')]": `"rbgf3xv4ufgzg"`, "[uniqueString('hello', 'world')]": `"a7wkljktk6wne"`, "[uniqueString('/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/my-rg')]": `"bmg7c6xu4tw46"`,
		"[dateTimeAdd('2020-04-07 14:53:14Z', 'P3Y')]": `"2023-04-07T14:53:14Z"`, "[dateTimeAdd('2020-04-07 14:53:14Z', '-P9D')]": `"2020-03-29T14:53:14Z"`, "[dateTimeAdd('2020-04-07T14:53:14Z', 'PT1H', 'd')]": `"4/7/2020"`,
		"[dateTimeFromEpoch(dateTimeToEpoch('2026-01-31T12:00:00Z'))]": `"2026-01-31T12:00:00Z"`,
		"[parseCidr('10.144.0.7/20')]":                                 `{"broadcast":"10.144.15.255","cidr":20,"firstUsable":"10.144.0.1","lastUsable":"10.144.15.254","netmask":"255.255.240.0","network":"10.144.0.0"}`,
		"[cidrSubnet('10.144.0.0/20', 24, 3)]":                         `"10.144.3.0/24"`, "[cidrHost('10.144.3.0/24', 0)]": `"10.144.3.1"`, "[cidrSubnet('fdad:3236:5555::/48', 52, 1)]": `"fdad:3236:5555:1000::/52"`,
		"[resourceId('Microsoft.Network/virtualNetworks/subnets', 'v', 's')]": `"` + testGroup + `/providers/Microsoft.Network/virtualNetworks/v/subnets/s"`,
		"[resourceId('other', 'A.B/c', 'x')]":                                 `"` + testSub + `/resourceGroups/other/providers/A.B/c/x"`, "[resourceId('s2', 'other', 'A.B/c', 'x')]": `"/subscriptions/s2/resourceGroups/other/providers/A.B/c/x"`,
		"[subscriptionResourceId('A.B/c', 'x')]": `"` + testSub + `/providers/A.B/c/x"`, "[tenantResourceId('A.B/c', 'x')]": `"/providers/A.B/c/x"`, "[extensionResourceId('/x/y', 'A.B/c', 'x')]": `"/x/y/providers/A.B/c/x"`,
		"[map(range(0, 3), lambda('i', mul(lambdaVariables('i'), 2)))]": `[0,2,4]`, "[filter(createArray('a','bb'), lambda('s', equals(length(lambdaVariables('s')), 2)))]": `["bb"]`,
		"[reduce(range(1, 4), 0, lambda('a', 'b', add(lambdaVariables('a'), lambdaVariables('b'))))]": `10`, "[sort(createArray(3,1,2), lambda('a', 'b', less(lambdaVariables('a'), lambdaVariables('b'))))]": `[1,2,3]`,
		"[toObject(createArray('a','b'), lambda('x', lambdaVariables('x')), lambda('x', 1))]": `{"a":1,"b":1}`, "[groupBy(createArray('aa','ab','b'), lambda('x', first(lambdaVariables('x'))))]": `{"a":["aa","ab"],"b":["b"]}`,

		"[nope('x')]":         "error: there is no function 'nope' (column 2 of the expression)",
		"[uniqString('x')]":   "error: there is no function 'uniqString'. There are: union, uniqueString (column 2 of the expression)",
		"[concat('a', )]":     "error: ')' is not expected here: write a function, a text in single quotes or a whole number (column 14 of the expression)",
		"[concat('a']":        "error: ',' or ')' is missing in the call of 'concat' (column 12 of the expression)",
		"[concat('a]":         "error: a text has no end: a single quote is missing (column 9 of the expression)",
		"[length(5)]":         "error: the function 'length': argument 1 must be an array, an object or a string, not an int (column 2 of the expression)",
		"[add(1, 'x')]":       "error: the function 'add': argument 2 must be an int, not a string (column 2 of the expression)",
		"[substring('a')]":    "error: the function 'substring' takes 2 to 3 arguments, not 1 (column 2 of the expression)",
		"[parameters('o').z]": "error: the object has no property 'z'. It has: a, e (column 17 of the expression)",
		"[parameters('p')]":   "error: the function 'parameters': the template has no parameter 'p'. It has: n, o (column 2 of the expression)",
		"[variables('loop')]": "error: the function 'variables': the variable 'loop' depends on itself",
		"[utcNow()]":          "error: the function 'utcNow': the function 'utcNow' may only stand in a parameter's default value",
		"[copyIndex()]":       "error: the function 'copyIndex': the function 'copyIndex' stands in no copy loop",
		"[range(0, 10)[10]]":  "error: the array has 10 elements: there is no element 10",
		"[div(1, 0)]":         "error: the function 'div': argument 2 is 0",
		"[fail('no')]":        "error: the function 'fail': no",
		"[range(0, 20000)]":   "error: the function 'range': the count is 20000",
	} {
		got := value(t, expr)
		if got != want && (!strings.HasPrefix(want, "error") || !strings.HasPrefix(got, want)) {
			t.Errorf("%s\n got %s\nwant %s", expr, got, want)
		}
	}
}

// TestGuid: the same arguments give the same one, as in Azure a UUID of version 5.
func TestGuid(t *testing.T) {
	got := value(t, "[guid('a', 'b')]")
	if got != value(t, "[guid('a-b')]") || got[15] != '5' || got == value(t, "[guid('b', 'a')]") {
		t.Error(got)
	}
}

func TestStamp(t *testing.T) {
	for form, want := range map[string]string{"yyyyMMddTHHmmssZ": "20260131T230509Z", "u": "2026-01-31 23:05:09Z", "d": "1/31/2026", "M d": "1 31", "ddd, dd MMM yy h:mm tt": "Sat, 31 Jan 26 11:05 PM", "ss.fff": "09.120", "'at' HH": "at 23"} {
		if got := stamp(testContext.Now, form); got != want {
			t.Errorf("%s: %s, not %s", form, got, want)
		}
	}
}

// TestBounds: a small template computes no large thing.
func TestBounds(t *testing.T) {
	variables := map[string]any{"v0": "0123456789"}
	for i := range 60 {
		n := "v" + string(rune('0'+i/10)) + string(rune('0'+i%10))
		before := "v0"
		if i > 0 {
			before = "v" + string(rune('0'+(i-1)/10)) + string(rune('0'+(i-1)%10))
		}
		variables[n] = "[concat(variables('" + before + "'), variables('" + before + "'))]"
	}
	doc := load(t, `{`+schema+`, "resources": []}`)
	doc["variables"] = variables
	tmpl, err := New(t.Context(), doc, nil, testContext, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = tmpl.env(t.Context(), nil).text("[variables('v59')]"); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tmpl.env(ctx, nil).text("[range(0, 5)]"); err == nil {
		t.Error("a request that was given up is computed on")
	}
}

func FuzzExpression(f *testing.F) {
	f.Add("[concat('a', parameters('x').y[0])]")
	f.Add("[map(range(0, 3), lambda('i', format('{0:N2}', lambdaVariables('i'))))]")
	f.Fuzz(func(t *testing.T, expr string) {
		tmpl, err := New(t.Context(), map[string]any{"$schema": "deploymentTemplate.json", "contentVersion": "1", "resources": []any{}}, nil, testContext, nil)
		if err != nil {
			t.Fatal(err)
		}
		tmpl.budget = 100_000
		_, _ = tmpl.env(t.Context(), nil).text(expr)
	})
}
