package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadOrder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte("dataDir: /a\nrunDir: /b\npublicPool: 198.51.100.0/25\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file, []string{"CLOISTER_RUN_DIR=/c", "OTHER=1"})
	if err != nil {
		t.Fatal(err)
	}
	if c.DataDir != "/a" || c.RunDir != "/c" || c.PublicPool.Bits() != 25 || c.CacheDir != Default().CacheDir {
		t.Fatalf("got %+v", c)
	}
	if got := c.BaseURL(); got != "https://198.51.100.2" {
		t.Fatalf("base URL %s", got)
	}
}

func TestLoadRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte("dataDri: /a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file, nil); err == nil || !strings.Contains(err.Error(), "dataDri") {
		t.Fatalf("a misspelt field: %v", err)
	}
	if _, err := Load(file+"x", nil); err == nil {
		t.Fatal("a named file that is not there was accepted")
	}
	if _, err := Load("", []string{"CLOISTER_PUBLIC_POOL=nonsense"}); err == nil || !strings.Contains(err.Error(), "CLOISTER_PUBLIC_POOL") {
		t.Fatalf("a bad variable: %v", err)
	}
}

func TestValidateNamesEveryMistake(t *testing.T) {
	c := Default()
	c.DataDir, c.Regions, c.TokenLifetime = "relative", nil, 0
	err := c.Validate()
	for _, want := range []string{"dataDir", "regions", "tokenLifetime"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not named in %v", want, err)
		}
	}
	if err := Default().Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestDuration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	for text, want := range map[string]string{"tokenLifetime: 90m\n": "1h30m0s", "logLevel: debug\n": "1h0m0s"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := Load(file, nil); err != nil || c.TokenLifetime.String() != want {
			t.Errorf("%q: %s, %v", text, c.TokenLifetime, err)
		}
	}
	if err := os.WriteFile(file, []byte("tokenLifetime: 3600\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file, nil); err == nil || !strings.Contains(err.Error(), "not a duration like 1h") {
		t.Errorf("a number: %v", err)
	}
}
