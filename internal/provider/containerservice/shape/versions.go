package shape

import (
	"slices"
	"strconv"
	"strings"
)

// Versions are the versions of Kubernetes that can be run, newest first. The first is the default.
type Versions []string

// Default is the version of who names none.
func (v Versions) Default() string {
	if len(v) == 0 {
		return ""
	}
	return v[0]
}

// Resolve finds the version that is meant: itself, or with 1.37 the newest patch of it.
func (v Versions) Resolve(name string) (string, bool) {
	if slices.Contains(v, name) {
		return name, true
	}
	if strings.Count(name, ".") == 1 {
		for _, have := range v {
			if strings.HasPrefix(have, name+".") {
				return have, true
			}
		}
	}
	return "", false
}

// Upgrades lists the versions that a cluster of this version may go to: newer patches, and the next minor.
func (v Versions) Upgrades(from string) []string {
	var out []string
	for _, have := range v {
		if Compare(have, from) > 0 && Minor(have) <= Minor(from)+1 {
			out = append(out, have)
		}
	}
	return out
}

// String lists them for an error.
func (v Versions) String() string { return strings.Join(v, ", ") }

// Minor is 37 of 1.37.1.
func Minor(version string) int { return part(version, 1) }

// Compare orders versions as numbers.
func Compare(a, b string) int {
	for i := range 3 {
		if d := part(a, i) - part(b, i); d != 0 {
			return d
		}
	}
	return 0
}

func part(version string, i int) int {
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	if i >= len(parts) {
		return 0
	}
	n, err := strconv.Atoi(parts[i])
	if err != nil {
		return 0
	}
	return n
}
