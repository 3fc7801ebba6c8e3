package arm

import (
	"strings"
	"unicode"
)

// maxFilter bounds how long a $filter may be, maxDepth how deep its brackets.
const (
	maxFilter = 4096
	maxDepth  = 32
)

// parseFilter reads $filter; an empty one takes everything.
func parseFilter(s string) (filter, *Error) {
	if strings.TrimSpace(s) == "" {
		return everything{}, nil
	}
	if len(s) > maxFilter {
		return nil, invalidFilter(s[:50] + "…")
	}
	tokens, ok := filterTokens(s)
	if !ok {
		return nil, invalidFilter(s)
	}
	p := &filterParser{tokens: tokens}
	f, ok := p.or(0)
	if !ok || len(p.tokens) > 0 {
		return nil, invalidFilter(s)
	}
	return f, nil
}

func invalidFilter(s string) *Error {
	return BadRequest("InvalidFilterInQueryString", "Invalid $filter '%s' specified in the query string. Cloister knows eq, ne, and, or, not, brackets, substringof('x', name), startswith(name, 'x'), endswith and contains, on resourceType, resourceGroup, name, location, tagName, tagValue and properties.", printable(s))
}

// filterToken is a word, a bracket, a comma, or the text of a quoted literal.
type filterToken struct {
	text    string
	literal bool
}

func filterTokens(s string) ([]filterToken, bool) {
	var out []filterToken
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == '\t':
			i++
		case c == '(' || c == ')' || c == ',':
			out = append(out, filterToken{text: string(c)})
			i++
		case c == '\'':
			var b strings.Builder
			for i++; ; i++ {
				if i >= len(s) {
					return nil, false
				}
				if s[i] == '\'' {
					if i+1 < len(s) && s[i+1] == '\'' { // a doubled quote is one quote
						i++
					} else {
						break
					}
				}
				b.WriteByte(s[i])
			}
			i++
			out = append(out, filterToken{text: b.String(), literal: true})
		default:
			j := i
			for j < len(s) && !strings.ContainsRune(" \t(),'", rune(s[j])) {
				j++
			}
			word := s[i:j]
			if strings.ContainsFunc(word, func(r rune) bool {
				return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-./$:@", r)
			}) {
				return nil, false
			}
			out = append(out, filterToken{text: word})
			i = j
		}
	}
	return out, true
}

type filterParser struct{ tokens []filterToken }

func (p *filterParser) is(word string) bool {
	return len(p.tokens) > 0 && !p.tokens[0].literal && strings.EqualFold(p.tokens[0].text, word)
}

func (p *filterParser) skip(word string) bool {
	if !p.is(word) {
		return false
	}
	p.tokens = p.tokens[1:]
	return true
}

func (p *filterParser) or(depth int) (filter, bool) {
	f, ok := p.and(depth)
	for ok && p.skip("or") {
		var g filter
		if g, ok = p.and(depth); ok {
			f = either{f, g}
		}
	}
	return f, ok
}

func (p *filterParser) and(depth int) (filter, bool) {
	f, ok := p.term(depth)
	for ok && p.skip("and") {
		var g filter
		if g, ok = p.term(depth); ok {
			f = pair(f, g)
		}
	}
	return f, ok
}

func (p *filterParser) term(depth int) (filter, bool) {
	if depth > maxDepth {
		return nil, false
	}
	if p.skip("not") {
		f, ok := p.term(depth + 1)
		return negation{f}, ok
	}
	if p.skip("(") {
		f, ok := p.or(depth + 1)
		return f, ok && p.skip(")")
	}
	if len(p.tokens) < 2 || p.tokens[0].literal {
		return nil, false
	}
	word := strings.ToLower(p.tokens[0].text)
	p.tokens = p.tokens[1:]
	if p.skip("(") {
		return p.call(word)
	}
	not := p.is("ne")
	if !not && !p.is("eq") || len(p.tokens) < 2 {
		return nil, false
	}
	value := p.tokens[1]
	if !value.literal && strings.ContainsAny(value.text, "(),") {
		return nil, false
	}
	p.tokens = p.tokens[2:]
	return compare{field: word, value: value.text, not: not}, true
}

// call reads a function's arguments: one field and one text, in either order, or none.
func (p *filterParser) call(name string) (filter, bool) {
	var args []filterToken
	for !p.skip(")") {
		if len(args) > 0 && !p.skip(",") || len(p.tokens) == 0 {
			return nil, false
		}
		args = append(args, p.tokens[0])
		p.tokens = p.tokens[1:]
	}
	switch {
	case name == "atscope" && len(args) == 0:
		return everything{}, true // the list itself takes care of it
	case name == "assignedto" && len(args) == 1 && args[0].literal:
		return compare{field: "principalid", value: args[0].text}, true
	case len(args) != 2 || args[0].literal == args[1].literal:
		return nil, false
	}
	match := map[string]func(string, string) bool{
		"substringof": strings.Contains, "contains": strings.Contains, "startswith": strings.HasPrefix, "endswith": strings.HasSuffix,
	}[name]
	if args[0].literal {
		args[0], args[1] = args[1], args[0]
	}
	return text{field: strings.ToLower(args[0].text), part: args[1].text, match: match}, match != nil
}
