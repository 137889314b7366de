package keyset_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-jose/go-jose/v4"

	"github.com/jotgate/jotgate/internal/keyset"
)

// rfc8037Key is the private key of RFC 8037, appendix A.1.
const rfc8037Key = `{"kty":"OKP","crv":"Ed25519","kid":"not this",
	"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
	"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`

// rfc7517Key is the private key of RFC 7517, appendix A.2, whose public half is
// the example of RFC 7638, section 3.1.
const rfc7517Key = `{"kty":"RSA","kid":"2011-04-29","alg":"RS256","e":"AQAB",
	"n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
	"d":"X4cTteJY_gn4FYPsXB8rdXix5vwsg1FLN5E3EaG6RJoVH-HLLKD9M7dx5oo7GURknchnrRweUkC7hT5fJLM0WbFAKNLWY2vv7B6NqXSzUvxT0_YSfqijwp3RTzlBaCxWp4doFk5N2o8Gy_nHNKroADIkJ46pRUohsXywbReAdYaMwFs9tv8d_cPVY3i07a3t8MN6TNwm0dSawm9v47UiCl3Sk5ZiG7xojPLu4sbg1U2jx4IBTNBznbJSzFHK66jT8bgkuqsk0GjskDJk19Z4qwjwbsnn4j2WBii3RL-Us2lGVkY8fkFzme1z0HbIkfz0Y6mqnOYtqc0X4jfcKoAC8Q",
	"p":"83i-7IvMGXoMXCskv73TKr8637FiO7Z27zv8oj6pbWUQyLPQBQxtPVnwD20R-60eTDmD2ujnMt5PoqMrm8RfmNhVWDtjjMmCMjOpSXicFHj7XOuVIYQyqVWlWEh6dN36GVZYk93N8Bc9vY41xy8B9RzzOGVQzXvNEvn7O0nVbfs",
	"q":"3dfOR9cuYq-0S-mkFLzgItgMEfFzB2q3hWehMuG0oCuqnb3vobLyumqjVZQO1dIrdwgTnCdpYzBcOfW5r370AFXjiWft_NGEiovonizhKpo9VVS78TzFgxkIdrecRezsZ-1kYd_s1qDbxtkDEgfAITAG9LUnADun4vIcb6yelxk"}`

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ecKey(c elliptic.Curve) *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(c, rand.Reader)) }

func ecJWK(t *testing.T) string {
	t.Helper()
	return jwkOf(ecKey(elliptic.P256()))
}

func jwkOf(key any) string { return string(must(jose.JSONWebKey{Key: key}.MarshalJSON())) }

// with returns a JWK with members set or replaced.
func with(jwk string, members map[string]any) string {
	var m map[string]any
	if err := json.Unmarshal([]byte(jwk), &m); err != nil {
		panic(err)
	}
	maps.Copy(m, members)
	return string(must(json.Marshal(m)))
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkcs8(key any) string { return block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key))) }

// rsaKey returns an RSA key of two random primes of half the bits each.
func rsaKey(bits int, e int64) *rsa.PrivateKey {
	for {
		key := rsaKeyOf(must(rand.Prime(rand.Reader, bits/2)), must(rand.Prime(rand.Reader, bits/2)), e)
		if key != nil {
			return key
		}
	}
}

// rsaKeyOf returns the RSA key of p, q and e, or nil if they make none.
func rsaKeyOf(p, q *big.Int, e int64) *rsa.PrivateKey {
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	d := new(big.Int).ModInverse(big.NewInt(e), phi)
	if d == nil || p.Cmp(q) == 0 {
		return nil
	}
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: int(e)}, D: d, Primes: []*big.Int{p, q},
	}
	key.Precompute()
	return key
}

// mersenne returns 2^n-1.
func mersenne(n uint) *big.Int {
	m := new(big.Int).Lsh(big.NewInt(1), n)
	return m.Sub(m, big.NewInt(1))
}

func TestImportReadsEveryForm(t *testing.T) {
	ec := ecKey(elliptic.P256())
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs := rsaKey(2048, 65537)
	sec1 := block("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ec)))
	params := block("EC PARAMETERS", []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7})
	tests := []struct {
		name string
		text string
		key  crypto.Signer
		alg  keyset.Algorithm
	}{
		{"P-256 in PKCS #8", pkcs8(ec), ec, keyset.ES256},
		{"P-256 in SEC 1", sec1, ec, keyset.ES256},
		{"P-256 as openssl ecparam -genkey writes it", params + sec1, ec, keyset.ES256},
		{"P-256 as JWK", jwkOf(ec), ec, keyset.ES256},
		{"P-256 as JWK that says so", with(jwkOf(ec), map[string]any{"use": "sig", "alg": "ES256", "kid": "x"}), ec, keyset.ES256},
		{"Ed25519 in PKCS #8", pkcs8(ed), ed, keyset.EdDSA},
		{"Ed25519 as JWK", jwkOf(ed), ed, keyset.EdDSA},
		{"RSA in PKCS #8", pkcs8(rs), rs, keyset.RS256},
		{"RSA in PKCS #1", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs)), rs, keyset.RS256},
		{"RSA as JWK", jwkOf(rs), rs, keyset.RS256},
		{"space around", "\r\n " + jwkOf(ec) + "\n\n", ec, keyset.ES256},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store := &memory{}
			s := newSet(t, store)
			info, err := s.Import(t.Context(), []byte(tt.text), tt.alg)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Signer()
			if err != nil {
				t.Fatal(err)
			}
			public := got.Key.Public().(interface{ Equal(crypto.PublicKey) bool })
			if !public.Equal(tt.key.Public()) || got.Algorithm != tt.alg || got.KID != info.KID {
				t.Errorf("Signer = %s %s, another key than the one imported", got.Algorithm, got.KID)
			}
			if info.State != keyset.Active || info.Algorithm != tt.alg || info.ActivatesAt.IsZero() || info.CreatedAt.IsZero() {
				t.Errorf("Import = %+v", info)
			}
			if _, err := s.Import(t.Context(), []byte(tt.text), tt.alg); !errors.Is(err, keyset.ErrExists) || len(store.keys) != 1 {
				t.Errorf("again: %v with %d keys, want ErrExists", err, len(store.keys))
			}
		})
	}
}

// TestKIDIsTheThumbprint has the examples of RFC 7638 and RFC 8037, appendix A.3.
func TestKIDIsTheThumbprint(t *testing.T) {
	for _, tt := range []struct {
		text string
		alg  keyset.Algorithm
		want string
	}{
		{rfc7517Key, keyset.RS256, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
		{rfc8037Key, keyset.EdDSA, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
	} {
		info, err := newSet(t, &memory{}).Import(t.Context(), []byte(tt.text), tt.alg)
		if err != nil || info.KID != tt.want {
			t.Errorf("kid = %q, %v; want %q", info.KID, err, tt.want)
		}
	}
}

func TestImportRefuses(t *testing.T) {
	ec, other := ecKey(elliptic.P256()), ecKey(elliptic.P256())
	x25519 := must(ecdh.X25519().GenerateKey(rand.Reader))
	ecPublic := must(x509.MarshalPKIXPublicKey(ec.Public()))
	encrypted := string(pem.EncodeToMemory(&pem.Block{
		Type: "EC PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"},
		Bytes: []byte("sealed"),
	}))
	var otherJWK map[string]any
	if err := json.Unmarshal([]byte(jwkOf(other)), &otherJWK); err != nil {
		t.Fatal(err)
	}
	foreign := with(jwkOf(ec), map[string]any{"x": otherJWK["x"], "y": otherJWK["y"]})
	tests := []struct {
		name string
		text string
		alg  keyset.Algorithm
		says string
	}{
		{"nothing", "", keyset.ES256, "neither PEM nor a JWK"},
		{"text", "correct horse battery", keyset.ES256, "neither PEM nor a JWK"},
		{"another algorithm", jwkOf(ec), keyset.RS256, "it signs ES256, and RS256 is configured"},
		{"P-384", pkcs8(ecKey(elliptic.P384())), keyset.ES256, "its curve is P-384"},
		{"P-521 JWK", jwkOf(ecKey(elliptic.P521())), keyset.ES256, "its curve is P-521"},
		{"RSA 1024", pkcs8(rsaKey(1024, 65537)), keyset.RS256, "RSA of 1024 bits"},
		{"RSA 2046", pkcs8(rsaKey(2046, 65537)), keyset.RS256, "bits, want 2048 to 4096"},
		{"RSA 4484", pkcs8(rsaKeyOf(mersenne(2203), mersenne(2281), 65537)), keyset.RS256, "of 4484 bits, want 2048 to 4096"},
		{"RSA with e 3", jwkOf(rsaKey(2048, 3)), keyset.RS256, "public exponent 3"},
		{"RSA with e 65535", jwkOf(rsaKey(2048, 65535)), keyset.RS256, "public exponent 65535"},
		{"RSA with e 65539", pkcs8(rsaKey(2048, 65539)), keyset.RS256, "public exponent 65539, want 65537"},
		{"RSA with e 65539 as JWK", jwkOf(rsaKey(2048, 65539)), keyset.RS256, "public exponent 65539, want 65537"},
		{"X25519", pkcs8(x25519), keyset.EdDSA, "not a P-256, Ed25519 or RSA key"},
		{"public PEM", block("PUBLIC KEY", ecPublic), keyset.ES256, "holds no private key"},
		{"public JWK", jwkOf(ec.Public()), keyset.ES256, "no private part"},
		{"symmetric JWK", `{"kty":"oct","k":"c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IQ"}`, keyset.ES256, "not a P-256, Ed25519 or RSA key"},
		{"encrypted PKCS #8", block("ENCRYPTED PRIVATE KEY", []byte("sealed")), keyset.ES256, "decrypt it first"},
		{"encrypted in the old way", encrypted, keyset.ES256, "decrypt it first"},
		{"two keys", pkcs8(ec) + pkcs8(other), keyset.ES256, "something follows"},
		{"broken DER", block("PRIVATE KEY", []byte("no key")), keyset.ES256, ""},
		{"broken JWK", `{"kty":"EC"`, keyset.ES256, ""},
		{"member twice", strings.Replace(rfc8037Key, "{", `{"kty":"OKP",`, 1), keyset.EdDSA, ""},
		{"JWK for encryption", with(jwkOf(ec), map[string]any{"use": "enc"}), keyset.ES256, `for use "enc"`},
		{"JWK for another algorithm", with(rfc7517Key, map[string]any{"alg": "PS256"}), keyset.RS256, `for "PS256"`},
		{"JWK with a foreign public half", foreign, keyset.ES256, ""},
		{"JWK with d 0", with(jwkOf(ec), map[string]any{"d": strings.Repeat("A", 43)}), keyset.ES256, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store := &memory{}
			_, err := newSet(t, store).Import(t.Context(), []byte(tt.text), tt.alg)
			if !errors.Is(err, keyset.ErrUnusableKey) || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("Import = %v, want ErrUnusableKey that says %q", err, tt.says)
			}
			if len(store.keys) != 0 {
				t.Error("the key is there all the same")
			}
			if strings.Contains(err.Error(), "\n") || len(tt.text) > 0 && strings.Contains(err.Error(), tt.text) {
				t.Errorf("error is more than one line or repeats the key: %v", err)
			}
		})
	}
}

func TestImportPublishesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSet(t, &memory{})
		ensure(t, s, keyset.ES256)
		info, err := s.Import(t.Context(), []byte(rfc8037Key), keyset.EdDSA)
		if err != nil {
			t.Fatal(err)
		}
		if info.State != keyset.Pending || !info.ActivatesAt.Equal(now().Add(publishAhead)) {
			t.Errorf("Import = %+v, want it to sign in %v", info, publishAhead)
		}
		if got := signs(t, s); got != keyset.ES256 {
			t.Errorf("%s signs, want ES256", got)
		}
	})
}
