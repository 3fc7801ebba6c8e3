package template

import (
	"errors"
	"fmt"
	"strings"
)

// Error is what is wrong with a template, and where.
type Error struct {
	Code   string // InvalidTemplate if empty
	Path   []any  // names and indexes from the template's root
	Column int    // in the text at Path, from 1; 0: all of it
	Msg    string
}

func (e *Error) Error() string {
	var where []string
	if len(e.Path) > 0 {
		where = append(where, "at '"+e.Where()+"'")
	}
	if e.Column > 0 {
		where = append(where, fmt.Sprintf("column %d of the expression", e.Column))
	}
	if len(where) == 0 {
		return e.Msg
	}
	return e.Msg + " (" + strings.Join(where, ", ") + ")"
}

// Where is the path in JSONPath's way: resources[0].properties.x.
func (e *Error) Where() string {
	var out strings.Builder
	for i, step := range e.Path {
		switch step := step.(type) {
		case int:
			fmt.Fprintf(&out, "[%d]", step)
		default:
			if i > 0 {
				out.WriteByte('.')
			}
			fmt.Fprint(&out, step)
		}
	}
	return out.String()
}

// in adds where an error happened, if it does not know.
func in(err error, path ...any) error {
	var e *Error
	if !errors.As(err, &e) || e.Path != nil {
		return err
	}
	out := *e
	out.Path = append([]any{}, path...)
	return &out
}

func failed(format string, args ...any) *Error { return &Error{Msg: fmt.Sprintf(format, args...)} }
