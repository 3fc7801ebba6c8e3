package arm

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// pageSize is how many resources one answer has at most.
const pageSize = 1000

// page answers with the resources that the filter takes, $top of them, after $skiptoken,
// ordered by id, with a nextLink if there are more.
func (s *Server) page(q *request, found []*Resource, show func(*Resource) (rendered, error)) (*Response, error) {
	take, perr := parseFilter(q.query["$filter"])
	if perr != nil {
		return nil, perr
	}
	size, after, perr := window(q.query)
	if perr != nil {
		return nil, perr
	}
	slices.SortFunc(found, func(a, b *Resource) int { return strings.Compare(a.key(), b.key()) })
	value, last := make([]rendered, 0, min(len(found), size)), ""
	more := false
	for _, r := range found {
		key := r.key()
		if key <= after || !take.matches(r) {
			continue
		}
		if len(value) == size {
			more = true
			break
		}
		doc, err := show(r)
		if err != nil {
			return nil, err
		}
		value, last = append(value, doc), key
	}
	body := listing{value: value}
	if more {
		body.next = s.nextLink(q, last)
	}
	return &Response{Body: body}, nil
}

// window reads $top and $skiptoken.
func window(query map[string]string) (size int, after string, problem *Error) {
	size = pageSize
	if top, ok := query["$top"]; ok {
		n, err := strconv.Atoi(top)
		if err != nil || n < 1 {
			return 0, "", BadRequest("InvalidQueryParameterValue", "The value '%s' of $top is not a number from 1 on.", printable(top))
		}
		size = min(n, pageSize)
	}
	if token, ok := query["$skiptoken"]; ok {
		b, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || !strings.HasPrefix(string(b), "/") {
			return 0, "", BadRequest("InvalidSkipToken", "The $skiptoken is not one that this server made. Follow the nextLink of an answer as it stands.")
		}
		after = string(b)
	}
	return size, after, nil
}

// nextLink is the request's URL with the place to go on from.
func (s *Server) nextLink(q *request, last string) string {
	values := url.Values{}
	for key, v := range q.query {
		values.Set(key, v)
	}
	values.Set("$skiptoken", base64.RawURLEncoding.EncodeToString([]byte(last)))
	var path strings.Builder
	for _, seg := range q.segs {
		path.WriteString("/" + url.PathEscape(seg))
	}
	return s.BaseURL + path.String() + "?" + values.Encode()
}
