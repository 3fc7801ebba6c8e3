package meta

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"
)

const limit = 400

func tree(t *testing.T) []file {
	t.Helper()
	files, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("only %d Go files found: the walk is broken", len(files))
	}
	return files
}

func TestImports(t *testing.T) {
	for _, v := range violations(tree(t)) {
		t.Error(v)
	}
}

func TestPackageComments(t *testing.T) {
	for _, pkg := range undocumented(tree(t)) {
		t.Errorf("package %s has no package comment", pkg)
	}
}

func TestFileSizes(t *testing.T) {
	for _, v := range tooLong(tree(t), limit) {
		t.Error(v)
	}
}

// TestRulesCanFail shows each rule a tree that breaks it.
func TestRulesCanFail(t *testing.T) {
	src := func(doc, imp string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(doc + "package p\nimport _ \"" + imp + "\"\n")}
	}
	files, err := load(fstest.MapFS{
		"internal/store/a.go":                 src("// Package p.\n", module+"/internal/app"),
		"internal/dns/a.go":                   src("// Package p.\n", module+"/internal/engine"),
		"internal/app/a.go":                   src("", "github.com/vishvananda/netlink"),
		"internal/app/b.go":                   src("", "k8s.io/kubernetes/pkg/apis"),
		"internal/surprise/a.go":              src("// Package p.\n", "fmt"),
		"internal/provider/x/a.go":            src("// Package p.\n", module+"/internal/provider/y"),
		"internal/provider/y/a.go":            src("// Package p.\n", module+"/internal/arm"),
		"kubernetes/v1.0/go.mod":              {Data: []byte("module other\n")},
		"kubernetes/v1.0/main.go":             src("", "k8s.io/kubernetes"),
		"internal/store/testdata/ignored.go":  {Data: []byte("not go")},
		"internal/app/imports_only_a_test.go": src("", "github.com/miekg/dns"),
	})
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(violations(files), "\n")
	for _, want := range []string{
		"internal/store must not import internal/app", "internal/dns and internal/engine stand side by side",
		"only [internal/fabric] may use github.com/vishvananda/netlink", "only [] may use k8s.io/kubernetes", "internal/surprise stands in no layer",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("not found: %s", want)
		}
	}
	if n := strings.Count(got, "\n") + 1; n != 5 {
		t.Errorf("%d violations, want 5:\n%s", n, got)
	}
	if u := undocumented(files); len(u) != 1 || u[0] != "internal/app" {
		t.Errorf("undocumented: %v", u)
	}
	if len(tooLong(files, 1)) == 0 || len(tooLong(files, limit)) != 0 {
		t.Error("file sizes are not measured")
	}
}

// TestNoPathsOfOneMachine keeps home folders and work folders out of the tree.
func TestNoPathsOfOneMachine(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Fatal("git is needed to list the tree's files")
	}
	out, err := exec.Command("git", "-C", "../..", "grep", "-lE", "/"+"work/(main|shared)|/"+"root/(go|\\.cache)").Output()
	if len(out) > 0 {
		t.Errorf("paths of one machine in:\n%s", out)
	}
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatal(err)
	}
}
