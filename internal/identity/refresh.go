package identity

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"cloister.dev/cloister/internal/store"
)

const (
	keyRefresh = "/identity/refresh/"
	// refreshLife is how long a sign-in lasts without use.
	refreshLife = 90 * 24 * time.Hour
	// refreshGrace is how long a replaced token still works: commands that run
	// side by side share one cache, and all bring the token that it had.
	refreshGrace = 10 * time.Minute
	// refreshBranches bounds the tokens of one sign-in that work at once.
	refreshBranches = 16
)

// family is one sign-in: a chain of refresh tokens, of which each use makes
// the next. A token that comes back after its time was copied, so the family ends
// (RFC 9700 §4.14.2).
type family struct {
	Principal string    `json:"principal"`
	Client    string    `json:"client"`
	StartedAt time.Time `json:"startedAt"`
	Expires   time.Time `json:"expires"`
	Tokens    []branch  `json:"tokens"`
}

// branch is one token of a family.
type branch struct {
	Hash  string    `json:"hash"`
	Until time.Time `json:"until,omitzero"` // set when it was replaced
}

type refreshTokens struct {
	directory *Directory
	now       func() time.Time
}

// start makes the first token of a sign-in: "1.<family>.<secret>".
func (t *refreshTokens) start(ctx context.Context, p *Principal, client string) (string, error) {
	now, id, secret := t.now().UTC(), newID(), randomText(43)
	tx := (&store.Tx{}).Create(keyRefresh+id, family{
		Principal: p.ID, Client: client, StartedAt: now, Expires: now.Add(refreshLife), Tokens: []branch{{Hash: digest(secret)}},
	})
	_, err := t.directory.Store.Commit(ctx, tx)
	return "1." + id + "." + secret, err
}

var (
	errRefresh     = oauthError{400, "invalid_grant", 70000, "The provided refresh token is not valid. Sign in again with 'az login'."}
	errRefreshOver = oauthError{400, "invalid_grant", 700082, "The refresh token has expired due to inactivity. Sign in again with 'az login'."}
	errRefreshUser = oauthError{400, "invalid_grant", 50173, "The provided grant has expired because the account was changed. Sign in again with 'az login'."}
)

// use takes a token and returns whose it is, and the next token.
func (t *refreshTokens) use(ctx context.Context, token, client string) (*Principal, string, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || parts[0] != "1" || !validGUID(parts[1]) {
		return nil, "", errRefresh
	}
	key, hash := keyRefresh+strings.ToLower(parts[1]), digest(parts[2])
	var who *Principal
	var next string
	var refused error
	err := t.directory.retry(ctx, func(tx *store.Tx) error {
		var f family
		rev, err := t.directory.get(ctx, key, &f)
		if errors.Is(err, ErrUnknown) {
			return errRefresh
		}
		if err != nil {
			return err
		}
		who, next, refused, err = t.step(ctx, &f, hash, client)
		if err != nil {
			return err
		}
		if refused != nil {
			tx.Expect(key, rev).Delete(key)
			return nil
		}
		tx.Update(key, rev, f)
		return nil
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return nil, "", err
	}
	return who, "1." + parts[1] + "." + next, nil
}

// step replaces the token in the family. A refusal ends the family.
func (t *refreshTokens) step(ctx context.Context, f *family, hash, client string) (who *Principal, next string, refused, err error) {
	now := t.now().UTC()
	if now.After(f.Expires) {
		return nil, "", errRefreshOver, nil
	}
	if !strings.EqualFold(f.Client, client) {
		return nil, "", nil, errRefresh
	}
	found := false
	kept := f.Tokens[:0]
	for _, b := range f.Tokens {
		if !b.Until.IsZero() && now.After(b.Until) {
			continue
		}
		if sameDigest(b.Hash, hash) {
			found = true
			if b.Until.IsZero() {
				b.Until = now.Add(refreshGrace)
			}
		}
		kept = append(kept, b)
	}
	if !found {
		return nil, "", errRefresh, nil
	}
	who, err = t.directory.Principal(ctx, f.Principal)
	if errors.Is(err, ErrUnknown) || err == nil && (who.Disabled || who.PasswordAt.After(f.StartedAt)) {
		return nil, "", errRefreshUser, nil
	}
	if err != nil {
		return nil, "", nil, err
	}
	next = randomText(43)
	kept = append(kept, branch{Hash: digest(next)})
	if len(kept) > refreshBranches {
		kept = kept[len(kept)-refreshBranches:]
	}
	f.Tokens, f.Expires = kept, now.Add(refreshLife)
	return who, next, nil, nil
}

// refresh is the refresh token grant (RFC 6749 §6).
func (h *Handler) refresh(ctx context.Context, q *request) (map[string]any, error) {
	p, next, err := h.tokens.use(ctx, q.form.Get("refresh_token"), q.client)
	if err != nil {
		return nil, err
	}
	return h.userAnswer(q, p, next)
}

// sweep deletes the families that nobody used for too long.
func (t *refreshTokens) sweep(ctx context.Context) error {
	docs, _, err := t.directory.Store.List(ctx, keyRefresh)
	if err != nil {
		return err
	}
	for _, doc := range docs {
		var f family
		if err := json.Unmarshal(doc.Value, &f); err == nil && t.now().Before(f.Expires) {
			continue
		}
		_, err := t.directory.Store.Commit(ctx, (&store.Tx{}).Expect(doc.Key, doc.Rev).Delete(doc.Key))
		if err != nil && !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return nil
}
