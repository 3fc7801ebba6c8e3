package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/reconcile/reconciletest"
	"cloister.dev/cloister/internal/spec"
)

// allFaults is set to have every step fail in every way. Otherwise it is every third step, each in one way.
const allFaults = "CLOISTER_TEST_ALL_FAULTS"

// TestFaults goes through whole lives of resources. First without a fault, then with every call of every reconciler made
// twice, then, again and again, with the next step failing or the daemon ending there, until a life ends before that
// step. Each life must come through the same states, and leave nothing.
func TestFaults(t *testing.T) {
	want, called := map[string][]string{}, map[string]bool{}
	for name, life := range lives {
		w := newWorld(t)
		want[name] = w.live(life)
		for reconciler := range w.runner.Called {
			called[reconciler] = true
		}
	}
	for _, name := range newWorld(t).names() {
		if !called[name] {
			t.Errorf("no life has work for %s", name)
		}
	}
	if t.Failed() {
		return
	}
	for name, life := range lives {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("twice", func(t *testing.T) {
				w := newWorld(t)
				w.runner.Twice = true
				compare(t, want[name], w.live(life))
			})
			for kind := range reconciletest.Kinds {
				t.Run(kind.String(), func(t *testing.T) { everyStep(t, life, kind, want[name]) })
			}
		})
	}
}

func everyStep(t *testing.T, life []chapter, kind reconciletest.Kind, want []string) {
	first, stride := 1+3*int(kind), 3*int(reconciletest.Kinds)
	if os.Getenv(allFaults) != "" {
		first, stride = 1, 1
	}
	lives := 0
	for at := first; ; at += stride {
		w := newWorld(t)
		w.faults.At, w.faults.Kind = at, kind
		got := w.live(life)
		w.stop()
		if w.faults.Hit() == "" {
			t.Logf("%d lives, the longest of %d steps", lives, w.faults.Steps())
			return
		}
		lives++
		compare(t, want, got)
		if t.Failed() {
			t.Fatalf("step %d %s: %s", at, kind, w.faults.Hit())
		}
	}
}

// compare says what one world has and the other has not, with the part of it that differs.
func compare(t *testing.T, want, got []string) {
	t.Helper()
	for i := range min(len(want), len(got)) { // a life that failed on its way has said so
		a, b := strings.Split(want[i], "\n"), strings.Split(got[i], "\n")
		missing := slices.DeleteFunc(slices.Clone(a), func(line string) bool { return slices.Contains(b, line) })
		extra := slices.DeleteFunc(slices.Clone(b), func(line string) bool { return slices.Contains(a, line) })
		for _, line := range missing {
			t.Errorf("chapter %d: wanted: %s", i, differs(line, extra))
		}
		for _, line := range extra {
			t.Errorf("chapter %d: found:  %s", i, differs(line, missing))
		}
	}
}

// differs is the line's key and the part that no line with the same key has.
func differs(line string, others []string) string {
	key, _, _ := strings.Cut(line, " ")
	for _, other := range others {
		if !strings.HasPrefix(other, key+" ") {
			continue
		}
		i := 0
		for i < min(len(line), len(other)) && line[i] == other[i] {
			i++
		}
		return key + " …" + line[max(0, i-40):min(len(line), i+120)]
	}
	return line[:min(len(line), 200)]
}

// live goes through the chapters and returns what the world is like after each, without what is chosen by chance.
func (w *world) live(life []chapter) []string {
	w.t.Helper()
	if err := w.do(func(*world) error { return nil }); err != nil { // a start makes what stays for ever
		w.t.Fatal(err)
	}
	before := w.left()
	var states []string
	for i, c := range life {
		for _, do := range c {
			if err := w.do(do); err != nil {
				w.t.Errorf("chapter %d: %v", i, err)
				return states
			}
		}
		if err := w.runner.Settle(w.t.Context(), fmt.Sprintf("chapter %d", i), w.unended); err != nil {
			w.t.Error(err)
			return states
		}
		states = append(states, w.state())
	}
	for _, x := range w.left() {
		if !slices.Contains(before, x) {
			w.t.Errorf("left: %s", x)
		}
	}
	return states
}

// do has a client ask for something, and ask again when the daemon failed or ended meanwhile.
func (w *world) do(what func(w *world) error) error {
	for {
		err := w.runner.Call(w.t.Context(), func() error { return what(w) })
		if !errors.Is(err, reconciletest.ErrFault) && !errors.Is(err, reconciletest.ErrDied) {
			return err
		}
	}
}

func (w *world) names() []string {
	list, err := w.start(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, r := range list {
		out = append(out, r.Name)
	}
	return out
}

// chance is everything whose value is another one each time.
var chance = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`-----BEGIN [^"]*`), "<pem>"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "<guid>"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`), "<time>"},
	{regexp.MustCompile(`[0-9a-f]{8,}`), "<hex>"},
	{regexp.MustCompile(`"(mac|macAddress)":"[^"]*"`), "<mac>"},
}

// state is all of the store that lasts, what runs and what is pinned, one line each.
func (w *world) state() string {
	docs, _, err := w.store.List(w.t.Context(), "/")
	if err != nil {
		w.t.Fatal(err)
	}
	var lines []string
	clusters := map[string]bool{}
	for _, d := range docs {
		if name, ok := strings.CutPrefix(d.Key, spec.ClusterPrefix); ok {
			clusters[name] = true
		}
		switch {
		case strings.HasPrefix(d.Key, "/op/"), strings.HasPrefix(d.Key, "/identity/"), strings.HasPrefix(d.Key, "/secret/identity/"): // by chance all of it
		case strings.HasPrefix(d.Key, "/ipam/"):
			lines = append(lines, d.Key+" "+owners(w.t, d.Value))
		default:
			lines = append(lines, d.Key+" "+string(d.Value))
		}
	}
	for name := range w.engine.runs {
		lines = append(lines, "container "+name)
	}
	for name := range w.fabric.pins {
		lines = append(lines, "namespace "+name)
	}
	text := strings.Join(lines, "\n")
	for name := range clusters {
		text = strings.ReplaceAll(text, name, "<cluster>")
	}
	for _, c := range chance {
		text = c.pattern.ReplaceAllString(text, c.instead)
	}
	lines = strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// owners are those of a pool's addresses, with how many each has.
func owners(t testing.TB, value json.RawMessage) string {
	t.Helper()
	var used map[string]string
	if err := json.Unmarshal(value, &used); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, owner := range used {
		count[owner]++
	}
	var out []string
	for owner, n := range count {
		out = append(out, owner+" "+strconv.Itoa(n))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
