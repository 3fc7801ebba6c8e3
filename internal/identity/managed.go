package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloister.dev/cloister/internal/resourceid"
	"cloister.dev/cloister/internal/store"
)

// AddManagedIdentity adds the identity of a resource (user-assigned: the
// identity's own resource; system-assigned: the resource that has it) to the
// transaction, or finds the one that it has. It returns the object id and the client id.
func AddManagedIdentity(ctx context.Context, rd store.Reader, tx *store.Tx, resourceID string) (objectID, clientID string, err error) {
	p, err := managedIdentity(ctx, rd, resourceID)
	if err == nil {
		return p.ID, p.AppID, nil
	}
	if !errors.Is(err, ErrUnknown) {
		return "", "", err
	}
	id, err := resourceid.Parse(resourceID)
	if err != nil {
		return "", "", err
	}
	n := Principal{ID: newID(), Kind: KindManagedIdentity, DisplayName: id.Name(), AppID: newID(), ResourceID: id.String(), CreatedAt: time.Now().UTC()}
	tx.Create(keyPrincipals+n.ID, n).Create(keyOwners+id.Key(), reference{n.ID})
	return n.ID, n.AppID, nil
}

// RemoveManagedIdentity adds the removal of the resource's identity to the
// transaction; none is no error.
func RemoveManagedIdentity(ctx context.Context, rd store.Reader, tx *store.Tx, resourceID string) error {
	p, err := managedIdentity(ctx, rd, resourceID)
	if errors.Is(err, ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	tx.Delete(keyPrincipals + p.ID).Delete(keyOwners + resourceid.MustParse(resourceID).Key())
	return nil
}

// EnsureManagedIdentity is AddManagedIdentity with a transaction of its own.
func (d *Directory) EnsureManagedIdentity(ctx context.Context, resourceID string) (objectID, clientID string, err error) {
	err = d.retry(ctx, func(tx *store.Tx) (err error) {
		objectID, clientID, err = AddManagedIdentity(ctx, d.Store, tx, resourceID)
		return err
	})
	if err != nil {
		return "", "", fmt.Errorf("managed identity of %s: %w", resourceID, err)
	}
	return objectID, clientID, nil
}

// DeleteManagedIdentity removes the resource's identity; none is no error.
func (d *Directory) DeleteManagedIdentity(ctx context.Context, resourceID string) error {
	err := d.retry(ctx, func(tx *store.Tx) error { return RemoveManagedIdentity(ctx, d.Store, tx, resourceID) })
	if err != nil {
		return fmt.Errorf("managed identity of %s: %w", resourceID, err)
	}
	return nil
}

func managedIdentity(ctx context.Context, rd store.Reader, resourceID string) (*Principal, error) {
	id, err := resourceid.Parse(resourceID)
	if err != nil {
		return nil, err
	}
	var ref reference
	p := &Principal{}
	if _, err = rd.Get(ctx, keyOwners+id.Key(), &ref); err == nil {
		p.Rev, err = rd.Get(ctx, keyPrincipals+ref.ID, p)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrUnknown
	}
	return p, err
}
