// Package keyset owns the signing keys: made or imported, sealed at rest,
// published before they sign and for as long as something they signed is valid.
//
// A key's state is not stored. It follows from the clock and the times at which
// the keys of the set start to sign, so nothing has to move it along and two
// replicas with the same keys and the same time agree. The package mints no
// token and knows no database; what it needs from one it states as [Store].
package keyset

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"
)

// Errors a caller can act on.
var (
	// ErrWrongMasterKey is a signing key in the database that the master key does
	// not open: another master key sealed it, or its row was altered.
	ErrWrongMasterKey = errors.New("keyset: wrong master key: it does not open the signing keys in this database")
	// ErrUnusableKey is an import that is no private key, or one that may not sign here.
	ErrUnusableKey = errors.New("keyset: not a usable signing key")
	// ErrExists is an import of a key that the database has.
	ErrExists = errors.New("keyset: key is there already")
	// ErrNoKey is a set without keys.
	ErrNoKey = errors.New("keyset: no key")
)

// Algorithm is a JWS algorithm (RFC 7518, section 3.1; RFC 8037, section 3.1).
type Algorithm string

// The algorithms that keys may have. EdDSA is Ed25519 alone.
const (
	ES256 Algorithm = "ES256"
	EdDSA Algorithm = "EdDSA"
	RS256 Algorithm = "RS256"
)

// ParseAlgorithm returns the algorithm named s, which is case-sensitive.
func ParseAlgorithm(s string) (Algorithm, error) {
	switch a := Algorithm(s); a {
	case ES256, EdDSA, RS256:
		return a, nil
	}
	return "", fmt.Errorf("keyset: algorithm %q is not one of %s, %s, %s", s, ES256, EdDSA, RS256)
}

// State is where a key is in its life.
type State string

// The states, in the order of a key's life.
const (
	Pending  State = "pending"  // published, does not sign yet
	Active   State = "active"   // signs
	Retiring State = "retiring" // signs no more; what it signed may still be valid
	Gone     State = "gone"     // nothing it signed is valid any more
)

// Sealed is a signing key as a database keeps it.
type Sealed struct {
	KID       string // RFC 7638 thumbprint, SHA-256
	Algorithm Algorithm
	// Private is the PKCS #8 form under AES-256-GCM, nonce first, bound to KID and
	// Algorithm.
	Private     []byte
	CreatedAt   time.Time
	ActivatesAt time.Time // from when on it signs, until a later one does
	RevokedAt   time.Time // when it was taken back, or zero
}

// Store keeps sealed keys.
type Store interface {
	// All returns every key, in any order.
	All(ctx context.Context) ([]Sealed, error)
	// Add inserts the key that decide returns, and nobody else adds one between
	// decide's look at the keys that are there and the insert. decide returns
	// ok=false to add nothing; its error ends Add and is wrapped, not replaced. It
	// may run more than once and does not call the Store.
	Add(ctx context.Context, decide func(have []Sealed) (key Sealed, ok bool, err error)) error
}

// Config is how a [Set] times its keys. All fields are needed.
type Config struct {
	// PublishAhead is how long a new key is published before it signs: at least as
	// long as a verifier may cache the JWKS, and longer than the pause between
	// two calls of [Set.Reload].
	PublishAhead time.Duration
	// Retain is how long after its last signature a key stays published: the life
	// of an access token and a verifier's leeway.
	Retain time.Duration
	Now    func() time.Time // time.Now everywhere but in tests
}

// Signer is the key that signs now. Key is an *ecdsa.PrivateKey, an
// ed25519.PrivateKey or an *rsa.PrivateKey, as Algorithm says.
type Signer struct {
	KID       string
	Algorithm Algorithm
	Key       crypto.Signer
}

// PublicKey is a key that verifies. Key is an *ecdsa.PublicKey, an
// ed25519.PublicKey or an *rsa.PublicKey, as Algorithm says.
type PublicKey struct {
	KID       string
	Algorithm Algorithm
	Key       crypto.PublicKey
}

// Info is what may be told of a key.
type Info struct {
	KID         string
	Algorithm   Algorithm
	State       State
	CreatedAt   time.Time
	ActivatesAt time.Time
}
