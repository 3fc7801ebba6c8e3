package images

import (
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// layer is a tar file as the layer of an image, not compressed: it stays on this
// machine, and a node's is large and unpacked many times.
type layer struct {
	path string
	hash v1.Hash
	size int64
}

func newLayer(path string) (v1.Layer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	hash, size, err := v1.SHA256(f)
	if err != nil {
		return nil, err
	}
	return &layer{path: path, hash: hash, size: size}, nil
}

// Digest, DiffID, Compressed, Uncompressed, Size and MediaType are v1.Layer's.

func (l *layer) Digest() (v1.Hash, error)             { return l.hash, nil }
func (l *layer) DiffID() (v1.Hash, error)             { return l.hash, nil }
func (l *layer) Compressed() (io.ReadCloser, error)   { return os.Open(l.path) }
func (l *layer) Uncompressed() (io.ReadCloser, error) { return os.Open(l.path) }
func (l *layer) Size() (int64, error)                 { return l.size, nil }
func (l *layer) MediaType() (types.MediaType, error)  { return types.DockerUncompressedLayer, nil }
