package bearer_test

import (
	"context"
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
	"errors"
	"maps"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/jotgate/jotgate/pkg/bearer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const issuer, audience = "https://auth.example.com", "https://api.example.com"

// now is when the tests take place.
func now() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

// keys are the issuer's, by kid: one of each algorithm.
type keys map[string]crypto.Signer

func newKeys(tb testing.TB) keys {
	tb.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(tb, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	check(tb, err)
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	check(tb, err)
	return keys{"ES256": ec, "EdDSA": ed, "RS256": rs}
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func (k keys) find(_ context.Context, kid string) (bearer.Key, error) {
	key, ok := k[kid]
	if !ok {
		return bearer.Key{}, errors.New("unknown")
	}
	return bearer.Key{Algorithm: kid, Public: key.Public()}, nil
}

func (k keys) verifier(tb testing.TB, set ...func(c *bearer.Config)) *bearer.Verifier {
	tb.Helper()
	c := bearer.Config{Issuer: issuer, Audience: audience, Keys: k.find, Now: now}
	for _, f := range set {
		f(&c)
	}
	v, err := bearer.New(tb.Context(), c)
	check(tb, err)
	return v
}

type members map[string]any

// claims returns good claims with some replaced; a nil one is left out.
func claims(with members) members {
	c := members{
		"iss": issuer, "aud": audience, "sub": "u1", "client_id": "jotgate", "sid": "s1", "jti": "j1",
		"iat": now().Unix(), "exp": now().Add(10 * time.Minute).Unix(), "auth_time": now().Unix(),
		"amr": []string{"pwd"}, "roles": []string{"admin"}, "scope": "a b", "mode": "bearer",
	}
	return merged(c, with)
}

func merged(c, with members) members {
	maps.Copy(c, with)
	for name, value := range with {
		if value == nil {
			delete(c, name)
		}
	}
	return c
}

func header(alg string, with members) members {
	return merged(members{"alg": alg, "kid": alg, "typ": "at+jwt"}, with)
}

func encode(tb testing.TB, v any) string {
	tb.Helper()
	text, ok := v.(string)
	if !ok {
		b, err := json.Marshal(v)
		check(tb, err)
		text = string(b)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// sign makes a token of any header and claims, JSON text or values, under the
// issuer's key of alg.
func (k keys) sign(tb testing.TB, alg string, h, c any) string {
	tb.Helper()
	text := encode(tb, h) + "." + encode(tb, c)
	sig, err := jwt.GetSigningMethod(alg).Sign(text, k[alg])
	check(tb, err)
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func TestVerifyAccepts(t *testing.T) {
	k := newKeys(t)
	v := k.verifier(t)
	for name, c := range map[string]members{
		"plain": claims(nil), "audience in a list": claims(members{"aud": []string{"x", audience}}),
		"not before now": claims(members{"nbf": now().Unix()}), "claim of somebody else": claims(members{"tenant": members{"a": 1}}),
		"expired within the leeway": claims(members{"iat": now().Add(-time.Minute).Unix(), "exp": now().Add(-29 * time.Second).Unix()}),
		"issued in 30 seconds":      claims(members{"iat": now().Add(30 * time.Second).Unix()}),
		"no scope":                  claims(members{"scope": ""}), "no roles": claims(members{"roles": []string{}}),
	} {
		for alg := range k {
			t.Run(name+"/"+alg, func(t *testing.T) {
				got, err := v.Verify(t.Context(), k.sign(t, alg, header(alg, nil), c))
				check(t, err)
				if got.Subject != "u1" || got.SessionID != "s1" || got.ID != "j1" || got.Mode != "bearer" || !got.AuthTime.Equal(now()) {
					t.Errorf("claims = %+v", got)
				}
			})
		}
	}
	if _, err := v.Verify(t.Context(), k.sign(t, "ES256", header("ES256", members{"typ": "Application/AT+JWT"}), claims(nil))); err != nil {
		t.Errorf("typ as a full media type: %v", err)
	}
}

func TestVerifyRefusesClaims(t *testing.T) {
	k := newKeys(t)
	v := k.verifier(t)
	at := func(d time.Duration) int64 { return now().Add(d).Unix() }
	tests := map[string]any{
		"other issuer": claims(members{"iss": issuer + ".evil.example"}), "issuer with a slash": claims(members{"iss": issuer + "/"}),
		"issuer list": claims(members{"iss": []string{issuer}}), "no issuer": claims(members{"iss": nil}),
		"other audience": claims(members{"aud": "x"}), "no audience": claims(members{"aud": nil}), "empty audience": claims(members{"aud": []string{}}),
		"audience object": claims(members{"aud": members{"a": audience}}), "audience with a number": claims(members{"aud": []any{audience, 1}}),
		"audience prefix": claims(members{"aud": audience + "x"}), "null in the audience": claims(members{"aud": []any{nil, audience}}),
		"expired":   claims(members{"iat": at(-11 * time.Minute), "exp": at(-30 * time.Second)}),
		"no expiry": claims(members{"exp": nil}), "expiry as text": claims(members{"exp": "9999999999"}), "expiry as a fraction": claims(members{"exp": 1e10 + 0.5}),
		"expiry in exponent form": strings.Replace(encodeJSON(t, claims(members{"exp": 777})), "777", "1e11", 1), "negative expiry": claims(members{"exp": -1}),
		"expiry null": strings.Replace(encodeJSON(t, claims(members{"exp": 777})), "777", "null", 1), "expiry true": claims(members{"exp": true}),
		"huge expiry":                 strings.Replace(encodeJSON(t, claims(members{"exp": 777})), "777", "9223372036854775807", 1),
		"expires before it is issued": claims(members{"exp": at(-time.Second), "iat": at(0)}), "lives too long": claims(members{"exp": at(24*time.Hour + time.Second)}),
		"no issue time": claims(members{"iat": nil}), "issued in the future": claims(members{"iat": at(31 * time.Second)}), "issue time as text": claims(members{"iat": "1"}),
		"not yet valid": claims(members{"nbf": at(31 * time.Second)}), "not before as text": claims(members{"nbf": "0"}),
		"no subject": claims(members{"sub": nil}), "empty subject": claims(members{"sub": ""}), "subject as a number": claims(members{"sub": 7}),
		"no jti": claims(members{"jti": nil}), "no sid": claims(members{"sid": nil}), "empty sid": claims(members{"sid": ""}), "no client": claims(members{"client_id": nil}),
		"no mode": claims(members{"mode": nil}), "unknown mode": claims(members{"mode": "Bearer"}), "no scope": claims(members{"scope": nil}),
		"scope list": claims(members{"scope": []string{"a"}}), "roles as text": claims(members{"roles": "admin"}), "no roles": claims(members{"roles": nil}),
		"null role": claims(members{"roles": []any{nil}}), "no amr": claims(members{"amr": nil}), "no auth_time": claims(members{"auth_time": nil}),
		"claim twice": `{"sub":"u2",` + encodeJSON(t, claims(nil))[1:], "claim twice inside": `{"x":{"a":1,"a":2},` + encodeJSON(t, claims(nil))[1:],
		"claim twice in a list": `{"x":[{"a":1,"a":2}],` + encodeJSON(t, claims(nil))[1:], "claim twice, escaped": `{"\u0073ub":"u2",` + encodeJSON(t, claims(nil))[1:],
		"array": "[]", "null": "null", "two objects": encodeJSON(t, claims(nil)) + "{}", "text behind": encodeJSON(t, claims(nil)) + "x", "empty": "{}",
		"invalid UTF-8": strings.Replace(encodeJSON(t, claims(nil)), "u1", "\xff", 1), "name in another case": strings.Replace(encodeJSON(t, claims(nil)), `"sub"`, `"Sub"`, 1),
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := v.Verify(t.Context(), k.sign(t, "ES256", header("ES256", nil), c))
			if !errors.Is(err, bearer.ErrInvalidToken) {
				t.Errorf("claims = %+v, error = %v, want ErrInvalidToken", got, err)
			}
			if name == "expired" != errors.Is(err, bearer.ErrExpired) {
				t.Errorf("error = %v; is it ErrExpired?", err)
			}
		})
	}
}

func encodeJSON(tb testing.TB, v any) string {
	tb.Helper()
	b, err := json.Marshal(v)
	check(tb, err)
	return string(b)
}

func TestVerifyRefusesHeaders(t *testing.T) {
	k := newKeys(t)
	v := k.verifier(t)
	good := encodeJSON(t, header("ES256", nil))
	tests := map[string]any{
		"alg none": header("none", members{"kid": "ES256"}), "alg None": header("None", members{"kid": "ES256"}), "no alg": members{"kid": "ES256", "typ": "at+jwt"},
		"alg in another case": header("es256", members{"kid": "ES256"}), "alg HS256": header("HS256", members{"kid": "ES256"}), "alg ES384": header("ES384", members{"kid": "ES256"}),
		"alg of another key": header("RS256", members{"kid": "ES256"}), "alg PS256": header("PS256", members{"kid": "RS256"}), "alg as a list": header("ES256", members{"alg": []string{"ES256"}}),
		"no kid": members{"alg": "ES256", "typ": "at+jwt"}, "empty kid": header("ES256", members{"kid": ""}), "unknown kid": header("ES256", members{"kid": "nope"}),
		"kid as a number": header("ES256", members{"kid": 1}), "kid as a path": header("ES256", members{"kid": "../../dev/null"}), "long kid": header("ES256", members{"kid": strings.Repeat("k", 129)}),
		"kid of another key": header("ES256", members{"kid": "EdDSA"}),
		"no typ":             members{"alg": "ES256", "kid": "ES256"}, "typ JWT": header("ES256", members{"typ": "JWT"}), "typ rt+jwt": header("ES256", members{"typ": "rt+jwt"}),
		"typ longer": header("ES256", members{"typ": "at+jwt+x"}), "typ dpop": header("ES256", members{"typ": "dpop+jwt"}), "typ twice application": header("ES256", members{"typ": "application/application/at+jwt"}),
		"crit": header("ES256", members{"crit": []string{"exp"}}), "empty crit": header("ES256", members{"crit": []string{}}), "b64": header("ES256", members{"b64": false, "crit": []string{"b64"}}),
		"jwk": header("ES256", members{"jwk": members{"kty": "EC"}}), "jku": header("ES256", members{"jku": "https://evil.example/jwks"}),
		"x5u": header("ES256", members{"x5u": "https://evil.example"}), "x5c": header("ES256", members{"x5c": []string{"x"}}), "zip": header("ES256", members{"zip": "DEF"}),
		"enc": header("ES256", members{"enc": "A128GCM"}), "cty": header("ES256", members{"cty": "JWT"}),
		"alg twice": `{"alg":"none",` + good[1:], "kid twice": `{"kid":"RS256",` + good[1:], "text behind": good + " {}", "array": "[]", "no JSON": "alg",
	}
	for name, h := range tests {
		t.Run(name, func(t *testing.T) {
			if got, err := v.Verify(t.Context(), k.sign(t, "ES256", h, claims(nil))); !errors.Is(err, bearer.ErrInvalidToken) {
				t.Errorf("claims = %+v, error = %v, want ErrInvalidToken", got, err)
			}
		})
	}
}

// Libraries would refuse these too, by the type of the key; the log is to say what
// was tried.
func TestAlgorithmIsTheKeys(t *testing.T) {
	k := newKeys(t)
	v := k.verifier(t)
	for _, alg := range []string{"ES256", "RS256", "HS256", "none"} {
		_, err := v.Verify(t.Context(), k.sign(t, "EdDSA", header(alg, members{"kid": "EdDSA"}), claims(nil)))
		if !errors.Is(err, bearer.ErrInvalidToken) || !strings.Contains(err.Error(), "does not fit the key") {
			t.Errorf("%s under a key for EdDSA: %v", alg, err)
		}
	}
}

func TestVerifyRefusesText(t *testing.T) {
	k := newKeys(t)
	v := k.verifier(t)
	good := k.sign(t, "ES256", header("ES256", nil), claims(nil))
	h, rest, _ := strings.Cut(good, ".")
	c, sig, _ := strings.Cut(rest, ".")
	tests := map[string]string{
		"empty": "", "one dot": h + "." + c, "three dots": good + ".", "dot behind": good + ".x", "no signature": h + "." + c + ".", "only dots": "..",
		"line feed in the signature": h + "." + c + "." + sig[:10] + "\n" + sig[10:], "line feed behind": good + "\n", "space before": " " + good,
		"padding": good + "=", "standard base64": h + "." + c + "." + strings.NewReplacer("-", "+", "_", "/").Replace(sig) + "+", "JSON serialisation": `{"payload":"` + c + `"}`,
		"percent": strings.Replace(good, ".", "%2E", 1), "too long": good + strings.Repeat("A", 8192), "many dots": strings.Repeat(".", 8192), "NUL": h + "." + c + ".\x00",
		"cut short": good[:len(good)-1], "other claims": h + "." + encode(t, claims(members{"sub": "u2"})) + "." + sig, "five segments": h + "." + c + "." + sig + "." + c + "." + sig,
		"signature of zeros":    h + "." + c + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
		"longer signature":      h + "." + c + "." + sig + "AA",
		"signature in DER":      h + "." + c + "." + derOf(t, sig),
		"another last letter":   good[:len(good)-1] + spare(good[len(good)-1]),
		"Unicode look-alike":    strings.Replace(good, "e", "е", 1),
		"bearer in front of it": "Bearer " + good,
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			if got, err := v.Verify(t.Context(), text); !errors.Is(err, bearer.ErrInvalidToken) {
				t.Errorf("claims = %+v, error = %v, want ErrInvalidToken", got, err)
			}
		})
	}
	if _, err := v.Verify(t.Context(), good); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// spare returns a letter that differs from c only in the bits that 64 bytes do
// not use of their last base64 letter.
func spare(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)^1])
}

func derOf(tb testing.TB, sig string) string {
	tb.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(sig)
	check(tb, err)
	integer := func(b []byte) []byte {
		b = new(big.Int).SetBytes(b).Bytes()
		if b[0] >= 0x80 {
			b = append([]byte{0}, b...)
		}
		return append([]byte{2, byte(len(b))}, b...)
	}
	body := append(integer(raw[:32]), integer(raw[32:])...)
	return base64.RawURLEncoding.EncodeToString(append([]byte{0x30, byte(len(body))}, body...))
}

// TestKeyConfusion signs with HMAC under every spelling of the public keys.
func TestKeyConfusion(t *testing.T) {
	k := newKeys(t)
	v := k.verifier(t)
	for kid, key := range k {
		der, err := x509.MarshalPKIXPublicKey(key.Public())
		check(t, err)
		block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		for name, secret := range map[string][]byte{
			"DER": der, "PEM": block, "PEM without a line end": block[:len(block)-1], "PEM after a space": append([]byte(" "), block...), "empty": {},
		} {
			for _, alg := range []string{"HS256", kid} {
				text := encode(t, members{"alg": alg, "kid": kid, "typ": "at+jwt"}) + "." + encode(t, claims(nil))
				mac := hmac.New(sha256.New, secret)
				mac.Write([]byte(text))
				token := text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
				if _, err := v.Verify(t.Context(), token); !errors.Is(err, bearer.ErrInvalidToken) {
					t.Errorf("%s key as %s, alg %s: %v", kid, name, alg, err)
				}
			}
		}
		for _, other := range []string{"ES256", "EdDSA", "RS256"} {
			token := k.sign(t, other, members{"alg": other, "kid": kid, "typ": "at+jwt"}, claims(nil))
			if _, err := v.Verify(t.Context(), token); (err == nil) != (other == kid) {
				t.Errorf("signed with %s, kid %s: %v", other, kid, err)
			}
		}
	}
}

func TestRevoked(t *testing.T) {
	k := newKeys(t)
	var asked *bearer.Claims
	v := k.verifier(t, func(c *bearer.Config) {
		c.Revoked = func(c *bearer.Claims) bool { asked = c; return c.SessionID == "s2" }
	})
	if _, err := v.Verify(t.Context(), k.sign(t, "ES256", header("ES256", nil), claims(nil))); err != nil || asked == nil || asked.Subject != "u1" {
		t.Errorf("asked about %+v, error = %v", asked, err)
	}
	_, err := v.Verify(t.Context(), k.sign(t, "ES256", header("ES256", nil), claims(members{"sid": "s2"})))
	if !errors.Is(err, bearer.ErrRevoked) || !errors.Is(err, bearer.ErrInvalidToken) {
		t.Errorf("error = %v, want ErrRevoked", err)
	}
}

func TestNewRefusesUnsafeSettings(t *testing.T) {
	k := newKeys(t)
	for name, c := range map[string]bearer.Config{
		"no issuer": {Audience: audience, Keys: k.find}, "no audience": {Issuer: issuer, Keys: k.find},
		"negative leeway": {Issuer: issuer, Audience: audience, Keys: k.find, Leeway: -1},
		"long leeway":     {Issuer: issuer, Audience: audience, Keys: k.find, Leeway: time.Minute + 1},
	} {
		if _, err := bearer.New(t.Context(), c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestUnavailableKeysAreNotAnInvalidToken(t *testing.T) {
	k := newKeys(t)
	v := k.verifier(t, func(c *bearer.Config) {
		c.Keys = func(context.Context, string) (bearer.Key, error) { return bearer.Key{}, bearer.ErrUnavailable }
	})
	_, err := v.Verify(t.Context(), k.sign(t, "ES256", header("ES256", nil), claims(nil)))
	if !errors.Is(err, bearer.ErrUnavailable) || errors.Is(err, bearer.ErrInvalidToken) {
		t.Errorf("error = %v, want ErrUnavailable alone", err)
	}
}

func TestScopesAndRoles(t *testing.T) {
	c := bearer.Claims{Scope: "read write", Roles: []string{"admin"}}
	for scope, want := range map[string]bool{"read": true, "write": true, "rea": false, "read write": false, "": false, "Read": false} {
		if c.HasScope(scope) != want {
			t.Errorf("HasScope(%q) = %t", scope, !want)
		}
	}
	if (&bearer.Claims{}).HasScope("") || !c.HasRole("admin") || c.HasRole("adm") {
		t.Error("HasScope of nothing, or HasRole")
	}
}

func FuzzVerify(f *testing.F) {
	k := newKeys(f)
	v := k.verifier(f)
	good := k.sign(f, "ES256", header("ES256", nil), claims(nil))
	f.Add(good)
	f.Add(k.sign(f, "EdDSA", header("EdDSA", nil), claims(nil)))
	f.Add("..")
	f.Add(strings.ToLower(good))
	f.Fuzz(func(t *testing.T, text string) {
		got, err := v.Verify(t.Context(), text)
		if (err == nil) != (got != nil) {
			t.Fatalf("claims = %v, error = %v", got, err)
		}
		if err == nil && (got.Subject != "u1" || strings.ContainsAny(text, "\n =+/") || strings.Count(text, ".") != 2) {
			t.Errorf("accepted %q", text)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	k := newKeys(b)
	for alg := range k {
		token := k.sign(b, alg, header(alg, nil), claims(nil))
		for name, size := range map[string]int{"first-seen": -1, "remembered": 0} {
			b.Run(name+"/"+alg, func(b *testing.B) {
				v := k.verifier(b, func(c *bearer.Config) { c.CacheSize = size })
				b.ReportAllocs()
				for b.Loop() {
					if _, err := v.Verify(b.Context(), token); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run("golang-jwt/"+alg, func(b *testing.B) {
			p := jwt.NewParser(jwt.WithTimeFunc(now))
			for b.Loop() {
				if _, err := p.Parse(token, func(*jwt.Token) (any, error) { return k[alg].Public(), nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
