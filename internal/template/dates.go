package template

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// https://learn.microsoft.com/azure/azure-resource-manager/templates/template-functions-date
var dateFunctions = map[string]function{
	"dateTimeAdd": {min: 2, max: 3, do: func(_ *env, a args) (any, error) {
		t, ok := moment(a.str(0))
		if !ok {
			a.fail("%s is no date: write 2026-01-31T12:00:00Z", show(a.all[0]))
			return nil, nil
		}
		d := duration.FindStringSubmatch(a.str(1))
		if d == nil || strings.Trim(a.str(1), "+-PT") == "" {
			a.fail("%s is no duration of ISO 8601: write P1Y2M3DT4H5M6S, -P1D", show(a.all[1]))
			return nil, nil
		}
		sign := 1
		if d[1] == "-" {
			sign = -1
		}
		n := func(i int) int { v, _ := strconv.Atoi(d[i]); return sign * v }
		t = t.AddDate(n(2), n(3), n(4)*7+n(5)).Add(time.Duration(n(6))*time.Hour + time.Duration(n(7))*time.Minute + time.Duration(n(8))*time.Second)
		return stamp(t, a.strOr(2, iso)), nil
	}},
	"dateTimeFromEpoch": {min: 1, max: 1, do: func(_ *env, a args) (any, error) { return stamp(time.Unix(a.num(0), 0).UTC(), iso), nil }},
	"dateTimeToEpoch": {min: 1, max: 1, do: func(_ *env, a args) (any, error) {
		t, ok := moment(a.str(0))
		if !ok {
			a.fail("%s is no date: write 2026-01-31T12:00:00Z", show(a.all[0]))
		}
		return t.Unix(), nil
	}},
	"utcNow": {min: 0, max: 1, do: func(e *env, a args) (any, error) {
		if !e.t.inDefaults {
			return nil, failed("the function 'utcNow' may only stand in a parameter's default value")
		}
		form := basic
		if a.len() > 0 {
			form = a.str(0)
		}
		return stamp(e.t.context.Now.UTC(), form), nil
	}},
}

var duration = regexp.MustCompile(`^([+-]?)P(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?$`)

const (
	iso   = "yyyy-MM-ddTHH:mm:ssZ"
	basic = "yyyyMMddTHHmmssZ"
)

func moment(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "20060102T150405Z", "2006-01-02", "1/2/2006 15:04:05", "1/2/2006 3:04:05 PM", "1/2/2006"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// standard are .NET's formats of one letter.
var standard = map[string]string{
	"d": "M/d/yyyy", "D": "dddd, MMMM d, yyyy", "s": "yyyy-MM-ddTHH:mm:ss", "u": "yyyy-MM-dd HH:mm:ssZ", "o": "yyyy-MM-ddTHH:mm:ss.fffffffZ", "O": "yyyy-MM-ddTHH:mm:ss.fffffffZ",
	"g": "M/d/yyyy h:mm tt", "G": "M/d/yyyy h:mm:ss tt", "t": "h:mm tt", "T": "h:mm:ss tt", "r": "ddd, dd MMM yyyy HH:mm:ss 'GMT'", "R": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
	"f": "dddd, MMMM d, yyyy h:mm tt", "F": "dddd, MMMM d, yyyy h:mm:ss tt", "M": "MMMM d", "m": "MMMM d", "Y": "MMMM yyyy", "y": "MMMM yyyy",
}

// letters are the parts of .NET's own formats, the longer ones of a letter first, as Go writes them.
var letters = []struct{ net, layout string }{
	{"yyyy", "2006"}, {"yy", "06"}, {"MMMM", "January"}, {"MMM", "Jan"}, {"MM", "01"}, {"M", "1"},
	{"dddd", "Monday"}, {"ddd", "Mon"}, {"dd", "02"}, {"d", "2"}, {"HH", "15"}, {"H", "15"}, {"hh", "03"}, {"h", "3"},
	{"mm", "04"}, {"m", "4"}, {"ss", "05"}, {"s", "5"}, {"tt", "PM"}, {"zzz", "-07:00"}, {"K", "Z07:00"},
}

// stamp writes a moment in one of .NET's date formats.
func stamp(t time.Time, form string) string {
	if s, ok := standard[form]; ok {
		form = s
	}
	var out strings.Builder
	for form != "" {
		if form[0] == '\'' { // what stands in quotes stays as it is
			quoted, rest, _ := strings.Cut(form[1:], "'")
			out.WriteString(quoted)
			form = rest
			continue
		}
		if n := len(form) - len(strings.TrimLeft(form, "f")); n > 0 { // parts of a second
			n = min(n, 9)
			out.WriteString(t.Format("." + strings.Repeat("0", n))[1:])
			form = form[n:]
			continue
		}
		took := 0
		for _, l := range letters {
			if strings.HasPrefix(form, l.net) {
				out.WriteString(t.Format(l.layout))
				took = len(l.net)
				break
			}
		}
		if took == 0 {
			out.WriteByte(form[0])
			took = 1
		}
		form = form[took:]
	}
	return out.String()
}
