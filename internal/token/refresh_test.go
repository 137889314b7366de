package token_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/keyset"
	"github.com/jotgate/jotgate/internal/token"
)

func masterKey(t testing.TB, digit string) keyset.MasterKey {
	t.Helper()
	m, err := keyset.ParseMasterKey(strings.Repeat(digit, 64))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func newRefresher(t testing.TB) *token.Refresher {
	t.Helper()
	return token.NewRefresher(issuer, masterKey(t, "a"))
}

func refresh() token.Refresh {
	issued := noon.Truncate(time.Second)
	return token.Refresh{
		Subject: "user-1", SessionID: "session-1", Generation: 7,
		IssuedAt: issued, ExpiresAt: issued.Add(30 * 24 * time.Hour),
	}
}

func mint(t testing.TB, r *token.Refresher, x token.Refresh) string {
	t.Helper()
	raw, err := r.Mint(x)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// refused fails the test unless r refuses raw and tells nothing of it.
func refused(t testing.TB, r *token.Refresher, what, raw string) {
	t.Helper()
	if got, err := r.Read(raw); !errors.Is(err, token.ErrInvalid) || got != (token.Refresh{}) {
		t.Errorf("%s: Read = %+v, %v; want ErrInvalid alone", what, got, err)
	}
}

func TestRefreshToken(t *testing.T) {
	r := newRefresher(t)
	raw := mint(t, r, refresh())
	header := members(t, segment(t, raw, 0))
	kid, ok := header["kid"].(string)
	if !ok || len(kid) != 12 {
		t.Errorf("kid = %v", header["kid"])
	}
	if diff := cmp.Diff(map[string]any{"alg": "HS256", "kid": kid, "typ": "rt+jwt"}, header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	claims := members(t, segment(t, raw, 1))
	jti, ok := claims["jti"].(string)
	if !ok || len(jti) != 22 {
		t.Errorf("jti = %v", claims["jti"])
	}
	want := map[string]any{
		"iss": issuer, "aud": issuer, "sub": "user-1", "sid": "session-1", "gen": json.Number("7"), "jti": jti,
		"iat": json.Number("1787227200"), "exp": json.Number("1789819200"),
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if _, err := jwt.Parse(raw, func(*jwt.Token) (any, error) { return signingKey(t), nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithTimeFunc(func() time.Time { return noon })); err != nil {
		t.Errorf("golang-jwt: %v", err)
	}
}

// signingKey is the key of newRefresher, as a forger would need it.
func signingKey(t testing.TB) []byte {
	t.Helper()
	return masterKey(t, "a").Derive("jotgate refresh token v1", 32)
}

func TestReadGivesBackWhatWasMinted(t *testing.T) {
	r := newRefresher(t)
	rapid.Check(t, func(t *rapid.T) {
		issued := rapid.Int64Range(0, 1<<40).Draw(t, "issued")
		want := token.Refresh{
			Subject:    rapid.StringN(1, 64, 200).Draw(t, "subject"),
			SessionID:  rapid.StringN(1, 64, 200).Draw(t, "session"),
			Generation: rapid.Int64Range(0, 1<<53).Draw(t, "generation"),
			IssuedAt:   time.Unix(issued, 0).UTC(),
			ExpiresAt:  time.Unix(issued+rapid.Int64Range(1, 1<<40).Draw(t, "life"), 0).UTC(),
		}
		raw, err := r.Mint(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Read(raw)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Read(Mint) (-want +got):\n%s", diff)
		}
	})
}

func TestReadDoesNotJudgeTheTime(t *testing.T) {
	r, old := newRefresher(t), refresh()
	old.IssuedAt, old.ExpiresAt = time.Unix(0, 0).UTC(), time.Unix(1, 0).UTC()
	if got, err := r.Read(mint(t, r, old)); err != nil || !got.ExpiresAt.Equal(old.ExpiresAt) {
		t.Errorf("Read = %+v, %v", got, err)
	}
}

func TestMintIsAFunction(t *testing.T) {
	raw := mint(t, newRefresher(t), refresh())
	x := refresh()
	x.IssuedAt = x.IssuedAt.Add(999 * time.Millisecond).In(time.FixedZone("elsewhere", 3600))
	if again := mint(t, newRefresher(t), x); again != raw {
		t.Errorf("two processes mint\n%s and\n%s", raw, again)
	}
	jti := func(x token.Refresh) any { return members(t, segment(t, mint(t, newRefresher(t), x), 1))["jti"] }
	seen := map[any]string{jti(refresh()): "the first"}
	for what, spoil := range map[string]func(x *token.Refresh){
		"another generation": func(x *token.Refresh) { x.Generation++ },
		"another session":    func(x *token.Refresh) { x.SessionID = "session-2" },
		"digits moved":       func(x *token.Refresh) { x.Generation, x.SessionID = 0, "7.session-1" },
	} {
		x := refresh()
		spoil(&x)
		if had, ok := seen[jti(x)]; ok {
			t.Errorf("%s has the jti of %s", what, had)
		}
		seen[jti(x)] = what
	}
}

func TestRefreshTokenIsNotMinted(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(x *token.Refresh)
	}{
		{"without a subject", func(x *token.Refresh) { x.Subject = "" }},
		{"without a session", func(x *token.Refresh) { x.SessionID = "" }},
		{"with a generation below 0", func(x *token.Refresh) { x.Generation = -1 }},
		{"with a generation above 2^53", func(x *token.Refresh) { x.Generation = 1<<53 + 1 }},
		{"with the greatest generation", func(x *token.Refresh) { x.Generation = math.MaxInt64 }},
		{"without a time of issue", func(x *token.Refresh) { x.IssuedAt = time.Time{} }},
		{"with an end at the issue", func(x *token.Refresh) { x.ExpiresAt = x.IssuedAt }},
		{"with a session that is not UTF-8", func(x *token.Refresh) { x.SessionID = "\xff" }},
		{"longer than Read takes", func(x *token.Refresh) { x.Subject = strings.Repeat("u", 2000) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := refresh()
			tt.spoil(&x)
			if raw, err := newRefresher(t).Mint(x); err == nil || raw != "" {
				t.Errorf("Mint = %q, %v", raw, err)
			}
		})
	}
}

// TestReadRefusesEveryOtherText is R12 of the security requirements.
func TestReadRefusesEveryOtherText(t *testing.T) {
	r := newRefresher(t)
	raw := mint(t, r, refresh())
	for i := range len(raw) {
		refused(t, r, "truncated", raw[:i])
		refused(t, r, "beheaded", raw[i+1:])
		refused(t, r, "character left out", raw[:i]+raw[i+1:])
		for _, c := range []byte("\n\r \x00.=A_-\xff") {
			refused(t, r, "character put in", raw[:i]+string([]byte{c})+raw[i:])
		}
		flipped := []byte(raw)
		for b := range 256 {
			if flipped[i] = byte(b); flipped[i] != raw[i] {
				refused(t, r, "character exchanged", string(flipped))
			}
		}
	}
	for _, tail := range []string{".", "=", "\n", "A", ".e30", " ", "\x00"} {
		refused(t, r, "extended", raw+tail)
	}
	parts := strings.Split(raw, ".")
	for _, other := range []string{"", ".", "..", "...", parts[0], parts[0] + ".", parts[0] + "..", parts[0] + "..." + parts[2], parts[0] + "." + parts[1] + ".", "Bearer " + raw} {
		refused(t, r, "pieces", other)
	}
}

func TestReadRefusesALongTextUnread(t *testing.T) {
	r := newRefresher(t)
	raw := mint(t, r, refresh())
	long := raw + strings.Repeat("A", 1<<20)
	if allocs := testing.AllocsPerRun(10, func() { refused(t, r, "long", long) }); allocs != 0 {
		t.Errorf("%v allocations for a text that is too long", allocs)
	}
}

// TestReadRefusesWhatMintDoesNotWrite signs other tokens with the right key.
func TestReadRefusesWhatMintDoesNotWrite(t *testing.T) {
	r := newRefresher(t)
	raw := mint(t, r, refresh())
	header, claims := segment(t, raw, 0), segment(t, raw, 1)
	forge := func(header, claims string) string {
		text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
		signature, err := jwt.SigningMethodHS256.Sign(text, signingKey(t))
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
	if forge(header, claims) != raw {
		t.Fatal("the forge makes another token of the same claims")
	}
	// Each is one replacement in the text of the header or the claims.
	headers := map[string][2]string{
		"typ of an access token": {`"rt+jwt"`, `"at+jwt"`}, "typ JWT": {`"rt+jwt"`, `"JWT"`},
		"typ in capitals": {`"rt+jwt"`, `"RT+JWT"`}, "no typ": {`,"typ":"rt+jwt"`, ``},
		"alg none": {`"HS256"`, `"none"`}, "alg HS512": {`"HS256"`, `"HS512"`}, "no alg": {`"alg":"HS256",`, ``},
		"another kid": {`"kid":"`, `"kid":"x`}, "crit": {`{`, `{"crit":["x"],`}, "b64": {`{`, `{"b64":false,`},
		"jwk": {`{`, `{"jwk":{},`}, "typ twice": {`{`, `{"typ":"rt+jwt",`}, "space": {`{`, `{ `},
	}
	for name, h := range headers {
		refused(t, r, "header with "+name, forge(replaced(t, header, h), claims))
	}
	bodies := map[string][2]string{
		"another issuer": {`"iss":"`, `"iss":"x`}, "another audience": {`"aud":"`, `"aud":"x`},
		"an audience list": {`"aud":"` + issuer + `"`, `"aud":["` + issuer + `"]`},
		"no issuer":        {`"iss":"` + issuer + `",`, ``}, "no audience": {`"aud":"` + issuer + `",`, ``},
		"no subject": {`"sub":"user-1",`, ``}, "an empty subject": {`"user-1"`, `""`}, "a number as subject": {`"user-1"`, `1`},
		"no session": {`"sid":"session-1",`, ``}, "another session": {`"session-1"`, `"session-2"`},
		"no generation": {`"gen":7,`, ``}, "another generation": {`"gen":7`, `"gen":8`}, "a generation below 0": {`"gen":7`, `"gen":-7`},
		"a generation as text": {`"gen":7`, `"gen":"7"`}, "a fraction": {`"gen":7`, `"gen":7.0`}, "an exponent": {`"gen":7`, `"gen":7e0`},
		"a huge generation": {`"gen":7`, `"gen":9223372036854775808`}, "null": {`"gen":7`, `"gen":null`},
		"another jti": {`"jti":"`, `"jti":"x`}, "no iat": {`"iat":1787227200,`, ``}, "an iat as text": {`1787227200`, `"1787227200"`},
		"no exp": {`,"exp":1789819200`, ``}, "an exp before iat": {`1789819200`, `1`}, "a fraction of a second": {`1789819200`, `1789819200.5`},
		"one claim more": {`{`, `{"scope":"",`}, "a claim twice": {`{`, `{"gen":7,`}, "a claim twice, other last": {`"gen":7`, `"gen":8,"gen":7`},
		"a claim in capitals": {`"gen":7`, `"GEN":7`}, "space": {`{`, `{ `}, "an escape": {`user-1`, `user\u002d1`},
		"a second value": {`1789819200}`, `1789819200}{}`}, "a list around": {`{`, `[{`},
	}
	for name, b := range bodies {
		refused(t, r, "claims with "+name, forge(header, replaced(t, claims, b)))
	}
	for _, text := range []string{"", "null", "[]", "{}", "7", "\xff"} {
		refused(t, r, "claims "+text, forge(header, text))
	}
}

func replaced(t *testing.T, text string, r [2]string) string {
	t.Helper()
	if !strings.Contains(text, r[0]) {
		t.Fatalf("no %s in %s", r[0], text)
	}
	return strings.Replace(text, r[0], r[1], 1)
}

func TestReadRefusesTokensOfOthers(t *testing.T) {
	r := newRefresher(t)
	raw := mint(t, r, refresh())
	refused(t, token.NewRefresher(issuer, masterKey(t, "b")), "another master key", raw)
	refused(t, token.NewRefresher("https://other.example.com", masterKey(t, "a")), "another issuer", raw)
	if kid := func(digit string) any {
		return members(t, segment(t, mint(t, token.NewRefresher(issuer, masterKey(t, digit)), refresh()), 0))["kid"]
	}; kid("a") == kid("b") {
		t.Error("two master keys have one kid")
	}
}

// TestTokensAreNotInterchangeable is I6 of the security requirements, as far as
// this package mints them.
func TestTokensAreNotInterchangeable(t *testing.T) {
	r := newRefresher(t)
	refreshToken := mint(t, r, refresh())
	for _, alg := range []keyset.Algorithm{keyset.ES256, keyset.EdDSA, keyset.RS256} {
		set := newSet(t, alg)
		accessToken, err := newIssuer(t, set.Signer).Access(access())
		if err != nil {
			t.Fatal(err)
		}
		refused(t, r, "access token "+string(alg), accessToken)
		a, b := strings.Split(accessToken, "."), strings.Split(refreshToken, ".")
		refused(t, r, "claims of an access token", b[0]+"."+a[1]+"."+b[2])
		refused(t, r, "header of an access token", a[0]+"."+b[1]+"."+b[2])
		public, ok := set.Public(set.List()[0].KID)
		if !ok {
			t.Fatal("no public key")
		}
		if _, err := jwt.Parse(refreshToken, func(*jwt.Token) (any, error) { return public.Key, nil },
			jwt.WithTimeFunc(func() time.Time { return noon })); err == nil {
			t.Errorf("the published %s key verifies a refresh token", alg)
		}
	}
}

func FuzzReadRefresh(f *testing.F) {
	r := newRefresher(f)
	raw := mint(f, r, refresh())
	for _, seed := range []string{
		raw, raw[:len(raw)-1], raw + "A", raw + ".", strings.ToUpper(raw), "", "..", "a.b.c", "\n" + raw,
		raw[:strings.LastIndexByte(raw, '.')+1], raw[:strings.IndexByte(raw, '.')+1], strings.Repeat(".", 3000),
		"eyJhbGciOiJub25lIn0.e30.",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := r.Read(raw)
		if err != nil {
			if !errors.Is(err, token.ErrInvalid) || got != (token.Refresh{}) {
				t.Fatalf("Read = %+v, %v", got, err)
			}
			return
		}
		if again, err := r.Mint(got); err != nil || again != raw {
			t.Errorf("Read took a text that Mint does not make: %q, not %q, %v", raw, again, err)
		}
	})
}

func BenchmarkMint(b *testing.B) {
	r, x := newRefresher(b), refresh()
	for b.Loop() {
		if _, err := r.Mint(x); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	r := newRefresher(b)
	raw := mint(b, r, refresh())
	for b.Loop() {
		if _, err := r.Read(raw); err != nil {
			b.Fatal(err)
		}
	}
}
