package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCachedToken takes a token only if there is no doubt whose.
func TestCachedToken(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	token := func(name, environment, target string, expires int64) string {
		return fmt.Sprintf(`%q: {"credential_type": "AccessToken", "secret": %q, "environment": %q, "target": %q, "expires_on": "%d"}`, name, name, environment, target, expires)
	}
	const host, base, scope = "198.51.100.2", "https://198.51.100.2", "https://198.51.100.2//.default"
	valid := token("valid", host, scope, 1_003_600)
	for _, c := range []struct {
		what, want string
		entries    []string
	}{
		{"one", "valid", []string{valid}},
		{"none", "", nil},
		{"expired", "", []string{token("old", host, scope, 1_000_060)}},
		{"one is expired", "valid", []string{valid, token("old", host, scope, 999_000)}},
		{"of another cloud", "", []string{token("other", "login.microsoftonline.com", "https://management.core.windows.net//.default", 1_003_600)}},
		{"for another audience", "", []string{token("graph", host, "https://graph.microsoft.com//.default", 1_003_600)}},
		{"two accounts", "", []string{valid, token("second", host, scope, 1_003_600)}},
	} {
		file := filepath.Join(t.TempDir(), "cache.json")
		if err := os.WriteFile(file, []byte(`{"AccessToken": {`+strings.Join(c.entries, ",")+`}}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := cachedToken(file, base, now); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
	if got := cachedToken(filepath.Join(t.TempDir(), "none"), base, now); got != "" {
		t.Errorf("no file: %q", got)
	}
}
