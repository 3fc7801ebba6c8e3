package shape

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"

	"github.com/google/uuid"

	"cloister.dev/cloister/internal/arm"
)

// Names are what is chosen once, when a cluster is admitted, and never
// changes. They are kept in the resource's private part.
type Names struct {
	Cluster     string `json:"cluster"`     // spec.Cluster.Name: [a-z0-9]{10}
	PublicHash  string `json:"publicHash"`  // 8 hex digits in the public name
	PrivateHash string `json:"privateHash"` // 8 hex digits in the private name
	PortalHash  string `json:"portalHash"`  // 32 hex digits in the portal's name
	Zone        string `json:"zone"`        // GUID of the private zone
	Digits      string `json:"digits"`      // 8 digits in the names of scale sets, security group and managed network
	EndpointNIC string `json:"endpointNIC"` // GUID in the name of the endpoint's interface
	OutboundIP  string `json:"outboundIP"`  // GUID that names the outbound address
	// Subnet is where the private endpoint is: the first pool's at creation.
	Subnet string `json:"subnet"`
	// ManagedNetwork tells that Subnet belongs to a network that the cluster made.
	ManagedNetwork bool `json:"managedNetwork,omitempty"`
}

// Choose makes names for a new cluster.
func Choose() (Names, error) {
	var raw [24]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return Names{}, err
	}
	cluster, err := random("abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz0123456789", 10)
	if err != nil {
		return Names{}, err
	}
	digits, err := random("123456789", "0123456789", 8)
	if err != nil {
		return Names{}, err
	}
	return Names{
		Cluster: cluster, Digits: digits,
		PublicHash: hex.EncodeToString(raw[:4]), PrivateHash: hex.EncodeToString(raw[4:8]), PortalHash: hex.EncodeToString(raw[8:24]),
		Zone: uuid.NewString(), EndpointNIC: uuid.NewString(), OutboundIP: uuid.NewString(),
	}, nil
}

func random(first, rest string, n int) (string, error) {
	out := make([]byte, n)
	for i := range out {
		from := rest
		if i == 0 {
			from = first
		}
		k, err := rand.Int(rand.Reader, big.NewInt(int64(len(from))))
		if err != nil {
			return "", err
		}
		out[i] = from[k.Int64()]
	}
	return string(out), nil
}

const namesKey = "names"

// Store writes the names into the resource's private part.
func (n Names) Store(r *arm.Resource) error {
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	if r.Private == nil {
		r.Private = map[string]any{}
	}
	r.Private[namesKey] = m
	return nil
}

// NamesOf reads them back.
func NamesOf(r *arm.Resource) (Names, error) {
	var n Names
	b, err := json.Marshal(r.Private[namesKey])
	if err == nil {
		err = json.Unmarshal(b, &n)
	}
	if err == nil && n.Cluster == "" {
		err = fmt.Errorf("the names of %s are not stored", r.ID)
	}
	return n, err
}

// InstanceName is a node's name: the scale set's and the instance's number with base 36.
func InstanceName(scaleSet string, instance int) string {
	n := strconv.FormatInt(int64(instance), 36)
	for len(n) < 6 {
		n = "0" + n
	}
	return scaleSet + n
}
