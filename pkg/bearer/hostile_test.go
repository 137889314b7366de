package bearer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func base64URL(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// Nobody has vouched for a token's header: what it costs must not grow faster
// than it does.
func TestNestingIsCheap(t *testing.T) {
	for _, open := range []string{"[", `{"a":`} {
		deep := strings.Repeat(open, 6000/(len(open)+1))
		for _, text := range []string{`{"alg":` + deep, `{"alg":` + deep + "1" + strings.Repeat(map[byte]string{'[': "]", '{': "}"}[open[0]], strings.Count(deep, open)) + "}"} {
			best := time.Hour
			for range 5 { // the machine may be busy
				start := time.Now()
				if _, err := gate(base64URL(text) + ".e30.AA"); err == nil {
					t.Error("no error")
				}
				best = min(best, time.Since(start))
			}
			if best > 40*time.Millisecond {
				t.Errorf("a header of %q takes %s", open, best)
			}
		}
	}
}

// A browser lets a sibling site set a cookie whose name begins with a no-break
// space, which has no __Host- prefix to it. Trimming it would give it ours.
func TestOtherSpacesBelongToTheCookiesName(t *testing.T) {
	for _, space := range []string{"\u00a0", "\u0085", "\u2000", "\u3000", "\v", "\f"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Cookie"] = []string{"a=b; " + space + CookieName + "=planted"}
		if got, err := FromRequest(r); !errors.Is(err, ErrNoCredentials) {
			t.Errorf("%q: %+v, %v; want ErrNoCredentials", space, got, err)
		}
	}
}

func TestOriginsThatSayNothing(t *testing.T) {
	for name, h := range map[string]http.Header{
		"two Sec-Fetch-Site, listed Origin": {"Sec-Fetch-Site": {"cross-site", "same-origin"}, "Origin": {"https://app.example.com"}},
		"null, though listed":               {"Origin": {"null"}},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header = h
		if err := CheckOrigin(r, []string{"https://app.example.com", "null"}); !errors.Is(err, ErrCrossOrigin) {
			t.Errorf("%s: %v, want ErrCrossOrigin", name, err)
		}
	}
}

func TestTypIsComparedInASCII(t *testing.T) {
	if _, err := parseHeader([]byte(`{"alg":"ES256","kid":"k","typ":"appl\u0130cation/at+jwt"}`)); err == nil {
		t.Error("a dotted capital I is taken for an i")
	}
}

// verify has golang-jwt sign claims under key, and the verifier see public for it.
func verify(t *testing.T, method jwt.SigningMethod, key crypto.Signer, claims string) error {
	t.Helper()
	text := base64URL(fmt.Sprintf(`{"alg":%q,"kid":"k","typ":"at+jwt"}`, method.Alg())) + "." + base64URL(claims)
	sig, err := method.Sign(text, key)
	if err != nil {
		t.Fatal(err)
	}
	v, err := New(t.Context(), Config{
		Issuer: "https://auth.example.com", Audience: "api", Now: func() time.Time { return time.Unix(1000100, 0) },
		Keys: func(context.Context, string) (Key, error) { return Key{method.Alg(), key.Public()}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(t.Context(), text+"."+base64.RawURLEncoding.EncodeToString(sig))
	return err
}

const fine = `{"iss":"https://auth.example.com","aud":"api","sub":"u","client_id":"c","sid":"s","jti":"j","iat":1000000,"exp":1000600,` +
	`"auth_time":1000000,"amr":[],"roles":[],"scope":"","mode":"bearer"}`

func TestExpiredMeansNothingElseIsWrong(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	old := strings.NewReplacer("1000000", "900000", "1000600", "900600").Replace(fine)
	for name, tt := range map[string]struct {
		claims  string
		expired bool
	}{
		"expired":                   {old, true},
		"expired, another audience": {strings.Replace(old, `"api"`, `"other"`, 1), false},
		"expired, another issuer":   {strings.Replace(old, "auth.", "other.", 1), false},
		"null":                      {"null", false},
		"a lone surrogate":          {strings.Replace(fine, `"u"`, `"\ud800"`, 1), false},
	} {
		err := verify(t, jwt.SigningMethodES256, key, tt.claims)
		if !errors.Is(err, ErrInvalidToken) || errors.Is(err, ErrExpired) != tt.expired {
			t.Errorf("%s: %v; want ErrInvalidToken, and ErrExpired %t", name, err, tt.expired)
		}
	}
}

// es224 is ES256 on another curve, which golang-jwt verifies as ES256.
type es224 struct{ *jwt.SigningMethodECDSA }

func (es224) Sign(text string, key any) ([]byte, error) {
	h := crypto.SHA256.New()
	h.Write([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key.(*ecdsa.PrivateKey), h.Sum(nil))
	if err != nil {
		return nil, err
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return sig, nil
}

func TestKeyHasToFitItsAlgorithm(t *testing.T) {
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(t, es224{jwt.SigningMethodES256}, p224, fine); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("ES256 on P-224: %v, want ErrInvalidToken", err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(t, jwt.SigningMethodRS256, small, fine); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("RSA of 1024 bits: %v, want ErrInvalidToken", err)
	}
}

func TestSetsWithSomethingWrongAreRefused(t *testing.T) {
	const good = `{"kid":"a","kty":"OKP","crv":"Ed25519","alg":"EdDSA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	if _, err := parseKeys([]byte(`{"keys":[` + good + `]}`)); err != nil {
		t.Fatal(err)
	}
	bad := map[string]string{
		"secret beside":          `{"keys":[` + good + `,{"kid":"b","kty":"oct","alg":"HS256","k":"AAAA"}]}`,
		"kid twice, one skipped": `{"keys":[` + good + `,{"kid":"a","kty":"EC","alg":"ES384"}]}`,
		"name in another case":   `{"KEYS":[` + good + `]}`,
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		bad["private "+name] = `{"keys":[{"` + name + `":"AQ",` + good[1:] + `]}`
	}
	for name, set := range bad {
		if keys, err := parseKeys([]byte(set)); err == nil {
			t.Errorf("%s: %v, want an error", name, keys)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	for _, seed := range []string{
		`{"keys":[{"kid":"a","kty":"OKP","crv":"Ed25519","alg":"EdDSA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`,
		`{"keys":[{"kid":"b","kty":"EC","crv":"P-256","alg":"ES256","x":"AA","y":"AA"}]}`,
		`{"keys":[{"kid":"c","kty":"RSA","alg":"RS256","n":"AQAB","e":"AQAB"},{"kty":"oct","k":""}]}`, `{"keys":null}`, `[]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		byKID, err := parseKeys(text)
		if (err == nil) != (len(byKID) > 0) {
			t.Fatalf("%d keys, error = %v", len(byKID), err)
		}
		for kid, key := range byKID {
			if err := key.check(); err != nil || kid == "" {
				t.Errorf("%q is accepted as %q: %v", text, kid, err)
			}
		}
	})
}

// away is an issuer that does not answer until it is let.
func away(t *testing.T, answer chan struct{}) *remote {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-answer
		w.WriteHeader(http.StatusBadGateway)
	}))
	t.Cleanup(s.Close)
	r := &remote{url: s.URL, client: clientOf(s.Client()), now: time.Now}
	r.keys.Store(&keys{byKID: map[string]Key{"known": {}}})
	return r
}

func TestTokensDoNotQueueForAnIssuerThatIsAway(t *testing.T) {
	answer := make(chan struct{})
	r := away(t, answer)
	before, start := runtime.NumGoroutine(), time.Now()
	for range 1000 {
		if _, err := r.key(t.Context(), "known"); err != nil {
			t.Fatal(err)
		}
	}
	if waited := time.Since(start); waited > 2*patience {
		t.Errorf("they waited for %s", waited)
	}
	if more := runtime.NumGoroutine() - before; more > 50 {
		t.Errorf("%d goroutines wait for one fetch", more)
	}
	close(answer)
	if err := r.wait(t.Context()); err == nil {
		t.Error("the fetch succeeded")
	}
	if have := r.keys.Load(); !time.Now().Before(have.expires) || have.byKID == nil {
		t.Error("tokens wait for an issuer that is known to be away")
	}
}

func TestUnknownKidCannotBeJudgedWhileTheIssuerIsAway(t *testing.T) {
	answer := make(chan struct{})
	close(answer)
	if _, err := away(t, answer).key(t.Context(), "next"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error = %v, want ErrUnavailable", err)
	}
}

func TestMaxAge(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": defaultMaxAge, "max-age=300": 5 * time.Minute, "public, Max-Age=120": 2 * time.Minute, "max-age=x": defaultMaxAge,
		"max-age=1": minMaxAge, "max-age=86400": maxMaxAge, "max-age=9223372036854775807": maxMaxAge,
	} {
		if got := maxAge(header); got != want {
			t.Errorf("maxAge(%q) = %s, want %s", header, got, want)
		}
	}
}
