package keyset

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

const (
	sealPurpose = "jotgate signing key v1"
	rsaBits     = 3072 // of keys made here
)

// Fresh is a private key that was just made and that no set has yet.
type Fresh struct {
	key crypto.Signer
	alg Algorithm
}

// Generate makes a private key. For RS256 that takes seconds: too long to hold up
// other writers, so it comes before the transaction that takes the key in.
func Generate(alg Algorithm) (Fresh, error) {
	key, err := generate(alg)
	if err != nil {
		return Fresh{}, fmt.Errorf("keyset: make a key: %w", err)
	}
	return Fresh{key, alg}, nil
}

func generate(alg Algorithm) (crypto.Signer, error) {
	switch alg {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case RS256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	return nil, fmt.Errorf("keyset: unknown algorithm %q", alg)
}

// opened is a sealed key with what is inside, and the JWK that is published of it.
type opened struct {
	Sealed

	signer crypto.Signer
	jwk    []byte
	other  bool // it was sealed under the other master key
}

// same reports whether k is s opened, in what is sealed or bound to the seal.
func (k opened) same(s Sealed) bool {
	return k.KID == s.KID && k.Algorithm == s.Algorithm && bytes.Equal(k.Private, s.Private)
}

// vault seals private keys under a key derived from the master key. It opens
// those that were sealed under the other one too, if there is one.
type vault struct{ aead, other cipher.AEAD }

func newVault(master, other MasterKey) vault {
	v := vault{aead: newAEAD(master)}
	if other.Set() {
		v.other = newAEAD(other)
	}
	return v
}

func newAEAD(master MasterKey) cipher.AEAD {
	block, err := aes.NewCipher(master.Derive(sealPurpose, 32))
	if err != nil {
		panic(fmt.Sprintf("keyset: AES: %v", err)) // 32 bytes are a key
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(fmt.Sprintf("keyset: GCM: %v", err)) // AES has blocks of 16 bytes
	}
	return aead
}

// seal returns key as a [Sealed] without its times.
func (v vault) seal(key crypto.Signer, alg Algorithm) (Sealed, error) {
	kid, err := thumbprint(key.Public())
	if err != nil {
		return Sealed{}, err
	}
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Sealed{}, fmt.Errorf("keyset: encode private key: %w", err)
	}
	return Sealed{KID: kid, Algorithm: alg, Private: v.aead.Seal(nil, nil, plain, bound(kid, alg))}, nil //nolint:gosec // the AEAD draws the nonce
}

// open returns what is in s, or [ErrWrongMasterKey].
func (v vault) open(s Sealed) (opened, error) {
	plain, err := v.aead.Open(nil, nil, s.Private, bound(s.KID, s.Algorithm))
	other := err != nil && v.other != nil
	if other {
		plain, err = v.other.Open(nil, nil, s.Private, bound(s.KID, s.Algorithm))
	}
	if err != nil {
		return opened{}, fmt.Errorf("%w (key %q)", ErrWrongMasterKey, s.KID)
	}
	key, err := parsePKCS8(plain)
	if err != nil {
		return opened{}, fmt.Errorf("keyset: decode private key %s: %w", s.KID, err)
	}
	jwk, err := (&jose.JSONWebKey{
		Key: key.Public(), KeyID: s.KID, Algorithm: string(s.Algorithm), Use: "sig",
	}).MarshalJSON()
	if err != nil {
		return opened{}, fmt.Errorf("keyset: encode public key %s: %w", s.KID, err)
	}
	return opened{Sealed: s, signer: key, jwk: jwk, other: other}, nil
}

// bound is the additional data that keeps a sealed key from being passed off as
// another one, or as one of another algorithm.
func bound(kid string, alg Algorithm) []byte {
	return []byte(sealPurpose + "\x00" + kid + "\x00" + string(alg))
}

func parsePKCS8(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	return asSigner(key)
}

// thumbprint returns the kid of a public key (RFC 7638, section 3).
func thumbprint(public crypto.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("keyset: thumbprint: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}
