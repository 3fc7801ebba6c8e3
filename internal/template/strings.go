package template

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/bits"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
)

// https://learn.microsoft.com/azure/azure-resource-manager/templates/template-functions-string
var stringFunctions = map[string]function{
	"base64":         {min: 1, max: 1, do: func(_ *env, a args) (any, error) { return base64.StdEncoding.EncodeToString([]byte(a.str(0))), nil }},
	"base64ToString": {min: 1, max: 1, do: func(_ *env, a args) (any, error) { return unbase64(a, a.str(0)), nil }},
	"base64ToJson": {min: 1, max: 1, do: func(e *env, a args) (any, error) {
		text := unbase64(a, a.str(0))
		return objectFunctions["json"].do(e, args{[]any{text}, a.err})
	}},
	"dataUri": {min: 1, max: 1, do: func(_ *env, a args) (any, error) {
		s, ok := simple(a.all[0])
		if !ok {
			a.wrong(0, "a string")
		}
		return "data:text/plain;charset=utf8;base64," + base64.StdEncoding.EncodeToString([]byte(s)), nil
	}},
	"dataUriToString": {min: 1, max: 1, do: func(_ *env, a args) (any, error) {
		head, data, ok := strings.Cut(strings.TrimPrefix(a.str(0), "data:"), ",")
		if !ok || !strings.HasPrefix(a.str(0), "data:") {
			a.fail("the text is no data URI (data:[type][;base64],data)")
			return nil, nil
		}
		if strings.HasSuffix(head, ";base64") {
			return unbase64(a, data), nil
		}
		return unescape(a, data), nil
	}},
	"endsWith": {min: 2, max: 2, do: func(_ *env, a args) (any, error) {
		return strings.HasSuffix(strings.ToLower(a.str(0)), strings.ToLower(a.str(1))), nil
	}},
	"startsWith": {min: 2, max: 2, do: func(_ *env, a args) (any, error) {
		return strings.HasPrefix(strings.ToLower(a.str(0)), strings.ToLower(a.str(1))), nil
	}},
	"format": {min: 2, max: -1, do: func(_ *env, a args) (any, error) { return format(a, a.str(0), a.all[1:]) }},
	"guid":   {min: 1, max: -1, do: func(_ *env, a args) (any, error) { return uuid.NewSHA1(guidSpace, []byte(joined(a))).String(), nil }},
	"join": {min: 2, max: 2, do: func(_ *env, a args) (any, error) {
		var parts []string
		for _, v := range a.list(0) {
			s, ok := simple(v)
			if !ok {
				a.fail("all elements must be strings, ints or bools, not %s", kind(v))
			}
			parts = append(parts, s)
		}
		return strings.Join(parts, a.str(1)), nil
	}},
	"padLeft": {min: 2, max: 3, do: func(_ *env, a args) (any, error) {
		s, _ := simple(a.all[0])
		fill := a.strOr(2, " ")
		n := int(a.num(1)) - utf8.RuneCountInString(s)
		if utf8.RuneCountInString(fill) != 1 {
			a.fail("argument 3 must be one character")
		}
		if n > maxText {
			a.fail("the result is longer than %d characters", maxText)
			return nil, nil
		}
		return strings.Repeat(fill, max(n, 0)) + s, nil
	}},
	"replace": {min: 3, max: 3, do: func(_ *env, a args) (any, error) {
		s, old, by := a.str(0), a.str(1), a.str(2)
		if old == "" || len(s)+strings.Count(s, old)*len(by) > 2*maxText {
			a.fail("argument 2 is empty, or the result is longer than %d bytes", maxText)
			return nil, nil
		}
		return strings.ReplaceAll(s, old, by), nil
	}},
	"split":  {min: 2, max: 2, do: split},
	"string": {min: 1, max: 1, do: func(_ *env, a args) (any, error) { return text(a.all[0]), nil }},
	"substring": {min: 2, max: 3, do: func(_ *env, a args) (any, error) {
		r, from := []rune(a.str(0)), a.num(1)
		n := int64(len(r)) - from
		if a.len() > 2 {
			n = a.num(2)
		}
		if from < 0 || n < 0 || from > int64(len(r)) || n > int64(len(r))-from {
			a.fail("the text has %d characters: there are no %d from position %d on", len(r), n, from)
			return nil, nil
		}
		return string(r[from : from+n]), nil
	}},
	"toLower":      {min: 1, max: 1, do: func(_ *env, a args) (any, error) { return strings.ToLower(a.str(0)), nil }},
	"toUpper":      {min: 1, max: 1, do: func(_ *env, a args) (any, error) { return strings.ToUpper(a.str(0)), nil }},
	"trim":         {min: 1, max: 1, do: func(_ *env, a args) (any, error) { return strings.TrimSpace(a.str(0)), nil }},
	"uniqueString": {min: 1, max: -1, do: func(_ *env, a args) (any, error) { return unique(joined(a)), nil }},
	"uri":          {min: 2, max: 2, do: uri},
	"uriComponent": {min: 1, max: 1, do: func(_ *env, a args) (any, error) {
		return strings.ReplaceAll(url.QueryEscape(a.str(0)), "+", "%20"), nil
	}},
	"uriComponentToString": {min: 1, max: 1, do: func(_ *env, a args) (any, error) { return unescape(a, a.str(0)), nil }},
	"buildUri":             {min: 1, max: 1, do: buildURI},
}

func unbase64(a args, s string) string {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || !utf8.Valid(b) {
		a.fail("the text is no base64 of UTF-8")
	}
	return string(b)
}

func unescape(a args, s string) string {
	out, err := url.PathUnescape(s)
	if err != nil {
		a.fail("the text is not percent-encoded correctly")
	}
	return out
}

// simple is the text of a string, a number or a bool.
func simple(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	case bool:
		if v {
			return "True", true
		}
		return "False", true
	}
	return "", false
}

// text is any value as a text: JSON, where it is no simple one.
func text(v any) string {
	if s, ok := simple(v); ok {
		return s
	}
	if v == nil {
		return ""
	}
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return ""
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func split(_ *env, a args) (any, error) {
	var seps []string
	switch d := a.all[1].(type) {
	case string:
		seps = []string{d}
	case []any:
		for _, v := range d {
			s, _ := v.(string)
			seps = append(seps, s)
		}
	default:
		a.wrong(1, "a string or an array of strings")
	}
	rest, out := a.str(0), []any{}
	for {
		first, width := -1, 0
		for _, sep := range seps {
			if i := strings.Index(rest, sep); sep != "" && i >= 0 && (first < 0 || i < first || i == first && len(sep) > width) {
				first, width = i, len(sep)
			}
		}
		if first < 0 {
			return append(out, rest), nil
		}
		out, rest = append(out, rest[:first]), rest[first+width:]
	}
}

func joined(a args) string {
	var parts []string
	for i := range a.all {
		parts = append(parts, a.str(i))
	}
	return strings.Join(parts, "-")
}

// guidSpace is the name space that ARM's guid() hashes in.
var guidSpace = uuid.MustParse("11fb06fb-712d-4ddd-98c7-e71bbd588830")

// unique is uniqueString: 13 characters of base32 of a MurmurHash of 64 bits in two lanes.
func unique(s string) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	h := murmur64([]byte(s))
	out := make([]byte, 13)
	for i := range out {
		out[i] = alphabet[h>>59]
		h <<= 5
	}
	return string(out)
}

func murmur64(b []byte) uint64 {
	const c1, c2 = 0x239b961b, 0xab0e9789
	mix1 := func(k uint32) uint32 { return bits.RotateLeft32(k*c1, 15) * c2 }
	mix2 := func(k uint32) uint32 { return bits.RotateLeft32(k*c2, 17) * c1 }
	var h1, h2 uint32
	n := len(b)
	for ; len(b) >= 8; b = b[8:] {
		h1 = (bits.RotateLeft32(h1^mix1(binary.LittleEndian.Uint32(b)), 19)+h2)*5 + 0x561ccd1b
		h2 = (bits.RotateLeft32(h2^mix2(binary.LittleEndian.Uint32(b[4:])), 13)+h1)*5 + 0x0bcaa747
	}
	if len(b) > 0 {
		var tail [8]byte
		copy(tail[:], b)
		h1 ^= mix1(binary.LittleEndian.Uint32(tail[:]))
		if len(b) > 4 {
			h2 ^= mix2(binary.LittleEndian.Uint32(tail[4:]))
		}
	}
	end := func(h uint32) uint32 {
		h = (h ^ h>>16) * 0x85ebca6b
		h = (h ^ h>>13) * 0xc2b2ae35
		return h ^ h>>16
	}
	h1, h2 = h1^uint32(n), h2^uint32(n)
	h1 += h2
	h2 += h1
	h1, h2 = end(h1), end(h2)
	h1 += h2
	h2 += h1
	return uint64(h2)<<32 | uint64(h1)
}

// uri combines a base and a relative address as .NET's Uri does.
func uri(_ *env, a args) (any, error) {
	base, err := url.Parse(a.str(0))
	rel, err2 := url.Parse(a.str(1))
	if err != nil || err2 != nil || base.Scheme == "" {
		a.fail("argument 1 must be an absolute URI, and argument 2 one that is relative to it")
		return nil, nil
	}
	return base.ResolveReference(rel).String(), nil
}

func buildURI(_ *env, a args) (any, error) {
	m := a.obj(0)
	u := url.URL{Scheme: "https", Host: text(field(m, "host")), Path: text(field(m, "path")), RawQuery: strings.TrimPrefix(text(field(m, "query")), "?")}
	if s := text(field(m, "scheme")); s != "" {
		u.Scheme = s
	}
	if port := text(field(m, "port")); port != "" {
		u.Host += ":" + port
	}
	return u.String(), nil
}

// format is .NET's composite format: {index[,width][:format]}, {{ and }}.
func format(a args, f string, values []any) (any, error) {
	var out strings.Builder
	for i := 0; i < len(f); i++ {
		c := f[i]
		switch {
		case (c == '{' || c == '}') && i+1 < len(f) && f[i+1] == c:
			out.WriteByte(c)
			i++
		case c == '{':
			end := strings.IndexByte(f[i:], '}')
			if end < 0 {
				a.fail("the format has a '{' without '}'")
				return nil, nil
			}
			out.WriteString(hole(a, f[i+1:i+end], values))
			i += end
		case c == '}':
			a.fail("the format has a '}' without '{': write '}}' for the character")
			return nil, nil
		default:
			out.WriteByte(c)
		}
		if out.Len() > maxText {
			a.fail("the result is longer than %d bytes", maxText)
			return nil, nil
		}
	}
	return out.String(), nil
}

func hole(a args, spec string, values []any) string {
	spec, form, _ := strings.Cut(spec, ":")
	place, width, _ := strings.Cut(spec, ",")
	i, err := strconv.Atoi(strings.TrimSpace(place))
	if err != nil || i < 0 || i >= len(values) {
		a.fail("the format asks for value {%s}: there are %d, from {0} on", place, len(values))
		return ""
	}
	s := shaped(a, values[i], form)
	if w, err := strconv.Atoi(strings.TrimSpace(width)); err == nil && w > -10_000 && w < 10_000 {
		s = fmt.Sprintf("%*s", w, s)
	}
	return s
}

// shaped is a value in one of .NET's numeric formats.
func shaped(a args, v any, form string) string {
	n, ok := v.(int64)
	if form == "" || !ok {
		return text(v)
	}
	digits, err := strconv.Atoi(form[1:])
	if len(form) == 1 {
		digits, err = -1, nil
	}
	if digits > 99 {
		err = strconv.ErrRange
	}
	switch {
	case strings.Trim(form, "0") == "":
		return fmt.Sprintf("%0*d", len(form), n)
	case err != nil:
	case form[0] == 'D' || form[0] == 'd':
		return fmt.Sprintf("%0*d", max(digits, 0), n)
	case form[0] == 'X':
		return fmt.Sprintf("%0*X", max(digits, 0), n)
	case form[0] == 'x':
		return fmt.Sprintf("%0*x", max(digits, 0), n)
	case form[0] == 'N' || form[0] == 'n':
		return grouped(n, digits)
	case form[0] == 'F' || form[0] == 'f':
		if digits < 0 {
			digits = 2
		}
		return strconv.FormatFloat(float64(n), 'f', digits, 64)
	}
	a.fail("the number format '%s' is not known. There are D, F, N, X with a number of digits, and zeros", form)
	return ""
}

func grouped(n int64, digits int) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if digits < 0 {
		digits = 2
	}
	if digits > 0 {
		s += "." + strings.Repeat("0", digits)
	}
	return sign + s
}
