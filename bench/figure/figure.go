// Package figure holds what a benchmark measured, beside its peer's value of the same
// run and the ratio that is to be reached, and prints it.
package figure

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Row is one measured value.
type Row struct {
	Name  string  // what was measured: "ARM GET, 32 connections"
	Value float64 // Cloister's
	Unit  string  // "/s", "ms", "MB"
	Peer  string  // whom it is compared with; "" for nobody
	Other float64 // the peer's value; 0: it was not measured, see Note
	Reach Reach   // what is to be reached; the zero Reach: nothing
	Note  string  // how it was measured, in a few words, or why not
}

// Reach is a bound: of the ratio to the peer's value, or of the value itself.
type Reach struct {
	Least, Most           float64 // of Value / Other; 0: no bound
	LeastValue, MostValue float64 // of Value; 0: no bound
}

// Report collects rows and prints each as it comes.
type Report struct {
	Out  io.Writer
	Rows []Row
}

// Add adds a row.
func (r *Report) Add(row Row) {
	r.Rows = append(r.Rows, row)
	_, _ = fmt.Fprintln(r.Out, "  "+strings.Join(nonEmpty(row.columns()), "  "))
}

// Ratio is Cloister's value over the peer's, 0 without a peer.
func (r Row) Ratio() float64 {
	if r.Other == 0 {
		return 0
	}
	return r.Value / r.Other
}

// Met tells whether what is to be reached was.
func (r Row) Met() bool {
	b, ratio := r.Reach, r.Ratio()
	if b.LeastValue > 0 && r.Value < b.LeastValue || b.MostValue > 0 && r.Value > b.MostValue {
		return false
	}
	if b.Least > 0 && ratio < b.Least {
		return false
	}
	return b.Most == 0 || ratio > 0 && ratio <= b.Most
}

func (r Row) columns() []string {
	out := []string{r.Name, number(r.Value) + unit(r.Unit), "", "", "", "", r.Note}
	if r.Peer != "" {
		out[2] = r.Peer + ": not measured"
	}
	if r.Other > 0 {
		out[2], out[3] = r.Peer+" "+number(r.Other)+unit(r.Unit), fmt.Sprintf("%.2f ×", r.Ratio())
	}
	if r.Reach != (Reach{}) {
		out[4], out[5] = r.Reach.text(r.Unit), "missed"
		if r.Met() {
			out[5] = "reached"
		} else if r.Peer != "" && r.Other == 0 {
			out[5] = "unknown"
		}
	}
	return out
}

func (b Reach) text(u string) string {
	var parts []string
	for _, p := range []struct {
		bound float64
		sign  string
		unit  string
	}{{b.Least, "≥ ", " ×"}, {b.Most, "≤ ", " ×"}, {b.LeastValue, "≥ ", unit(u)}, {b.MostValue, "≤ ", unit(u)}} {
		if p.bound > 0 {
			parts = append(parts, p.sign+number(p.bound)+p.unit)
		}
	}
	return strings.Join(parts, ", ")
}

func unit(u string) string {
	if u == "" || strings.HasPrefix(u, "/") {
		return u
	}
	return " " + u
}

// number prints three digits that count.
func number(v float64) string {
	switch {
	case v >= 1e5:
		return fmt.Sprintf("%.0fk", v/1000)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".")
}

func nonEmpty(in []string) []string {
	var out []string
	for _, s := range in {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// Table prints all rows below each other.
func (r *Report) Table() error {
	w := tabwriter.NewWriter(r.Out, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, strings.Join([]string{"FIGURE", "CLOISTER", "AGAINST", "RATIO", "REACH", "", "NOTE"}, "\t"))
	for _, row := range r.Rows {
		_, _ = fmt.Fprintln(w, strings.Join(row.columns(), "\t"))
	}
	return w.Flush()
}

// Missed counts the rows whose reach was measured and missed.
func (r *Report) Missed() int {
	n := 0
	for _, row := range r.Rows {
		if !row.Met() && (row.Peer == "" || row.Other > 0) {
			n++
		}
	}
	return n
}

// Percentile is the value below which the share p (0 to 1) of the values lies; it sorts nothing of the caller's.
func Percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	i := int(p*float64(len(sorted)-1) + 0.5)
	return sorted[i]
}
