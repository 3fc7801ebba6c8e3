package figure

import (
	"strings"
	"testing"
)

func TestRow(t *testing.T) {
	for _, c := range []struct {
		row  Row
		met  bool
		text string
	}{
		{Row{Value: 3, Unit: "% of a core", Peer: "p", Other: 4, Reach: Reach{MostValue: 5}}, true, "≤ 5 % of a core reached"},
		{Row{Value: 3, Peer: "p", Other: 6, Reach: Reach{Least: 0.5}}, true, "0.50 × ≥ 0.5 × reached"},
		{Row{Value: 3, Peer: "p", Other: 7, Reach: Reach{Least: 0.5}}, false, "0.43 × ≥ 0.5 × missed"},
		{Row{Value: 2, Peer: "p", Reach: Reach{Most: 1}}, false, "p: not measured ≤ 1 × unknown"},
		{Row{Value: 120000, Unit: "/s"}, true, "120k/s"},
	} {
		if got := strings.Join(nonEmpty(c.row.columns()), " "); c.row.Met() != c.met || !strings.HasSuffix(got, c.text) {
			t.Errorf("%+v: met %t, %q", c.row, c.row.Met(), got)
		}
	}
}

func TestPercentile(t *testing.T) {
	if a, b := Percentile([]float64{3, 1, 2}, 0.5), Percentile([]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.95); a != 2 || b != 10 {
		t.Error(a, b)
	}
}
