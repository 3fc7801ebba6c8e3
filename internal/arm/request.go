package arm

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"cloister.dev/cloister/internal/httpbound"
	"cloister.dev/cloister/internal/laxjson"
)

// maxBody is the largest request body: 4 MiB, as Azure's.
const maxBody = 4 << 20

// request is one HTTP request under way.
type request struct {
	http       *http.Request
	principal  Principal
	segs       []string
	query      map[string]string // keys in lower case
	apiVersion string
	text       []byte // the body, once it is read
}

// parseQuery reads a query; of several values of one key the first counts.
func parseQuery(raw string) (map[string]string, *Error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, BadRequest("InvalidRequestUri", "The query of the request is not encoded correctly: %v.", err)
	}
	out := map[string]string{}
	for key, v := range values {
		out[strings.ToLower(key)] = v[0]
	}
	return out, nil
}

// body reads the JSON object of the request. Content types are not looked at: clients send what they like.
func (q *request) body(required bool) (map[string]any, error) {
	if q.http.Method == http.MethodGet || q.http.Method == http.MethodHead || q.http.Method == http.MethodDelete {
		return nil, nil
	}
	raw, err := io.ReadAll(http.MaxBytesReader(nil, q.http.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, Errorf(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "The request's body is larger than %d bytes. Send less.", maxBody)
	}
	if errors.Is(err, httpbound.ErrBusy) {
		return nil, err
	}
	if err != nil {
		return nil, BadRequest("InvalidRequestContent", "The request's body could not be read: %v.", err)
	}
	q.text = raw
	return parseBody(raw, required)
}

// maxValues bounds what a body becomes in memory: a value takes 60 bytes and more there, and may be two in the text.
const maxValues = 200_000

// parseBody decodes a JSON object; nil for an empty body that is not required.
func parseBody(raw []byte, required bool) (map[string]any, error) {
	raw = bytes.TrimSpace(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")))
	if len(raw) == 0 {
		if required {
			return nil, BadRequest("InvalidRequestContent", "The request has no body. Send the resource as a JSON object.")
		}
		return nil, nil
	}
	if n := bytes.Count(raw, []byte(",")) + bytes.Count(raw, []byte("[")) + bytes.Count(raw, []byte("{")); n > maxValues {
		return nil, BadRequest("InvalidRequestContent", "The request's body holds more than %d values. Send less.", maxValues)
	}
	var v any
	if json.Unmarshal(raw, &v) != nil {
		n, err := laxjson.Parse(raw) // ARM reads JSON with comments and bare names, and the CLI sends it
		if err != nil {
			return nil, BadRequest("InvalidRequestContent", "The request content was invalid and could not be deserialized: %v.", err)
		}
		v = n.Value()
	}
	switch v := v.(type) {
	case map[string]any:
		if p, ok := v["properties"]; ok && p != nil {
			if _, ok := p.(map[string]any); !ok {
				return nil, BadRequest("InvalidRequestContent", "The request content was invalid: 'properties' must be a JSON object.").On("properties")
			}
		}
		return v, nil
	case nil:
		if !required {
			return nil, nil
		}
	}
	return nil, BadRequest("InvalidRequestContent", "The request content was invalid: the body must be a JSON object.")
}
