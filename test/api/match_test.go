package api

import (
	"encoding/json"
	"testing"
)

func TestDifferences(t *testing.T) {
	for name, c := range map[string]struct {
		want, got string
		n         int
	}{
		"partial object":     {`{"a":1}`, `{"a":1,"b":2}`, 0},
		"wrong and missing":  {`{"a":1,"c":"*"}`, `{"a":2}`, 2},
		"absent":             {`{"a":"<absent>"}`, `{}`, 0},
		"not absent":         {`{"a":"<absent>"}`, `{"a":null}`, 1},
		"array length":       {`[1]`, `[1,2]`, 1},
		"array elements":     {`[{"a":1},2]`, `[{"a":1,"b":1},3]`, 1},
		"contains":           {`["...",{"a":2}]`, `[{"a":1},{"a":2,"b":1}]`, 0},
		"contains not":       {`["...",{"a":3}]`, `[{"a":1}]`, 1},
		"any text":           {`"*"`, `"x"`, 0},
		"any text, empty":    {`"*"`, `""`, 1},
		"expression":         {`"~^a+$"`, `"aaa"`, 0},
		"expression, no":     {`"~^a+$"`, `"b"`, 1},
		"broken expression":  {`"~("`, `"b"`, 1},
		"object for a text":  {`{"a":1}`, `"b"`, 1},
		"number for a text":  {`"1"`, `1`, 1},
		"true is not 'true'": {`true`, `"true"`, 1},
	} {
		var want, got any
		if json.Unmarshal([]byte(c.want), &want) != nil || json.Unmarshal([]byte(c.got), &got) != nil {
			t.Fatal(name)
		}
		if d := differences("x", want, got); len(d) != c.n {
			t.Errorf("%s: %q, want %d", name, d, c.n)
		}
	}
}

func TestParseStep(t *testing.T) {
	if _, err := parseStep([]byte(`{"request":{"method":"GET","path":"/${a}"},"expect":{"status":200}}`), map[string]string{"a": `x"y`}); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{`{`, `{}`, `{"unknown":1}`, `{"request":{"method":"GET","path":"/${b}"},"expect":{"status":200}}`} {
		if _, err := parseStep([]byte(bad), nil); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}
