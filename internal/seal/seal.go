// Package seal encrypts what must not lie in the store in clear: the store's files may be copied, the key stays in a file of its own.
package seal

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"golang.org/x/crypto/nacl/secretbox"

	"cloister.dev/cloister/internal/atomicfile"
)

// Box seals and opens. Make one with Open or New.
type Box struct{ key [32]byte }

// New is a box whose key is in memory only.
func New() *Box {
	b := &Box{}
	_, _ = rand.Read(b.key[:]) // never fails
	return b
}

// Open takes the key from a file, mode 0600; if there is none, it makes one.
func Open(path string) (*Box, error) {
	b := &Box{}
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		b = New()
		return b, atomicfile.Write(path, b.key[:], 0o600)
	}
	if err != nil {
		return nil, err
	}
	if len(raw) != len(b.key) {
		return nil, fmt.Errorf("the key in %s has %d bytes, not %d", path, len(raw), len(b.key))
	}
	copy(b.key[:], raw)
	return b, nil
}

// Seal is v as JSON, encrypted, as a text.
func (b *Box) Seal(v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	var nonce [24]byte
	_, _ = rand.Read(nonce[:]) // never fails
	return base64.StdEncoding.EncodeToString(secretbox.Seal(nonce[:], text, &nonce, &b.key)), nil
}

// Open decodes into v what Seal gave.
func (b *Box) Open(sealed string, v any) error {
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || len(raw) < 24 {
		return errors.New("what should be opened was not sealed")
	}
	text, ok := secretbox.Open(nil, raw[24:], (*[24]byte)(raw), &b.key)
	if !ok {
		return errors.New("what should be opened was sealed with another key")
	}
	return json.Unmarshal(text, v)
}
