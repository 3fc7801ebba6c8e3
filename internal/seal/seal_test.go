package seal_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/seal"
)

func TestBox(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	b, err := seal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	text, err := b.Seal(map[string]string{"password": "Secret-1"})
	if err != nil || strings.Contains(text, "Secret") {
		t.Fatal(text, err)
	}
	again, err := seal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := again.Open(text, &got); err != nil || got["password"] != "Secret-1" {
		t.Error(got, err)
	}
	if err := seal.New().Open(text, &got); err == nil {
		t.Error("another key opens it")
	}
	if err := again.Open("x", &got); err == nil {
		t.Error("what was not sealed is opened")
	}
}
