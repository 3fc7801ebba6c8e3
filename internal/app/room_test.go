package app

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cloister.dev/cloister/internal/arm"
)

type fakeSpace struct{ used, quota int64 }

func (f fakeSpace) Space(context.Context) (used, quota int64, err error) { return f.used, f.quota, nil }

func TestRoom(t *testing.T) {
	const gib = 1 << 30
	for what, c := range map[string]struct {
		free, space int64
		err         error
		store       any
		want        string // of the error; empty: it fits
	}{
		"fits":                    {free: 3 * gib, space: gib},
		"just fits":               {free: 2 * gib, space: gib},
		"does not fit":            {free: 2*gib - 1<<20, space: gib, want: "has 2.0 GiB free, and this needs 2.0 GiB: 1.0 GiB for itself"},
		"nothing fits":            {free: 5 << 20, want: "has 5 MiB free, and this needs 1.0 GiB"},
		"no such folder":          {err: fs.ErrNotExist},
		"the store has room":      {free: 3 * gib, store: fakeSpace{gib, 2 * gib}},
		"the store is full":       {free: 3 * gib, store: fakeSpace{2*gib - 1<<20, 2 * gib}, want: "store holds 2.0 GiB of at most 2.0 GiB"},
		"the store has no limit":  {free: 3 * gib, store: fakeSpace{9 * gib, 0}},
		"a store without figures": {free: 3 * gib, store: 1},
	} {
		r := &room{dir: "/data", store: c.store, free: func(string) (int64, error) { return c.free, c.err }}
		err := r.check(t.Context(), c.space)
		var e *arm.Error
		switch {
		case c.want == "":
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		case !errors.As(err, &e) || e.Status != http.StatusInsufficientStorage || !strings.Contains(e.Message, c.want):
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
}

func TestBallast(t *testing.T) {
	free := int64(0)
	b := &ballast{file: filepath.Join(t.TempDir(), "ballast"), free: func(string) (int64, error) { return free, nil }}
	for _, step := range []struct {
		free    int64
		there   bool
		problem bool
	}{
		{keepFree + 1, false, false}, {keepFree + ballastSize, true, false}, {keepFree, true, false}, {keepFree - 1, true, true},
		{lowWater - 1, false, true}, {lowWater + ballastSize, false, true}, {2 * keepFree, true, false},
	} {
		free = step.free
		problem, err := b.keep()
		if err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(b.file)
		if (err == nil) != step.there || (problem != nil) != step.problem || err == nil && st.Size() != ballastSize {
			t.Errorf("with %d free: %v, problem %v", step.free, err, problem)
		}
	}
}
