package laxjson_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/laxjson"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		`{"properties": {"parameters": {}, template: {"a": 1 /* one */, // rest
			'b': 'it''s'}}}`: "error: ',' or '}' is missing at line 2, position 13",
		`{template: {"$schema": "x", 'a': [1, 2.5, -3e2,], /* c */ b: true, n: null,}} // end`: `{"template":{"$schema":"x","a":[1,2.5,-300],"b":true,"n":null}}`,
		"\"two\nlines \\u00e9 \\ud83d\\ude00 \\\"\"":                                           `"two\nlines é 😀 \""`,
		`{"a": 1, "a": 2}`:          `{"a":2}`,
		``:                          "error: a value is missing at line 1, position 1",
		`{"a" 1}`:                   "error: ':' is missing after the name 'a' at line 1, position 6",
		`{"a": [1}`:                 "error: ',' or ']' is missing at line 1, position 9",
		"{\n  \"a\": nope\n}":       "error: a value is missing at line 2, position 8",
		`{"a": "x`:                  "error: a text has no end at line 1, position 7",
		`{} {}`:                     "error: there is text after the end of the value at line 1, position 4",
		`/* `:                       "error: a comment has no end at line 1, position 1",
		`"\q"`:                      "error: '\\q' means nothing in a text at line 1, position 4",
		`"\u12"`:                    "error: \\u needs four digits at line 1, position 4",
		strings.Repeat("[", 100000): "error: values are nested deeper than 500 at line 1, position 502",
	} {
		n, err := laxjson.Parse([]byte(text))
		var got string
		if err != nil {
			got = "error: " + err.Error()
		} else {
			b, _ := json.Marshal(n.Value())
			got = string(b)
		}
		if !same(got, want) {
			t.Errorf("%.60s\n got %s\nwant %s", text, got, want)
		}
	}
}

func same(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return a == b
	}
	return reflect.DeepEqual(x, y)
}

func TestFind(t *testing.T) {
	text := []byte("{\n \"Resources\": [\n  {\"name\": \"x\"}\n ]\n}")
	n, err := laxjson.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	line, column := laxjson.Position(text, n.Find("resources", 0, "name", "beyond").Offset)
	if line != 3 || column != 12 {
		t.Errorf("found at %d:%d, want 3:12", line, column)
	}
}

// FuzzParse holds it against encoding/json: what that one reads, this one reads the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"a":[1,2.5e3,"x\u00e9",null,true]}`))
	f.Add([]byte("{a:'b',/*c*/}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		n, err := laxjson.Parse(text)
		var want any
		if json.Unmarshal(text, &want) != nil || strings.Count(string(text), "[")+strings.Count(string(text), "{") > 400 {
			return
		}
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got := n.Value(); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %#v, not %#v", text, got, want)
		}
	})
}
