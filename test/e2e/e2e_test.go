package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"cloister.dev/cloister/test/walk"
)

// TestStory walks through the story and wants the host to be as before at the end.
func TestStory(t *testing.T) {
	w := started(t, "story")
	if out, err := exec.Command(w.Cloister, "up").CombinedOutput(); err != nil {
		t.Fatalf("a second cloister up: %v\n%s", err, out)
	}
	take(t, w, walk.Story())
}

// TestWorkloads walks through what people run in a private cluster.
func TestWorkloads(t *testing.T) {
	take(t, started(t, "workloads"), walk.Workloads())
}

// take walks the steps, each as a test, up to the first that fails.
func take(t *testing.T, w *walk.Walk, steps []walk.Step) {
	t.Helper()
	for _, s := range steps {
		if !t.Run(strings.Fields(s.Name)[0]+"/"+s.Name, func(t *testing.T) {
			start := time.Now()
			if err := s.Run(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			fmt.Printf("   (%.1f s)\n", time.Since(start).Seconds())
		}) {
			return
		}
	}
}
