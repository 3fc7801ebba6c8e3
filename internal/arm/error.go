package arm

import (
	"fmt"
	"net/http"
)

// Error is an ARM error: what clients get as {"error":{"code","message","target","details"}}.
// https://github.com/Azure/azure-resource-manager-rpc/blob/master/v1.0/common-api-details.md#error-response-content
type Error struct {
	Status  int      `json:"-"` // HTTP status
	Code    string   `json:"code"`
	Message string   `json:"message"`
	Target  string   `json:"target,omitempty"`
	Details []*Error `json:"details,omitempty"`
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// On names the field that is wrong.
func (e *Error) On(target string) *Error { e.Target = target; return e }

// Errorf makes an error of any status.
func Errorf(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// BadRequest is 400 with one of Azure's codes.
func BadRequest(code, format string, args ...any) *Error {
	return Errorf(http.StatusBadRequest, code, format, args...)
}

// NotFound is 404 with one of Azure's codes (ResourceNotFound, ResourceGroupNotFound, ParentResourceNotFound).
func NotFound(code, format string, args ...any) *Error {
	return Errorf(http.StatusNotFound, code, format, args...)
}

// Conflict is 409 with one of Azure's codes.
func Conflict(code, format string, args ...any) *Error {
	return Errorf(http.StatusConflict, code, format, args...)
}

// Terminal makes an error end the running operation as Failed, instead of being tried again.
// Reconcile and Remove return it for what no repetition mends.
func Terminal(e *Error) error { return &TerminalError{e} }

// TerminalError is what Terminal returns; errors.As finds the *Error in it, too.
type TerminalError struct{ Cause *Error }

func (t *TerminalError) Error() string { return t.Cause.Error() }

// Unwrap is the ARM error.
func (t *TerminalError) Unwrap() error { return t.Cause }
