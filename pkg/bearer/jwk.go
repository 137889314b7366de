package bearer

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	minRSABits = 2048 // RFC 7518, section 3.3
	maxRSABits = 4096
	coordinate = 32 // bytes of a P-256 coordinate
)

// check refuses a key that does not fit its algorithm. golang-jwt looks at the
// type alone, and takes ES256 on any curve and RS256 of any size.
func (k Key) check() error {
	fits := false
	switch public := k.Public.(type) {
	case *ecdsa.PublicKey:
		fits = k.Algorithm == "ES256" && public.Curve == elliptic.P256()
	case ed25519.PublicKey:
		fits = k.Algorithm == "EdDSA" && len(public) == ed25519.PublicKeySize
	case *rsa.PublicKey:
		bits := public.N.BitLen()
		fits = k.Algorithm == "RS256" && minRSABits <= bits && bits <= maxRSABits && public.E == 65537
	}
	if !fits {
		return fmt.Errorf("not a key for %.32q", k.Algorithm)
	}
	return nil
}

// same reports whether k and other verify the same.
func (k Key) same(other Key) bool {
	if k.Algorithm != other.Algorithm {
		return false
	}
	switch public := k.Public.(type) {
	case *ecdsa.PublicKey:
		same, ok := other.Public.(*ecdsa.PublicKey)
		return ok && (public == same || public.Equal(same))
	case *rsa.PublicKey:
		same, ok := other.Public.(*rsa.PublicKey)
		return ok && (public == same || public.Equal(same))
	case ed25519.PublicKey:
		return public.Equal(other.Public)
	}
	return false
}

// jwk is what this package reads of a JSON Web Key (RFC 7517, section 4).
type jwk struct {
	KeyType   string   `json:"kty"`
	Use       string   `json:"use"`
	KeyOps    []string `json:"key_ops"`
	Algorithm string   `json:"alg"`
	KeyID     string   `json:"kid"`
	Curve     string   `json:"crv"`
	X         string   `json:"x"`
	Y         string   `json:"y"`
	N         string   `json:"n"`
	E         string   `json:"e"`

	// Private or symmetric members: a set that has them is not to be trusted.
	D   jsontext.Value `json:"d"`
	P   jsontext.Value `json:"p"`
	Q   jsontext.Value `json:"q"`
	DP  jsontext.Value `json:"dp"`
	DQ  jsontext.Value `json:"dq"`
	QI  jsontext.Value `json:"qi"`
	Oth jsontext.Value `json:"oth"`
	K   jsontext.Value `json:"k"`
}

// parseKeys reads a JWK set. Keys of other algorithms and uses are passed over. A
// set is refused whole for one that claims to be usable here and is not, for a kid
// that is there twice, and for a secret made public, in whatever key.
func parseKeys(text []byte) (map[string]Key, error) {
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New("JWK set: not a list of keys")
	}
	byKID, seen := map[string]Key{}, map[string]bool{}
	for _, k := range set.Keys {
		if seen[k.KeyID] {
			return nil, fmt.Errorf("JWK set: kid %.64q is there twice", k.KeyID)
		}
		seen[k.KeyID] = k.KeyID != ""
		if k.secret() {
			return nil, fmt.Errorf("JWK %.64q: it has private members", k.KeyID)
		}
		if !k.verifiesHere() {
			continue
		}
		key, err := k.public()
		if err != nil {
			return nil, fmt.Errorf("JWK %.64q: %w", k.KeyID, err)
		}
		if k.KeyID == "" {
			return nil, errors.New("JWK set: a kid is missing")
		}
		byKID[k.KeyID] = key
	}
	if len(byKID) == 0 {
		return nil, errors.New("JWK set: no key to verify with")
	}
	return byKID, nil
}

func (k jwk) secret() bool {
	return slices.ContainsFunc([]jsontext.Value{k.D, k.P, k.Q, k.DP, k.DQ, k.QI, k.Oth, k.K},
		func(v jsontext.Value) bool { return v != nil })
}

// verifiesHere reports whether the key says that it verifies an algorithm of ours.
// One without alg fits several, and so none.
func (k jwk) verifiesHere() bool {
	if k.Use != "" && k.Use != "sig" {
		return false
	}
	for _, op := range k.KeyOps {
		if op != "verify" {
			return false
		}
	}
	return k.Algorithm == "ES256" || k.Algorithm == "EdDSA" || k.Algorithm == "RS256"
}

func (k jwk) public() (Key, error) {
	switch {
	case k.Algorithm == "ES256" && k.KeyType == "EC" && k.Curve == "P-256":
		return k.p256()
	case k.Algorithm == "EdDSA" && k.KeyType == "OKP" && k.Curve == "Ed25519":
		x, err := decode(k.X, ed25519.PublicKeySize)
		return Key{"EdDSA", ed25519.PublicKey(x)}, err
	case k.Algorithm == "RS256" && k.KeyType == "RSA":
		return k.rsa()
	}
	return Key{}, errors.New("kty and crv do not fit alg")
}

func (k jwk) p256() (Key, error) {
	x, errX := decode(k.X, coordinate)
	y, errY := decode(k.Y, coordinate)
	if err := errors.Join(errX, errY); err != nil {
		return Key{}, err
	}
	point := append(append([]byte{4}, x...), y...) // SEC 1, section 2.3.3
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return Key{}, errors.New("not a point on P-256")
	}
	return Key{"ES256", public}, nil
}

func (k jwk) rsa() (Key, error) {
	n, errN := base64.RawURLEncoding.Strict().DecodeString(k.N)
	e, errE := base64.RawURLEncoding.Strict().DecodeString(k.E)
	if errN != nil || errE != nil {
		return Key{}, errors.New("not base64url")
	}
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(n)}
	if bits := public.N.BitLen(); bits < minRSABits || bits > maxRSABits || public.N.Bit(0) == 0 {
		return Key{}, fmt.Errorf("RSA of %d bits", bits)
	}
	exponent := new(big.Int).SetBytes(e)
	if exponent.Cmp(big.NewInt(65537)) != 0 {
		return Key{}, errors.New("RSA exponent is not 65537")
	}
	public.E = int(exponent.Int64())
	return Key{"RS256", public}, nil
}

func decode(s string, n int) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != n {
		return nil, fmt.Errorf("not %d bytes in base64url", n)
	}
	return b, nil
}
