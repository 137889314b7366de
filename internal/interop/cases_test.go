package interop_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/jotgate/jotgate/internal/apptest"
	"github.com/jotgate/jotgate/internal/keyset"
	"github.com/jotgate/jotgate/internal/token"
)

const audience = "https://api.example.com"

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// exhibit is a text and whether it is an access token of the issuer for the audience.
type exhibit struct {
	Name  string `json:"name"`
	Token string `json:"token"`
	Good  bool   `json:"good"`
}

// court is a whole jotgate that signs with one algorithm, a user who is signed in
// there, and exhibits for others to judge. Each bad one differs from a good one
// in one thing.
type court struct {
	*apptest.Server

	alg      string
	user     string // id
	exhibits []exhibit
}

func (c *court) jwks() string { return c.URL + "/.well-known/jwks.json" }

// inEachCourt runs a test with each algorithm.
func inEachCourt(t *testing.T, f func(t *testing.T, c *court)) {
	t.Helper()
	for _, alg := range []keyset.Algorithm{keyset.ES256, keyset.EdDSA, keyset.RS256} {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			f(t, newCourt(t, alg))
		})
	}
}

func newCourt(t *testing.T, alg keyset.Algorithm) *court {
	t.Helper()
	s := apptest.Start(t, "JOTGATE_TOKEN_ALG="+string(alg), "JOTGATE_TOKEN_AUDIENCE="+audience)
	s.SignUp(t, "ada")
	login := s.SignIn(t, "ada")
	var child apptest.Tokens
	if got := s.Call(t, http.MethodPost, "/v1/refresh", "", map[string]string{"refresh_token": login.Refresh}, &child); got != http.StatusOK {
		t.Fatalf("refresh: status %d", got)
	}
	key, err := s.Keys.Signer()
	check(t, err)
	c := &court{Server: s, alg: string(alg), user: login.User.ID}
	c.exhibits = []exhibit{
		{"login", login.Access, true},
		{"refresh", child.Access, true},
		{"refresh token", child.Refresh, false},
		{"another issuer", c.mint(t, "https://elsewhere.example.com", audience, key, 0), false},
		{"another audience", c.mint(t, s.URL, s.URL, key, 0), false},
		{"expired", c.mint(t, s.URL, audience, key, -time.Hour), false},
		{"like a login", c.mint(t, s.URL, audience, key, 0), true},
		{"unknown kid", c.mint(t, s.URL, audience, stranger(t, alg, "stranger"), 0), false},
		{"another key under the issuer's kid", c.mint(t, s.URL, audience, stranger(t, alg, key.KID), 0), false},
		{"changed payload", changedPayload(t, login.Access), false},
		{"changed signature", changedSignature(t, login.Access), false},
		{"no signature", login.Access[:strings.LastIndex(login.Access, ".")+1], false},
		{"alg none", unsigned(login.Access, key.KID), false},
		{"HS256 with the public key", confused(t, login.Access, key, publicPEM(t, key)), false},
		{"HS256 with the public key's DER", confused(t, login.Access, key, publicDER(t, key)), false},
	}
	return c
}

// mint issues what jotgate would, were it called issuer, at another time.
func (c *court) mint(t *testing.T, issuer, audience string, key keyset.Signer, ago time.Duration) string {
	t.Helper()
	i, err := token.NewIssuer(issuer, audience, func() (keyset.Signer, error) { return key, nil })
	check(t, err)
	now := time.Now().Add(ago)
	text, err := i.Access(token.Access{
		Subject: c.user, ClientID: "jotgate", SessionID: "s", IssuedAt: now, ExpiresAt: now.Add(10 * time.Minute),
		AuthTime: now, AMR: []string{"pwd"}, Mode: "bearer",
	})
	check(t, err)
	return text
}

// stranger is a key that the issuer does not have.
func stranger(t *testing.T, alg keyset.Algorithm, kid string) keyset.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch alg {
	case keyset.ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case keyset.EdDSA:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case keyset.RS256:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	check(t, err)
	return keyset.Signer{KID: kid, Algorithm: alg, Key: key}
}

func changedPayload(t *testing.T, access string) string {
	t.Helper()
	parts := strings.Split(access, ".")
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	check(t, err)
	var claims map[string]any
	check(t, json.Unmarshal(text, &claims))
	claims["roles"] = []string{"admin"}
	text, err = json.Marshal(claims)
	check(t, err)
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString(text) + "." + parts[2]
}

func changedSignature(t *testing.T, access string) string {
	t.Helper()
	end := strings.LastIndex(access, ".") + 1
	raw, err := base64.RawURLEncoding.DecodeString(access[end:])
	check(t, err)
	raw[len(raw)/2] ^= 1
	return access[:end] + base64.RawURLEncoding.EncodeToString(raw)
}

// underHeader returns header and the payload of access, ready to be signed.
func underHeader(access, header string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + strings.Split(access, ".")[1]
}

func unsigned(access, kid string) string {
	return underHeader(access, `{"alg":"none","kid":"`+kid+`","typ":"at+jwt"}`) + "."
}

// confused is signed with what everybody has, for a verifier that lets the token
// choose the algorithm.
func confused(t *testing.T, access string, key keyset.Signer, secret []byte) string {
	t.Helper()
	text := underHeader(access, `{"alg":"HS256","kid":"`+key.KID+`","typ":"at+jwt"}`)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	got := text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	if _, err := jwt.Parse(got, func(*jwt.Token) (any, error) { return secret, nil }); err != nil {
		t.Fatalf("not even a confused verifier takes it: %v", err)
	}
	return got
}

func publicDER(t *testing.T, key keyset.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Key.Public())
	check(t, err)
	return der
}

func publicPEM(t *testing.T, key keyset.Signer) []byte {
	t.Helper()
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER(t, key)})
}

// judge holds the verdicts of others, subject or error, against what is true.
func (c *court) judge(t *testing.T, verify func(token string) (subject string, err error)) {
	t.Helper()
	for _, e := range c.exhibits {
		t.Run(e.Name, func(t *testing.T) {
			subject, err := verify(e.Token)
			if e.Good && (err != nil || subject != c.user) {
				t.Errorf("subject %q, %v; want %q", subject, err, c.user)
			}
			if !e.Good && err == nil {
				t.Error("accepted")
			}
		})
	}
}
