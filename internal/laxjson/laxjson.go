// Package laxjson reads JSON the way ARM's own reader does: with comments, names without quotes or with single ones,
// commas at the end of a list, and line breaks inside texts. It knows where each value stood, for errors.
package laxjson

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deep values may be nested.
const maxDepth = 500

// Node is a value and where it stood.
type Node struct {
	Offset  int // of its first byte
	Members []Member
	Items   []*Node
	value   any
	kind    byte // '{', '[' or 'v'
}

// Member is a name of an object with its value.
type Member struct {
	Name  string
	Value *Node
}

// SyntaxError says what is wrong with a text, and where: both count from 1.
type SyntaxError struct {
	Line, Column int
	Msg          string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s at line %d, position %d", e.Msg, e.Line, e.Column)
}

// Parse reads one value and nothing after it; the error is a *SyntaxError.
func Parse(text []byte) (*Node, error) {
	p := &parser{text: text}
	p.space()
	n, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.bad == nil && p.at < len(text) {
		p.fail("there is text after the end of the value")
	}
	if p.bad != nil {
		return nil, p.bad
	}
	return n, nil
}

// Value is the node as encoding/json would decode it into an any; of a name that is there twice, the last counts.
func (n *Node) Value() any {
	switch n.kind {
	case '{':
		out := make(map[string]any, len(n.Members))
		for _, m := range n.Members {
			out[m.Name] = m.Value.Value()
		}
		return out
	case '[':
		out := make([]any, len(n.Items))
		for i, item := range n.Items {
			out[i] = item.Value()
		}
		return out
	}
	return n.value
}

// Find follows names (any case) and indexes. It goes as far as the path leads.
func (n *Node) Find(path ...any) *Node {
	for _, step := range path {
		next := n.step(step)
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

func (n *Node) step(step any) *Node {
	var out *Node
	switch step := step.(type) {
	case string:
		for _, m := range n.Members {
			if strings.EqualFold(m.Name, step) {
				out = m.Value
			}
		}
	case int:
		if step >= 0 && step < len(n.Items) {
			out = n.Items[step]
		}
	}
	return out
}

// Position is the line and column of an offset, from 1.
func Position(text []byte, offset int) (line, column int) {
	before := text[:min(max(offset, 0), len(text))]
	line = bytes.Count(before, []byte("\n")) + 1
	return line, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
}

type parser struct {
	text []byte
	at   int
	bad  *SyntaxError
}

func (p *parser) fail(format string, args ...any) {
	if p.bad == nil {
		line, column := Position(p.text, p.at)
		p.bad = &SyntaxError{line, column, fmt.Sprintf(format, args...)}
	}
}

func (p *parser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

// space skips blanks and comments.
func (p *parser) space() {
	for p.at < len(p.text) {
		rest := p.text[p.at:]
		switch {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			p.at++
		case bytes.HasPrefix(rest, []byte("//")):
			end := bytes.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			p.at += end
		case bytes.HasPrefix(rest, []byte("/*")):
			end := bytes.Index(rest[2:], []byte("*/"))
			if end < 0 {
				p.fail("a comment has no end")
				return
			}
			p.at += end + 4
		default:
			return
		}
	}
}

func (p *parser) value(depth int) (*Node, error) {
	n := &Node{Offset: p.at, kind: 'v'}
	switch c := p.peek(); {
	case depth > maxDepth:
		p.fail("values are nested deeper than %d", maxDepth)
	case p.at >= len(p.text):
		p.fail("a value is missing")
	case c == '{':
		n.kind = c
		p.object(n, depth)
	case c == '[':
		n.kind = c
		p.array(n, depth)
	case c == '"' || c == '\'':
		n.value = p.quoted(c)
	default:
		p.word(n)
	}
	if p.bad != nil {
		return nil, p.bad
	}
	return n, nil
}

func (p *parser) object(n *Node, depth int) {
	p.at++
	for p.bad == nil {
		p.space()
		if p.peek() == '}' {
			p.at++
			return
		}
		var name string
		if c := p.peek(); c == '"' || c == '\'' {
			name = p.quoted(c)
		} else if name = p.bare(); name == "" {
			p.fail("a name or '}' is missing")
			return
		}
		p.space()
		if p.peek() != ':' {
			p.fail("':' is missing after the name '%s'", name)
			return
		}
		p.at++
		p.space()
		v, err := p.value(depth + 1)
		if err != nil {
			return
		}
		n.Members = append(n.Members, Member{name, v})
		p.space()
		switch p.peek() {
		case ',':
			p.at++
		case '}':
		default:
			p.fail("',' or '}' is missing")
		}
	}
}

func (p *parser) array(n *Node, depth int) {
	p.at++
	for p.bad == nil {
		p.space()
		if p.peek() == ']' {
			p.at++
			return
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return
		}
		n.Items = append(n.Items, v)
		p.space()
		switch p.peek() {
		case ',':
			p.at++
		case ']':
		default:
			p.fail("',' or ']' is missing")
		}
	}
}

// bare is a name or word without quotes.
func (p *parser) bare() string {
	start := p.at
	for p.at < len(p.text) && (p.text[p.at] >= utf8.RuneSelf || strings.IndexByte("+-._$", p.text[p.at]) >= 0 || isWord(p.text[p.at])) {
		p.at++
	}
	return string(p.text[start:p.at])
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func (p *parser) word(n *Node) {
	switch w := p.bare(); w {
	case "true", "false":
		n.value = w == "true"
	case "null":
	default:
		f, err := strconv.ParseFloat(w, 64)
		if err != nil || strings.ContainsAny(w, "xXnN_") {
			p.at = n.Offset
			p.fail("a value is missing")
			return
		}
		n.value = f
	}
}

// quoted reads a text between two of quote.
func (p *parser) quoted(quote byte) string {
	start := p.at
	p.at++
	var out strings.Builder
	for p.at < len(p.text) {
		switch c := p.text[p.at]; c {
		case quote:
			p.at++
			return string([]rune(out.String())) // each byte that is no UTF-8 becomes U+FFFD
		case '\\':
			p.at++
			p.escape(&out)
			if p.bad != nil {
				return ""
			}
		default:
			out.WriteByte(c)
			p.at++
		}
	}
	p.at = start
	p.fail("a text has no end")
	return ""
}

var escapes = map[byte]string{'"': `"`, '\'': "'", '\\': `\`, '/': "/", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t"}

func (p *parser) escape(out *strings.Builder) {
	c := p.peek()
	p.at++
	if s, ok := escapes[c]; ok {
		out.WriteString(s)
		return
	}
	if c != 'u' {
		p.fail("'\\%c' means nothing in a text", c)
		return
	}
	r := p.hex()
	if utf16.IsSurrogate(r) && bytes.HasPrefix(p.text[p.at:], []byte(`\u`)) {
		p.at += 2
		r = utf16.DecodeRune(r, p.hex())
	}
	out.WriteRune(r)
}

func (p *parser) hex() rune {
	if p.at+4 > len(p.text) {
		p.fail("\\u needs four digits")
		return 0
	}
	v, err := strconv.ParseUint(string(p.text[p.at:p.at+4]), 16, 16)
	if err != nil {
		p.fail("\\u needs four digits")
		return 0
	}
	p.at += 4
	return rune(v)
}
