package arm

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/store"
)

// shared is what is made once of a version of a resource, for all who read it. A Resource that
// has it belongs to all of them and is not to be changed; copy makes one that is the caller's own.
type shared struct {
	key   string // the id's
	shown atomic.Pointer[rendered]
}

// rendered is a document in JSON, ready to be sent.
type rendered []byte

// listing is an answer with many documents: {"value":[..],"nextLink":".."}.
type listing struct {
	value []rendered
	next  string // nextLink, or ""
}

// decodeShared decodes a document once for each version that is in memory.
func decodeShared(d store.Doc) (*Resource, error) {
	made, err := d.Memo(func(d store.Doc) (any, error) {
		r := &Resource{Rev: d.Rev}
		if err := json.Unmarshal(d.Value, r); err != nil {
			return nil, fmt.Errorf("document at %s: %w", d.Key, err)
		}
		id, err := resourceid.Parse(r.ID)
		if err != nil {
			return nil, fmt.Errorf("document at %s: %w", d.Key, err)
		}
		r.id, r.shared = id, &shared{key: id.Key()}
		return r, nil
	})
	if err != nil {
		return nil, err
	}
	return made.(*Resource), nil
}

// key is the id in lower case.
func (r *Resource) key() string {
	if r.shared != nil {
		return r.shared.key
	}
	return r.ParsedID().Key()
}

// render is the resource as clients see it, in JSON. What depends on nothing but a shared resource is made once.
func (s *Server) render(ctx context.Context, r *Resource) (rendered, error) {
	if r.shared != nil {
		if b := r.shared.shown.Load(); b != nil {
			return *b, nil
		}
	}
	t := s.types[strings.ToLower(r.Type)]
	alone := r.shared != nil && (t == nil || t.View == nil || t.ViewAlone)
	doc, _ := clone(r.Body).(map[string]any)
	doc, err := s.complete(ctx, r, t, doc)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", r.ID, err)
	}
	if alone {
		out := rendered(b)
		r.shared.shown.Store(&out)
	}
	return b, nil
}

// buffers hold answers while they are sent.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// keptBuffer is the largest that is kept for the next answer.
const keptBuffer = 4 << 20

// appendTo appends the answer's JSON.
func (l listing) appendTo(b []byte) ([]byte, error) {
	b = append(b, `{"value":[`...)
	for i, doc := range l.value {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, doc...)
	}
	b = append(b, ']')
	if l.next != "" {
		next, err := json.Marshal(l.next)
		if err != nil {
			return nil, err
		}
		b = append(append(b, `,"nextLink":`...), next...)
	}
	return append(b, '}'), nil
}
