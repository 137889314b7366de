package keyset

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

const (
	minRSABits = 2048 // RFC 7518, section 3.3
	maxRSABits = 4096 // beyond, one signature costs tens of milliseconds
	// rsaExponent is the one that pkg/bearer and the verifier for Node take: either
	// refuses a whole JWK set for a key with another one.
	rsaExponent = 65537
)

// Import adds a private key that was made elsewhere: one in PEM (PKCS #8,
// PKCS #1, SEC 1) or a private JWK. It must sign with alg. Its kid is its
// RFC 7638 thumbprint, whatever a JWK calls it. It signs at once in a database
// without keys and is published first in any other. Import returns
// [ErrUnusableKey], [ErrExists] or [ErrWrongMasterKey].
func (s *Set) Import(ctx context.Context, private []byte, alg Algorithm) (Info, error) {
	key, err := parsePrivate(private, alg)
	if err != nil {
		return Info{}, err
	}
	kid, err := thumbprint(key.Public())
	if err != nil {
		return Info{}, err
	}
	var line timeline
	err = s.store.Change(ctx, func(have []Sealed) ([]Sealed, error) {
		if slices.ContainsFunc(have, func(k Sealed) bool { return k.KID == kid }) {
			return nil, fmt.Errorf("%w (%s)", ErrExists, kid)
		}
		added, err := s.sealAfter(have, Fresh{key, alg})
		line = newTimeline(append(have, added))
		return []Sealed{added}, err
	})
	if err != nil {
		return Info{}, fmt.Errorf("keyset: import: %w", err)
	}
	return s.told(line, kid), s.Reload(ctx)
}

// parsePrivate reads the key in text and refuses what may not sign alg here.
func parsePrivate(text []byte, alg Algorithm) (crypto.Signer, error) {
	text = bytes.TrimSpace(text)
	var key crypto.Signer
	var err error
	if bytes.HasPrefix(text, []byte("{")) {
		key, err = parseJWK(text, alg)
	} else {
		key, err = parsePEM(text)
	}
	if err != nil {
		return nil, err
	}
	got, err := algorithmOf(key)
	if err != nil {
		return nil, err
	}
	if got != alg {
		return nil, fmt.Errorf("%w: it signs %s, and %s is configured", ErrUnusableKey, got, alg)
	}
	return key, checkPair(key)
}

func parsePEM(text []byte) (crypto.Signer, error) {
	block, rest := pem.Decode(text)
	if block != nil && block.Type == "EC PARAMETERS" { // openssl ecparam -genkey writes one before the key
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return nil, fmt.Errorf("%w: neither PEM nor a JWK", ErrUnusableKey)
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("%w: something follows the PEM block of the key", ErrUnusableKey)
	}
	if block.Headers["DEK-Info"] != "" || block.Type == "ENCRYPTED PRIVATE KEY" {
		return nil, fmt.Errorf("%w: it is encrypted; decrypt it first", ErrUnusableKey)
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("%w: a PEM block of type %q holds no private key", ErrUnusableKey, block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnusableKey, err)
	}
	return asSigner(key)
}

// parseJWK reads a private JWK (RFC 7517). A use or alg in it is a promise of its
// owner what else the key does not do, and is held.
func parseJWK(text []byte, alg Algorithm) (crypto.Signer, error) {
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(text); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnusableKey, err)
	}
	switch {
	case jwk.IsPublic():
		return nil, fmt.Errorf("%w: the JWK has no private part", ErrUnusableKey)
	case jwk.Use != "" && jwk.Use != "sig":
		return nil, fmt.Errorf("%w: the JWK is for use %q", ErrUnusableKey, jwk.Use)
	case jwk.Algorithm != "" && jwk.Algorithm != string(alg):
		return nil, fmt.Errorf("%w: the JWK is for %q, and %s is configured", ErrUnusableKey, jwk.Algorithm, alg)
	}
	return asSigner(jwk.Key)
}

func asSigner(key any) (crypto.Signer, error) {
	s, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: not a P-256, Ed25519 or RSA key", ErrUnusableKey)
	}
	return s, nil
}

// algorithmOf returns the one algorithm that key signs with, or [ErrUnusableKey].
func algorithmOf(key crypto.Signer) (Algorithm, error) {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		if k.Curve != elliptic.P256() {
			return "", fmt.Errorf("%w: its curve is %s, want P-256", ErrUnusableKey, k.Params().Name)
		}
		return ES256, nil
	case ed25519.PrivateKey:
		return EdDSA, nil
	case *rsa.PrivateKey:
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return "", fmt.Errorf("%w: RSA of %d bits, want %d to %d", ErrUnusableKey, bits, minRSABits, maxRSABits)
		}
		if k.E != rsaExponent {
			return "", fmt.Errorf("%w: RSA with public exponent %d, want %d", ErrUnusableKey, k.E, rsaExponent)
		}
		return RS256, nil
	}
	return "", fmt.Errorf("%w: not a P-256, Ed25519 or RSA key", ErrUnusableKey)
}

// checkPair refuses a key whose public half is not that of its private half, as a
// JWK can state: its signatures would verify under no published key. PKCS #8
// parsing computes the public half anew, and checks an RSA key.
func checkPair(key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnusableKey, err)
	}
	again, err := parsePKCS8(der)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnusableKey, err)
	}
	public, ok := again.Public().(interface{ Equal(x crypto.PublicKey) bool })
	if !ok || !public.Equal(key.Public()) {
		return fmt.Errorf("%w: its public half belongs to another private key", ErrUnusableKey)
	}
	return nil
}
