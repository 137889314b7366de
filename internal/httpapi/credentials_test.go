package httpapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/user"
	"github.com/jotgate/jotgate/pkg/bearer"
)

func userID(id string) user.ID { return user.ID(id) }

type role = user.Role

type originCase struct {
	name    string
	headers []string
	ok      bool
}

// originCases is every way to show, or not to show, where a request comes from,
// with https://app.example.com trusted.
func originCases() []originCase {
	return []originCase{
		{"same-origin", []string{"Sec-Fetch-Site: same-origin"}, true},
		{"same-origin with a foreign origin", []string{"Sec-Fetch-Site: same-origin", "Origin: https://evil.example"}, true},
		{"own origin", []string{"Origin: " + issuer}, true},
		{"trusted origin", []string{"Origin: https://app.example.com"}, true},
		{"trusted origin, same-site", []string{"Sec-Fetch-Site: same-site", "Origin: https://app.example.com"}, true},
		{"neither", nil, false},
		{"cross-site", []string{"Sec-Fetch-Site: cross-site"}, false},
		{"same-site alone", []string{"Sec-Fetch-Site: same-site"}, false},
		{"none", []string{"Sec-Fetch-Site: none"}, false},
		{"foreign origin", []string{"Origin: https://evil.example"}, false},
		{"null", []string{"Origin: null"}, false},
		{"empty", []string{"Origin: "}, false},
		{"other scheme", []string{"Origin: http://app.example.com"}, false},
		{"other port", []string{"Origin: https://app.example.com:444"}, false},
		{"written-out port", []string{"Origin: https://app.example.com:443"}, false},
		{"upper case", []string{"Origin: https://APP.example.com"}, false},
		{"trailing dot", []string{"Origin: https://app.example.com."}, false},
		{"trailing slash", []string{"Origin: https://app.example.com/"}, false},
		{"suffix", []string{"Origin: https://evil-app.example.com"}, false},
		{"prefix", []string{"Origin: https://app.example.com.evil.example"}, false},
		{"host header decides nothing", []string{"Origin: http://evil.example", "X-Forwarded-Host: evil.example"}, false},
		{"two origins", []string{"Origin: https://app.example.com", "Origin: https://evil.example"}, false},
	}
}

func TestCredentialsOnARequest(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	b := a.login("ada", "bearer")
	c := a.login("ada", "cookie")
	token := b.text(t, "access_token")
	var cookieToken string
	for _, k := range c.Cookies() {
		if k.Name == bearer.CookieName {
			cookieToken = k.Value
		}
	}
	cookie := "Cookie: " + bearer.CookieName + "=" + cookieToken
	tests := []struct {
		name    string
		headers []string
		status  int
		code    string
	}{
		{"bearer", []string{"Authorization: Bearer " + token}, 200, ""},
		{"scheme in another case", []string{"Authorization: bEARER " + token}, 200, ""},
		{"cookie", []string{cookie}, 200, ""},
		{"header over cookie", []string{"Authorization: Bearer " + token, "Cookie: " + bearer.CookieName + "=garbage"}, 200, ""},
		{"nothing", nil, 401, "no-credentials"},
		{"another scheme", []string{"Authorization: Basic YTpi"}, 401, "no-credentials"},
		{"another scheme hides the cookie", []string{"Authorization: Basic YTpi", cookie}, 401, "no-credentials"},
		{"bad header hides the cookie", []string{"Authorization: Bearer garbage", cookie}, 401, "invalid-token"},
		{"no value", []string{"Authorization: Bearer"}, 401, "invalid-token"},
		{"two spaces", []string{"Authorization: Bearer  " + token}, 401, "invalid-token"},
		{"a tab", []string{"Authorization: Bearer\t" + token}, 401, ""},
		{"three parts", []string{"Authorization: Bearer " + token + " x"}, 401, "invalid-token"},
		{"two headers", []string{"Authorization: Bearer " + token, "Authorization: Bearer " + token}, 400, "invalid-request"},
		{"two cookies", []string{cookie + "; " + bearer.CookieName + "=x"}, 400, "invalid-request"},
		{"two cookie headers", []string{cookie, cookie}, 400, "invalid-request"},
		{"cookie's token in the header", []string{"Authorization: Bearer " + cookieToken}, 401, "invalid-token"},
		{"header's token in the cookie", []string{"Cookie: " + bearer.CookieName + "=" + token}, 401, "invalid-token"},
		{"percent-encoded cookie", []string{"Cookie: " + bearer.CookieName + "=" + strings.ReplaceAll(cookieToken, ".", "%2E")}, 401, "invalid-token"},
		{"cookie without the prefix", []string{"Cookie: jotgate-access=" + cookieToken}, 401, "no-credentials"},
		{"refresh token", []string{"Authorization: Bearer " + b.text(t, "refresh_token")}, 401, "invalid-token"},
	}
	for _, path := range []string{"/v1/me", "/v1/sessions", "/v1/forward-auth"} {
		for _, tt := range tests {
			t.Run(path+"/"+tt.name, func(t *testing.T) {
				a := *a
				a.T = t
				got := a.do("GET", path, nil, tt.headers...)
				if tt.code == "" && tt.status != 200 {
					if got.StatusCode != tt.status {
						t.Fatalf("status = %d, want %d", got.StatusCode, tt.status)
					}
					return
				}
				status := tt.status
				if status == 200 && path == "/v1/forward-auth" {
					status = 204
				}
				got.want(t, status, tt.code)
				wantChallenge(t, got, tt.code)
			})
		}
	}
	a.do("GET", "/v1/me?access_token="+token, nil).want(t, 401, "no-credentials")
}

func wantChallenge(t *testing.T, got answer, code string) {
	t.Helper()
	want := map[string]string{
		"no-credentials": `Bearer realm="jotgate"`, "invalid-token": `Bearer realm="jotgate", error="invalid_token"`,
	}[code]
	if h := got.Header.Get("WWW-Authenticate"); h != want {
		t.Errorf("WWW-Authenticate = %q, want %q", h, want)
	}
}

func TestCookieWritesNeedAnOrigin(t *testing.T) {
	const wantOrigin = "Send Sec-Fetch-Site: same-origin, or an Origin that is the public URL or listed in cookie.trusted_origins."
	a := newAPI(t, func(o *options) { o.trusted = []string{"https://app.example.com"} })
	a.register("ada")
	writes := []struct {
		method, path string
		body         any
		status       int
	}{
		{"PATCH", "/v1/me", object{"current_password": goodPass}, 200},
		{"POST", "/v1/me/password", object{"current_password": "wrong", "new_password": otherPass}, 403},
		{"DELETE", "/v1/me", object{"current_password": "wrong"}, 403},
		{"DELETE", "/v1/sessions?except=current", nil, 204},
		{"DELETE", "/v1/sessions/unknown", nil, 404},
		{"POST", "/v1/refresh", nil, 200},
		{"POST", "/v1/logout", nil, 204},
	}
	for _, w := range writes {
		for _, tt := range originCases() {
			t.Run(w.method+w.path+"/"+tt.name, func(t *testing.T) {
				a := *a
				a.T = t
				cookies := a.login("ada", "cookie").cookies()
				got := a.do(w.method, w.path, w.body, append(tt.headers, cookies)...)
				if tt.ok && got.StatusCode != w.status {
					t.Fatalf("status = %d, want %d: %s", got.StatusCode, w.status, got.body)
				}
				if tt.ok {
					return
				}
				if detail := got.want(t, 403, "csrf-rejected").text(t, "detail"); detail != wantOrigin {
					t.Errorf("detail = %q, want %q", detail, wantOrigin)
				}
				if len(got.Cookies()) != 0 {
					t.Errorf("a refused write sets cookies: %v", got.Cookies())
				}
				a.do("POST", "/v1/refresh", nil, cookies, sameOrigin).want(t, 200, "")
			})
		}
	}
}

func TestBearerWritesNeedNoOrigin(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	token := a.login("ada", "bearer").bearer(t)
	a.do("PATCH", "/v1/me", object{"current_password": goodPass}, token, "Sec-Fetch-Site: cross-site", "Origin: https://evil.example").want(t, 200, "")
}

func TestDeadCookiesAreTakenBack(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	live := a.login("ada", "cookie")
	ended := a.login("ada", "cookie")
	a.do("POST", "/v1/logout", nil, ended.cookies(), sameOrigin).want(t, 204, "")
	cleared := func(got answer) (names string) {
		for _, c := range got.Cookies() {
			if c.MaxAge < 0 && c.Secure && c.HttpOnly && c.Path == "/" {
				names += strings.TrimPrefix(c.Name, "__Host-Http-jotgate-") + " "
			}
		}
		return names
	}
	if got := cleared(a.do("GET", "/v1/me", nil, ended.cookies()).want(t, 401, "invalid-token")); got != "access refresh " {
		t.Errorf("an ended session clears %q", got)
	}
	a.step(accessTTL + 31*time.Second)
	if got := cleared(a.do("GET", "/v1/me", nil, live.cookies()).want(t, 401, "invalid-token")); got != "access " {
		t.Errorf("an expired access cookie clears %q", got)
	}
	if got := cleared(a.do("POST", "/v1/refresh", nil, ended.cookies(), sameOrigin).want(t, 401, "invalid-refresh-token")); got != "access refresh " {
		t.Errorf("a dead refresh cookie clears %q", got)
	}
	a.do("POST", "/v1/refresh", nil, live.cookies(), sameOrigin).want(t, 200, "")
}

// A change of roles outdates the access token, and the refresh cookie brings the
// next one.
func TestOutdatedCookieClearsOnlyItself(t *testing.T) {
	a := newAPI(t)
	id := a.register("ada").text(t, "id")
	for _, path := range []string{"/v1/me", "/v1/forward-auth"} {
		live := a.login("ada", "cookie")
		a.step(time.Second)
		a.must(a.gate.SetRoles(t.Context(), userID(id), []role{"admin"}))
		got := a.do("GET", path, nil, live.cookies()).want(t, 401, "invalid-token")
		if len(got.Cookies()) != 1 || got.Cookies()[0].Name != bearer.CookieName {
			t.Errorf("%s clears %v", path, got.Cookies())
		}
		a.do("POST", "/v1/refresh", nil, live.cookies(), sameOrigin).want(t, 200, "")
	}
}
