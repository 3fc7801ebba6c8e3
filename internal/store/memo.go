package store

import "sync/atomic"

// memo holds what a reader made of one version of a document, as long as that version is in memory.
type memo struct{ made atomic.Pointer[any] }

// Memo returns what make makes of the document's value. For documents that are kept in
// memory it is made once for each version and shared by all readers, who must not
// change it; of others it is made each time.
func (d Doc) Memo(make func(d Doc) (any, error)) (any, error) {
	if d.memo == nil {
		return make(d)
	}
	if made := d.memo.made.Load(); made != nil {
		return *made, nil
	}
	made, err := make(d)
	if err != nil {
		return nil, err
	}
	d.memo.made.Store(&made) // of two readers at once one wins: both made the same
	return made, nil
}
