package arm

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// splitPath takes a path as it stood in the request line apart: empty segments
// are dropped (`//`), each segment is decoded. What could become another path
// after decoding (a slash, a dot segment) is refused, not repaired.
func splitPath(escaped string) ([]string, *Error) {
	var segs []string
	for raw := range strings.SplitSeq(escaped, "/") {
		if raw == "" {
			continue
		}
		seg, err := url.PathUnescape(raw)
		if err != nil {
			return nil, BadRequest("InvalidRequestUri", "The path segment '%s' is not percent-encoded correctly.", printable(raw))
		}
		if seg == "." || seg == ".." || strings.ContainsAny(seg, `/\`) || !utf8.ValidString(seg) || strings.ContainsFunc(seg, unicode.IsControl) {
			return nil, BadRequest("InvalidResourceName", "The name '%s' in the path is not allowed: a name holds no slash, backslash or control character, and is not '.' or '..'.", printable(seg))
		}
		segs = append(segs, seg)
	}
	return segs, nil
}

// printable makes text of a client safe to show in messages.
func printable(s string) string {
	out := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
	if len(out) > 200 {
		return out[:200]
	}
	return out
}

// CollapseSlashes makes `//` in paths one slash before next sees them: Azure's
// clients send it, and http.ServeMux would answer with a redirect, which breaks a PUT.
func CollapseSlashes(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if escaped := r.URL.EscapedPath(); strings.Contains(escaped, "//") {
			u := *r.URL
			u.RawPath = collapse(escaped)
			if path, err := url.PathUnescape(u.RawPath); err == nil { // it came from a URL: it can be decoded
				u.Path = path
				r2 := *r
				r2.URL = &u
				r = &r2
			}
		}
		next.ServeHTTP(w, r)
	})
}

func collapse(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}
