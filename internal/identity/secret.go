package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"
)

// argon2id's cost: OWASP's second choice, about 20 ms and 19 MiB, so that a burst
// of sign-ins does not take the machine's memory.
const (
	argonTime   = 2
	argonMemory = 19 * 1024 // KiB
	argonLanes  = 1
	argonKey    = 32
)

// hashing bounds how many password hashes are computed at once.
var hashing = make(chan struct{}, 4)

// hashWait is how long a sign-in waits for its turn.
const hashWait = 10 * time.Second

// hashPassword is the password's argon2id hash in the PHC string format.
func hashPassword(password string) string {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails: it ends the program instead
	sum := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonLanes, argonKey)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes, b64(salt), b64(sum))
}

// nobodysHash, of a password that nobody knows, is compared with when a user does not exist, so that the answer takes as long.
var nobodysHash = sync.OnceValue(func() string { return hashPassword(randomText(20)) })

// checkPassword compares in constant time; false for a hash that it cannot read.
// The error says that too many others are compared.
func checkPassword(ctx context.Context, hash, password string) (bool, error) {
	var version int
	var memory, passes uint32
	var lanes uint8
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, nil
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &passes, &lanes); err != nil || version != argon2.Version {
		return false, nil
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(want) != argonKey {
		return false, nil
	}
	ctx, stop := context.WithTimeout(ctx, hashWait)
	defer stop()
	select {
	case hashing <- struct{}{}:
		defer func() { <-hashing }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	got := argon2.IDKey([]byte(password), salt, passes, memory, lanes, argonKey)
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// randomText is n random letters and digits: az takes a secret that begins with
// a dash for an option, so there are none.
func randomText(n int) string { return randomFrom(alphabet, n) }

func randomFrom(alphabet string, n int) string {
	out := make([]byte, n)
	size := big.NewInt(int64(len(alphabet)))
	for i := range out {
		k, err := rand.Int(rand.Reader, size)
		if err != nil {
			panic(err) // crypto/rand.Reader never fails
		}
		out[i] = alphabet[k.Int64()]
	}
	return string(out)
}

// newSecret makes a client secret: what to keep, and the text that is shown once.
func newSecret(name string, start, end time.Time) (Secret, string) {
	text := randomText(40)
	return Secret{KeyID: newID(), DisplayName: name, Hint: text[:3], Hash: digest(text), Start: start, End: end}, text
}

// digest is the SHA-256 of a random secret, in hexadecimal.
func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func sameDigest(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
