package template

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxExpression is the longest expression, in characters, as Azure's.
// https://learn.microsoft.com/azure/azure-resource-manager/templates/best-practices#template-limits
const maxExpression = 24_576

// node is a part of an expression: a value, a call, or what is taken out of another one.
type node struct {
	at    int    // column in the text that holds the expression, from 1
	op    string // "value", "call", "member", "index"
	value any    // of a value
	name  string // of a call (ns.name of a user's function) or a member
	args  []*node
	of    *node // what a member or an index is taken of
}

// isExpression tells whether a text is one: [..], but not [[.
func isExpression(s string) bool {
	return len(s) >= 2 && s[0] == '[' && s[len(s)-1] == ']' && s[1] != '['
}

// literal is a text that is no expression: [[x] stands for [x].
func literal(s string) string {
	if strings.HasPrefix(s, "[[") && strings.HasSuffix(s, "]") {
		return s[1:]
	}
	return s
}

// parse reads the expression in a text for which isExpression holds.
func parse(s string) (*node, error) {
	if utf8.RuneCountInString(s) > maxExpression {
		return nil, &Error{Msg: fmt.Sprintf("the expression is longer than %d characters", maxExpression)}
	}
	p := &exprParser{text: s[:len(s)-1], at: 1}
	n := p.expression(0)
	p.space()
	if p.bad == nil && p.at < len(p.text) {
		p.fail(p.at, "'%s' is not expected here", head(p.text[p.at:]))
	}
	if p.bad != nil {
		return nil, p.bad
	}
	return n, nil
}

func head(s string) string {
	if utf8.RuneCountInString(s) > 20 {
		return string([]rune(s)[:20]) + "…"
	}
	return s
}

type exprParser struct {
	text string
	at   int
	bad  error
}

func (p *exprParser) fail(at int, format string, args ...any) {
	if p.bad == nil {
		p.bad = &Error{Column: at + 1, Msg: fmt.Sprintf(format, args...)}
	}
}

func (p *exprParser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

func (p *exprParser) take(c byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *exprParser) want(c byte) {
	if !p.take(c) {
		p.fail(p.at, "'%c' is missing", c)
	}
}

// maxNesting bounds how deep calls may be nested.
const maxNesting = 200

func (p *exprParser) expression(depth int) *node {
	if depth > maxNesting {
		p.fail(p.at, "calls are nested deeper than %d", maxNesting)
		return nil
	}
	n := p.primary(depth)
	for p.bad == nil {
		at := p.at
		switch {
		case p.take('.'):
			p.space()
			name := p.word()
			if name == "" {
				p.fail(p.at, "a property's name is missing after '.'")
			}
			n = &node{at: at + 1, op: "member", name: name, of: n}
		case p.take('['):
			index := p.expression(depth + 1)
			p.want(']')
			n = &node{at: at + 1, op: "index", of: n, args: []*node{index}}
		default:
			return n
		}
	}
	return n
}

func (p *exprParser) word() string {
	start := p.at
	for p.at < len(p.text) && (p.text[p.at] == '_' || p.text[p.at] == '$' || isLetter(p.text[p.at]) || p.at > start && p.text[p.at] >= '0' && p.text[p.at] <= '9') {
		p.at++
	}
	return p.text[start:p.at]
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func (p *exprParser) primary(depth int) *node {
	p.space()
	at := p.at
	if p.at >= len(p.text) {
		p.fail(at, "the expression ends too early")
		return nil
	}
	switch c := p.text[p.at]; {
	case c == '\'':
		return &node{at: at + 1, op: "value", value: p.quoted()}
	case c == '-' || c == '+' || c >= '0' && c <= '9':
		return p.number()
	}
	name := p.word()
	if name != "" && p.take('.') { // a user's function: namespace.name(..)
		p.space()
		name += "." + p.word()
	}
	if name == "" {
		p.fail(at, "'%s' is not expected here: write a function, a text in single quotes or a whole number", head(p.text[at:]))
		return nil
	}
	if !p.take('(') {
		p.fail(at, "'%s' is neither a function call nor a text: texts stand in single quotes", name)
		return nil
	}
	n := &node{at: at + 1, op: "call", name: name}
	if p.take(')') {
		return n
	}
	for p.bad == nil {
		n.args = append(n.args, p.expression(depth+1))
		if p.take(')') {
			return n
		}
		if !p.take(',') {
			p.fail(p.at, "',' or ')' is missing in the call of '%s'", name)
		}
	}
	return n
}

// quoted reads a text; ” in it stands for one quote.
func (p *exprParser) quoted() string {
	start := p.at
	p.at++
	var out strings.Builder
	for p.at < len(p.text) {
		c := p.text[p.at]
		p.at++
		if c != '\'' {
			out.WriteByte(c)
			continue
		}
		if p.at < len(p.text) && p.text[p.at] == '\'' {
			out.WriteByte(c)
			p.at++
			continue
		}
		return out.String()
	}
	p.fail(start, "a text has no end: a single quote is missing")
	return ""
}

func (p *exprParser) number() *node {
	at := p.at
	p.at++
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
		p.at++
	}
	v, err := strconv.ParseInt(p.text[at:p.at], 10, 64)
	if err != nil {
		p.fail(at, "'%s' is not a whole number of 64 bits", p.text[at:p.at])
	}
	return &node{at: at + 1, op: "value", value: v}
}
