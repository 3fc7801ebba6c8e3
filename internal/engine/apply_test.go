package engine

import (
	"testing"
	"time"
)

func TestPause(t *testing.T) {
	for _, c := range []struct {
		why               string
		ran, before, want time.Duration
	}{
		{"one that ran well", time.Hour, 0, 0},
		{"one that ran well at last", time.Hour, 30 * time.Second, 0},
		{"one that ended soon", 3 * time.Second, 0, time.Second},
		{"one that ended at once", 0, 0, time.Second},
		{"once more", 0, time.Second, 2 * time.Second},
		{"again and again", 0, 20 * time.Second, 30 * time.Second},
		{"one that gets better", 9 * time.Second, 8 * time.Second, time.Second},
	} {
		if got := pause(c.ran, c.before); got != c.want {
			t.Errorf("%s: a pause of %s, want %s", c.why, got, c.want)
		}
	}
}
