package virtualmachinescalesets

import (
	"github.com/google/uuid"

	"cloister.dev/cloister/internal/spec"
)

// vmID is an instance's GUID: it follows from the node's name.
func vmID(n spec.Node) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(n.ProviderID)).String()
}
