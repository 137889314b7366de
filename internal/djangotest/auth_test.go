package djangotest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/jotgate/jotgate/internal/apptest"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/token"
	"github.com/jotgate/jotgate/internal/user"
)

const whoami = "/api/whoami"

func TestDjangoTakesTokens(t *testing.T) {
	s := newSite(t)
	s.SignUp(t, "ada")
	if _, err := s.Gate.CreateUser(t.Context(), gate.Registration{Username: "root", Password: apptest.Password}, []user.Role{"admin"}); err != nil {
		t.Fatal(err)
	}
	t.Run("credentials", func(t *testing.T) { credentials(t, s) })
	t.Run("cross-site", func(t *testing.T) { crossSite(t, s) })
	t.Run("bad tokens", func(t *testing.T) { badTokens(t, s) })
	t.Run("roles", func(t *testing.T) { roles(t, s) })
	t.Run("logout", func(t *testing.T) { logout(t, s) })
	t.Run("users", func(t *testing.T) { djangoUsers(t, s) })
}

func credentials(t *testing.T, s *site) {
	bearer, cookie := s.bearer(t, "ada", apptest.Password), s.cookie(t, "ada", apptest.Password)
	inCookie := func(token string) string { return cookieName + "=" + token }
	for _, tt := range []struct {
		name      string
		header    []string
		status    int
		mode      string
		challenge string
	}{
		{"bearer", []string{"Authorization", "Bearer " + bearer}, 200, "bearer", ""},
		{"scheme in another case", []string{"Authorization", "bEARER " + bearer}, 200, "bearer", ""},
		{"cookie", []string{"Cookie", inCookie(cookie)}, 200, "cookie", ""},
		{"cookie among others", []string{"Cookie", "a=b; " + inCookie(cookie) + "; c=d"}, 200, "cookie", ""},
		{"bearer beside a cookie", []string{"Authorization", "Bearer " + bearer, "Cookie", inCookie("stale")}, 200, "bearer", ""},
		{"nothing", nil, 401, "", `Bearer realm="jotgate"`},
		{"another scheme hides the cookie", []string{"Authorization", "Basic YTpi", "Cookie", inCookie(cookie)}, 401, "", `Bearer realm="jotgate"`},
		{"an empty header hides the cookie", []string{"Authorization", "", "Cookie", inCookie(cookie)}, 401, "", `Bearer realm="jotgate"`},
		{"a bad header hides the cookie", []string{"Authorization", "Bearer x", "Cookie", inCookie(cookie)}, 401, "", `Bearer realm="jotgate", error="invalid_token"`},
		{"bearer token in the cookie", []string{"Cookie", inCookie(bearer)}, 401, "", `Bearer realm="jotgate", error="invalid_token"`},
		{"cookie token in the header", []string{"Authorization", "Bearer " + cookie}, 401, "", `Bearer realm="jotgate", error="invalid_token"`},
		{"two cookies", []string{"Cookie", inCookie("x") + "; " + inCookie(cookie)}, 401, "", `Bearer realm="jotgate", error="invalid_token"`},
		{"two headers", []string{"Authorization", "Bearer " + bearer, "Authorization", "Bearer " + bearer}, 401, "", `Bearer realm="jotgate", error="invalid_token"`},
		{"two spaces", []string{"Authorization", "Bearer  " + bearer}, 401, "", `Bearer realm="jotgate", error="invalid_token"`},
		{"in the query string", nil, 401, "", `Bearer realm="jotgate"`},
	} {
		path := whoami
		if strings.Contains(tt.name, "query") {
			path += "?access_token=" + bearer
		}
		got := s.do(t, "GET", path, "", tt.header...)
		if got.status != tt.status || tt.mode != "" && got.body["mode"] != tt.mode || got.header.Get("WWW-Authenticate") != tt.challenge {
			t.Errorf("%s: %d %v %q; want %d %s %q", tt.name, got.status, got.body, got.header.Get("WWW-Authenticate"), tt.status, tt.mode, tt.challenge)
		}
	}
}

// crossSite writes with the cookie, as a page of this origin would and as others
// would. Its requests have no body: Django's development server closes the
// connection on one that it has not read, and the answer may be lost.
func crossSite(t *testing.T, s *site) {
	cookie := []string{"Cookie", cookieName + "=" + s.cookie(t, "ada", apptest.Password)}
	for _, tt := range []struct {
		name   string
		header []string
		status int
	}{
		{"same origin by fetch metadata", []string{"Sec-Fetch-Site", "same-origin"}, 201},
		{"same origin by Origin", []string{"Origin", s.origin}, 201},
		{"neither header", nil, 403},
		{"cross-site", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://elsewhere.example.com"}, 403},
		{"same-site", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"none", []string{"Sec-Fetch-Site", "none"}, 403},
		{"another port", []string{"Origin", "http://localhost:1"}, 403},
		{"another scheme", []string{"Origin", strings.Replace(s.origin, "http", "https", 1)}, 403},
		{"null", []string{"Origin", "null"}, 403},
		{"longer", []string{"Origin", s.origin + ".example.com"}, 403},
		{"said twice", []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Site", "cross-site"}, 403},
	} {
		if got := s.do(t, "POST", whoami, "", append(tt.header, cookie...)...); got.status != tt.status {
			t.Errorf("%s: %d %v, want %d", tt.name, got.status, got.body, tt.status)
		}
	}
	for _, tt := range []struct {
		name   string
		header []string
		status int
	}{
		{"a WebSocket", []string{"Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Key", "x", "Sec-WebSocket-Version", "13"}, 403},
		{"a WebSocket whose Upgrade was dropped", []string{"Sec-WebSocket-Key", "x", "Sec-WebSocket-Version", "13", "Origin", "https://sibling.example.com"}, 403},
		{"a WebSocket over HTTP/2", []string{"Sec-WebSocket-Version", "13", "Sec-Fetch-Site", "same-site"}, 403},
		{"a key alone", []string{"Sec-WebSocket-Key", ""}, 403},
		{"one of a list", []string{"Upgrade", "h2c, WebSocket", "Connection", "Upgrade"}, 403},
		{"from here", []string{"Sec-WebSocket-Key", "x", "Sec-WebSocket-Version", "13", "Origin", s.origin}, 200},
		{"another protocol", []string{"Upgrade", "h2c", "Connection", "Upgrade"}, 200},
	} {
		if got := s.do(t, "GET", whoami, "", append(tt.header, cookie...)...); got.status != tt.status {
			t.Errorf("%s: %d %v, want %d", tt.name, got.status, got.body, tt.status)
		}
	}
	bearer := s.bearer(t, "ada", apptest.Password)
	if got := s.do(t, "POST", whoami, "", "Authorization", "Bearer "+bearer, "Sec-Fetch-Site", "cross-site"); got.status != 201 {
		t.Errorf("bearer from another site: %d %v", got.status, got.body)
	}
}

func badTokens(t *testing.T, s *site) {
	good := s.bearer(t, "ada", apptest.Password)
	part := strings.Split(good, ".")
	refresh, _ := s.login(t, "ada", apptest.Password, "bearer").body["refresh_token"].(string)
	for name, bad := range map[string]string{
		"garbage": "garbage", "empty": "", "two parts": part[0] + "." + part[1], "four parts": good + ".x", "more than a token": good + "%0a",
		"expired":            mint(t, s, s.origin, s.origin, time.Now().Add(-2*time.Hour)),
		"of the future":      mint(t, s, s.origin, s.origin, time.Now().Add(time.Hour)),
		"another issuer":     mint(t, s, "https://elsewhere.example.com", s.origin, time.Now()),
		"another audience":   mint(t, s, s.origin, "https://elsewhere.example.com", time.Now()),
		"a refresh token":    refresh,
		"another payload":    part[0] + "." + b64(strings.Replace(decoded(t, part[1]), `"roles":[]`, `"roles":["admin"]`, 1)) + "." + part[2],
		"no signature":       part[0] + "." + part[1] + ".",
		"alg none":           b64(strings.Replace(decoded(t, part[0]), "ES256", "none", 1)) + "." + part[1] + ".",
		"an unknown key":     b64(`{"alg":"ES256","kid":"unknown","typ":"at+jwt"}`) + "." + part[1] + "." + part[2],
		"typ of an ID token": signed(t, s, func(h, _ map[string]any) { h["typ"] = "JWT" }),
		"no typ":             signed(t, s, func(h, _ map[string]any) { delete(h, "typ") }),
		"critical header":    signed(t, s, func(h, _ map[string]any) { h["crit"] = []string{"exp"} }),
		"key by URL":         signed(t, s, func(h, _ map[string]any) { h["jku"] = "https://elsewhere.example.com" }),
		"no expiry":          signed(t, s, func(_, c map[string]any) { delete(c, "exp") }),
		"no subject":         signed(t, s, func(_, c map[string]any) { delete(c, "sub") }),
		"of a program":       signed(t, s, func(_, c map[string]any) { delete(c, "sid") }),
		"no mode":            signed(t, s, func(_, c map[string]any) { delete(c, "mode") }),
		"nested deep":        b64(strings.Repeat("[", 3000)) + "." + part[1] + "." + part[2],
		"nested and closed":  b64(strings.Repeat("[", 1500)+strings.Repeat("]", 1500)) + "." + part[1] + "." + part[2],
		"nested as it may":   b64(strings.Repeat("[", 225)) + "." + part[1] + "." + part[2],
		"a kid that nests":   b64(`{"alg":"ES256","typ":"at+jwt","kid":`+strings.Repeat("[", 1500)+strings.Repeat("]", 1500)+"}") + "." + part[1] + "." + part[2],
		"keyed by the JWK":   hmacOf(b64(strings.Replace(decoded(t, part[0]), "ES256", "HS256", 1))+"."+part[1], jwks(t, s)),
	} {
		got := s.do(t, "GET", whoami, "", "Authorization", "Bearer "+bad)
		if got.status != 401 || !strings.Contains(got.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("%s: %d %v", name, got.status, got.body)
		}
	}
	for _, fresh := range []string{mint(t, s, s.origin, s.origin, time.Now()), signed(t, s, func(_, _ map[string]any) {})} {
		if got := s.do(t, "GET", whoami, "", "Authorization", "Bearer "+fresh); got.status != 200 {
			t.Errorf("a token made like the bad ones: %d %v", got.status, got.body)
		}
	}
}

// mint signs a token with the key of the site.
func mint(t *testing.T, s *site, issuer, audience string, issued time.Time) string {
	t.Helper()
	minter, err := token.NewIssuer(issuer, audience, s.Keys.Signer)
	if err != nil {
		t.Fatal(err)
	}
	issued = issued.UTC().Truncate(time.Second)
	text, err := minter.Access(token.Access{
		Subject: "u", ClientID: "jotgate", SessionID: "s", IssuedAt: issued, ExpiresAt: issued.Add(time.Hour), AuthTime: issued,
		AMR: []string{"pwd"}, Roles: []string{}, Mode: "bearer",
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// signed is a good token of the site but for what edit changes.
func signed(t *testing.T, s *site, edit func(header, claims map[string]any)) string {
	t.Helper()
	claims := jwt.MapClaims{}
	if err := json.Unmarshal([]byte(decoded(t, strings.Split(mint(t, s, s.origin, s.origin, time.Now()), ".")[1])), &claims); err != nil {
		t.Fatal(err)
	}
	key, err := s.Keys.Signer()
	if err != nil {
		t.Fatal(err)
	}
	made := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	made.Header["typ"], made.Header["kid"] = "at+jwt", key.KID
	edit(made.Header, claims)
	text, err := made.SignedString(key.Key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func decoded(t *testing.T, s string) string {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func hmacOf(input, key string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(input))
	return input + "." + b64(string(mac.Sum(nil)))
}

// jwks is the public key as a program sees it that confuses algorithms.
func jwks(t *testing.T, s *site) string {
	t.Helper()
	res, err := http.Get("http://" + s.Addr + "/.well-known/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(text, &set); err != nil || len(set.Keys) == 0 {
		t.Fatalf("%s: %v", text, err)
	}
	return string(set.Keys[0])
}

func roles(t *testing.T, s *site) {
	root, ada := s.bearer(t, "root", apptest.Password), s.bearer(t, "ada", apptest.Password)
	for token, want := range map[string]int{root: 200, ada: 403, "x": 401} {
		if got := s.do(t, "GET", "/api/admin", "", "Authorization", "Bearer "+token); got.status != want {
			t.Errorf("%d %v, want %d", got.status, got.body, want)
		}
	}
	if got := s.do(t, "GET", "/api/admin", ""); got.status != 401 {
		t.Errorf("nobody: %d %v", got.status, got.body)
	}
}

// logout shows the price of verifying without asking: jotgate refuses the token
// of an ended session at once, and Django takes it until it expires.
func logout(t *testing.T, s *site) {
	header := []string{"Authorization", "Bearer " + s.bearer(t, "ada", apptest.Password)}
	if got := s.do(t, "POST", "/v1/logout", "", header...); got.status != 204 {
		t.Fatalf("logout: %d %v", got.status, got.body)
	}
	if got := s.do(t, "GET", "/v1/me", "", header...); got.status != 401 {
		t.Errorf("jotgate: %d %v", got.status, got.body)
	}
	if got := s.do(t, "GET", whoami, "", header...); got.status != 200 {
		t.Errorf("Django: %d %v; README says that it takes the token until it expires", got.status, got.body)
	}
}

// djangoUsers looks at the Django user whom a token stands for.
func djangoUsers(t *testing.T, s *site) {
	header := []string{"Authorization", "Bearer " + s.bearer(t, "ada", apptest.Password)}
	first, second := s.do(t, "GET", whoami, "", header...), s.do(t, "GET", whoami, "", header...)
	ada, err := s.Gate.Users.Store.ByIdentifier(t.Context(), user.Identifier{Username: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	if first.body["username"] != string(ada.ID) || first.body["id"] != second.body["id"] {
		t.Errorf("%v, then %v; want one user named %s", first.body, second.body, ada.ID)
	}
	s.manage(t, "", "shell", "-c", `from django.contrib.auth.models import User; User.objects.update(is_active=False)`)
	if got := s.do(t, "GET", whoami, "", header...); got.status != 401 {
		t.Errorf("a user who is inactive there: %d %v", got.status, got.body)
	}
	s.manage(t, "", "shell", "-c", `
from django.contrib.auth.models import User
for user in User.objects.all():
    user.is_active = True
    user.set_password("chosen in Django")
    user.save()
`)
	if got := s.do(t, "GET", whoami, "", header...); got.status != 401 {
		t.Errorf("somebody who took the subject as username in Django: %d %v", got.status, got.body)
	}
}

func TestWithoutKeysNothingIsDecided(t *testing.T) {
	s := newSite(t)
	s.SignUp(t, "ada")
	bearer := s.bearer(t, "ada", apptest.Password)
	away := newProject(t, s.origin, "http://"+apptest.FreeAddr(t)+"/jwks.json")
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+away.serve(t)+whoami, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 503 {
		t.Errorf("status %d, want 503", res.StatusCode)
	}
	if got := res.Header.Get("Retry-After"); got != "10" {
		t.Errorf("Retry-After = %q", got)
	}
}

func TestDjangoKeepsKeys(t *testing.T) {
	newProject(t, "https://app.example.com", "https://app.example.com/jwks.json").manage(t, "", "shell", "-c", "import check_keys")
}
