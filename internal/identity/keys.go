package identity

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"cloister.dev/cloister/internal/store"
)

const keyKeys = "/secret/identity/keys/"

// keyKeep is how long a replaced key stays published: longer than any token lives.
const keyKeep = 48 * time.Hour

// signingKey is one key as it is stored.
type signingKey struct {
	Key       jose.JSONWebKey `json:"key"` // with the private part
	CreatedAt time.Time       `json:"createdAt"`
	Replaced  time.Time       `json:"replaced,omitzero"`
	rev       int64
}

// Keys sign and verify tokens. The newest key signs, all are published.
type Keys struct {
	store  store.Store
	mu     sync.RWMutex
	keys   map[string]signingKey // by kid
	signer jose.Signer
	kid    string // of the signer
	rev    int64  // of the store, when the keys were read
}

// OpenKeys reads the signing keys, and makes the first one.
func OpenKeys(ctx context.Context, st store.Store) (*Keys, error) {
	k := &Keys{store: st, keys: map[string]signingKey{}}
	for {
		docs, rev, err := st.List(ctx, keyKeys)
		if err != nil {
			return nil, fmt.Errorf("signing keys: %w", err)
		}
		for _, doc := range docs {
			if err := k.load(doc); err != nil {
				return nil, err
			}
		}
		if k.rev = rev; len(docs) > 0 {
			return k, nil
		}
		if err := k.Rotate(ctx); err != nil && !errors.Is(err, store.ErrConflict) {
			return nil, err
		}
	}
}

// Rotate makes a new key sign from now on. Old ones verify for two more days.
func (k *Keys) Rotate(ctx context.Context) error {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fmt.Errorf("signing key: %w", err)
	}
	now := time.Now().UTC()
	jwk := jose.JSONWebKey{Key: private, KeyID: newID(), Algorithm: string(jose.RS256), Use: "sig"}
	tx := (&store.Tx{}).Create(keyKeys+jwk.KeyID, signingKey{Key: jwk, CreatedAt: now})
	k.mu.RLock()
	for kid, old := range k.keys {
		switch {
		case old.Replaced.IsZero():
			old.Replaced = now
			tx.Update(keyKeys+kid, old.rev, old)
		case now.Sub(old.Replaced) > keyKeep:
			tx.Expect(keyKeys+kid, old.rev).Delete(keyKeys + kid)
		}
	}
	first := len(k.keys) == 0
	k.mu.RUnlock()
	if first { // two processes that start together agree on one key
		tx.Create(keyKeys+"first", reference{jwk.KeyID})
	}
	if _, err := k.store.Commit(ctx, tx); err != nil {
		return fmt.Errorf("signing key: %w", err)
	}
	return nil
}

// Follow keeps up with keys that are added and removed, until ctx ends.
func (k *Keys) Follow(ctx context.Context) error {
	for e := range k.store.Watch(ctx, keyKeys, k.rev) {
		if e.Deleted {
			k.mu.Lock()
			delete(k.keys, e.Key[len(keyKeys):])
			k.mu.Unlock()
			continue
		}
		if err := k.load(e.Doc); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (k *Keys) load(doc store.Doc) error {
	if doc.Key == keyKeys+"first" {
		return nil
	}
	key := signingKey{rev: doc.Rev}
	if err := json.Unmarshal(doc.Value, &key); err != nil {
		return fmt.Errorf("signing key at %s: %w", doc.Key, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[key.Key.KeyID] = key
	if current, ok := k.keys[k.kid]; ok && !key.CreatedAt.After(current.CreatedAt) {
		return nil
	}
	opts := (&jose.SignerOptions{}).WithType("JWT")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key.Key}, opts)
	if err != nil {
		return fmt.Errorf("signing key at %s: %w", doc.Key, err)
	}
	k.signer, k.kid = signer, key.Key.KeyID
	return nil
}

// Public is the JSON Web Key Set (RFC 7517) that verifies the tokens, newest key first.
func (k *Keys) Public() jose.JSONWebKeySet {
	k.mu.RLock()
	defer k.mu.RUnlock()
	all := make([]signingKey, 0, len(k.keys))
	for _, key := range k.keys {
		all = append(all, key)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].CreatedAt.After(all[j].CreatedAt) })
	var set jose.JSONWebKeySet
	for _, key := range all {
		set.Keys = append(set.Keys, key.Key.Public())
	}
	return set
}

func (k *Keys) sign(claims any) (string, error) {
	k.mu.RLock()
	signer := k.signer
	k.mu.RUnlock()
	return jwt.Signed(signer).Claims(claims).Serialize()
}

var errSignature = errors.New("the signature is not ours")

// verify checks the signature only, and decodes the claims.
func (k *Keys) verify(token string, claims any) error {
	t, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return err
	}
	if len(t.Headers) != 1 {
		return errSignature
	}
	k.mu.RLock()
	key, ok := k.keys[t.Headers[0].KeyID]
	k.mu.RUnlock()
	if !ok {
		return errSignature
	}
	if err := t.Claims(key.Key.Public().Key, claims); err != nil {
		return errSignature
	}
	return nil
}
