package meta

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

const module = "cloister.dev/cloister"

// file is one Go source file of the main module.
type file struct {
	path    string // relative to the tree, with slashes
	pkg     string // folder, relative to the tree
	test    bool
	doc     bool // has a package comment
	lines   int
	imports []string
}

// layer says how far up a package stands: it may import what stands lower. Packages of
// the layer "side by side" do not import each other.
var layers = []struct {
	name       string
	sideBySide bool
	prefixes   []string
}{
	{"leaf", false, []string{"internal/spec", "internal/resourceid", "internal/config", "internal/atomicfile", "internal/tlsca", "internal/kubeconfig", "internal/local", "internal/httpbound", "internal/laxjson", "internal/seal"}},
	{"kernel", false, []string{"internal/arm", "internal/identity", "internal/reconcile", "internal/store", "internal/netplan", "internal/ipam", "internal/template"}},
	{"part", true, []string{"internal/provider", "internal/fabric", "internal/dns", "internal/engine", "internal/kubernetes", "internal/images", "internal/nsrun"}},
	{"app", false, []string{"internal/app"}},
	{"cmd", false, []string{"cmd"}},
}

// owners names the only packages that may use a library.
var owners = map[string][]string{
	"github.com/vishvananda/netlink":   {"internal/fabric"},
	"github.com/google/nftables":       {"internal/fabric"},
	"github.com/containerd/containerd": {"internal/engine"},
	"go.etcd.io/etcd":                  {"internal/store"},
	"github.com/miekg/dns":             {"internal/dns"},
	"k8s.io/kubernetes":                {},
}

func place(pkg string) (layer int, member string) {
	for i, l := range layers {
		for _, p := range l.prefixes {
			if pkg == p || strings.HasPrefix(pkg, p+"/") {
				return i, p
			}
		}
	}
	return -1, ""
}

// violations lists the imports that break the rules, each as a sentence.
func violations(files []file) []string {
	var out []string
	for _, f := range files {
		if f.test || strings.HasPrefix(f.pkg, "test/") || strings.HasPrefix(f.pkg, "bench") {
			continue
		}
		from, member := place(f.pkg)
		if from < 0 && !strings.HasPrefix(f.pkg, "images/") {
			out = append(out, fmt.Sprintf("%s: package %s stands in no layer: add it to test/meta", f.path, f.pkg))
		}
		for _, imp := range f.imports {
			if local, ok := strings.CutPrefix(imp, module+"/"); ok {
				to, toMember := place(local)
				switch {
				case to > from:
					out = append(out, fmt.Sprintf("%s: %s must not import %s, which stands above it", f.path, f.pkg, local))
				case to == from && to >= 0 && layers[to].sideBySide && member != toMember:
					out = append(out, fmt.Sprintf("%s: %s and %s stand side by side and must not import each other", f.path, member, toMember))
				}
			}
			for lib, allowed := range owners {
				if imp == lib || strings.HasPrefix(imp, lib+"/") {
					ok := false
					for _, a := range allowed {
						ok = ok || f.pkg == a || strings.HasPrefix(f.pkg, a+"/")
					}
					if !ok {
						out = append(out, fmt.Sprintf("%s: only %v may use %s", f.path, allowed, lib))
					}
				}
			}
		}
	}
	sort.Strings(out)
	return out
}

// undocumented lists packages without a package comment.
func undocumented(files []file) []string {
	documented := map[string]bool{}
	for _, f := range files {
		if !f.test {
			documented[f.pkg] = documented[f.pkg] || f.doc
		}
	}
	var out []string
	for pkg, ok := range documented {
		if !ok {
			out = append(out, pkg)
		}
	}
	sort.Strings(out)
	return out
}

// tooLong lists files of more than limit lines.
func tooLong(files []file, limit int) []string {
	var out []string
	for _, f := range files {
		if f.lines > limit {
			out = append(out, fmt.Sprintf("%s has %d lines, more than %d: one idea a file", f.path, f.lines, limit))
		}
	}
	return out
}

// load parses the imports of every Go file of the main module below root. Other modules are left out.
func load(root fs.FS) ([]file, error) {
	var out []file
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path == "." {
				return nil
			}
			if name := d.Name(); strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" || name == "bin" {
				return fs.SkipDir
			}
			if _, err := fs.Stat(root, path+"/go.mod"); err == nil {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		src, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, src, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		f := file{path: path, pkg: filepath.ToSlash(filepath.Dir(path)), test: strings.HasSuffix(path, "_test.go"), doc: parsed.Doc != nil, lines: strings.Count(string(src), "\n")}
		for _, imp := range parsed.Imports {
			name, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, name)
		}
		out = append(out, f)
		return nil
	})
	return out, err
}
