// Package keyset owns the signing keys: made or imported, sealed at rest,
// published before they sign and for as long as something they signed is valid,
// or revoked and out of use from one moment to the next.
//
// A key's state is not stored. It follows from the clock and the times at which
// the keys of the set start to sign or were revoked, so nothing has to move it along and two
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
	// ErrNoKey is a set without a key that may sign.
	ErrNoKey = errors.New("keyset: no key")
	// ErrUnknownKey is a kid that the database does not have.
	ErrUnknownKey = errors.New("keyset: no such key")
	// ErrPending is a rotation while the one before it has not come to its end: a key
	// is published and does not sign yet.
	ErrPending = errors.New("keyset: a key waits for its turn already")
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
	Revoked  State = "revoked"  // taken back, whatever it was before
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
	// Change writes the keys that decide returns, over those of the same kid and
	// beside the others, and nobody else changes any between decide's look at the
	// keys that are there and the write. decide may return none; its error ends
	// Change and is wrapped, not replaced. It may run more than once and does not
	// call the Store. Change joins the transaction that ctx carries, if any.
	Change(ctx context.Context, decide func(have []Sealed) (put []Sealed, err error)) error
}

// Config is how a [Set] times its keys. All fields but Other are needed.
type Config struct {
	// PublishAhead is how long a new key is published before it signs: longer than a
	// verifier may cache the JWKS and the pause between two calls of [Set.Reload]
	// together, because a verifier may ask just before a Reload.
	PublishAhead time.Duration
	// Retain is how long after its last signature a key stays published: the longest
	// life of an access token that is about, a verifier's leeway, and what the
	// clocks of two processes may differ by. It is asked each time.
	Retain func() time.Duration
	// Other is a second master key, which opens keys and seals none. The zero one is
	// none.
	Other MasterKey
	Now   func() time.Time // time.Now everywhere but in tests
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
	RetiresAt   time.Time // when another one takes over, or zero
	GoneAt      time.Time // when nothing it signed is valid any more, or zero
	RevokedAt   time.Time // or zero
}
