package reconcile

import (
	"fmt"
	"slices"
	"strings"
)

// Graph shows what each reconciler reads and writes, one line each, by name:
//
//	network  reads /res/, /spec/node/  writes /spec/network/
func Graph(reconcilers []Reconciler) string {
	sorted := slices.SortedFunc(slices.Values(reconcilers), func(a, b Reconciler) int { return strings.Compare(a.Name, b.Name) })
	width := 0
	for _, r := range sorted {
		width = max(width, len(r.Name))
	}
	var b strings.Builder
	for _, r := range sorted {
		var reads []string
		for _, w := range r.Watches {
			reads = append(reads, w.Prefix)
		}
		slices.Sort(reads)
		fmt.Fprintf(&b, "%-*s  reads %s", width, r.Name, strings.Join(slices.Compact(reads), ", "))
		if len(r.Writes) > 0 {
			fmt.Fprintf(&b, "  writes %s", strings.Join(slices.Sorted(slices.Values(r.Writes)), ", "))
		}
		b.WriteByte('\n')
	}
	return b.String()
}
