package proxytest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/apptest"
	"github.com/jotgate/jotgate/pkg/bearer"
)

const (
	realm        = `Bearer realm="jotgate"`
	invalidToken = realm + `, error="invalid_token"`
)

// wantRefused checks that a request got no further than the proxy.
func (p *proxy) wantRefused(t *testing.T, a answer, status int, code, challenge string) {
	t.Helper()
	a.want(t, status, code)
	if got := a.Header.Values("WWW-Authenticate"); strings.Join(got, "|") != challenge {
		t.Errorf("WWW-Authenticate = %q, want %q", got, challenge)
	}
	if got := a.Header.Get("Retry-After"); (got != "") != (status == http.StatusServiceUnavailable) {
		t.Errorf("%d with Retry-After %q", status, got)
	}
	if taken := p.app.taken(); len(taken) > 0 {
		t.Errorf("the application saw %+v", taken)
	}
}

// wantPassed checks that a request reached the application as whose, and returns it.
func (p *proxy) wantPassed(t *testing.T, a answer, whose signedIn) seen {
	t.Helper()
	a.want(t, http.StatusOK, "")
	taken := p.app.taken()
	if len(taken) != 1 {
		t.Fatalf("the application saw %+v, want one request", taken)
	}
	h := taken[0].Header
	if got := h.Values("X-Auth-User-Id"); len(got) != 1 || got[0] != whose.userID {
		t.Errorf("X-Auth-User-Id = %q, want %q alone", got, whose.userID)
	}
	if got := h.Values("X-Auth-Session-Id"); len(got) != 1 || got[0] == "" {
		t.Errorf("X-Auth-Session-Id = %q", got)
	}
	return taken[0]
}

func TestNginx(t *testing.T) {
	p := startNginx(t)
	ada := p.signIn(t, "ada")
	for name, f := range map[string]func(*testing.T, *proxy, signedIn){
		"requests pass as they are":             requestsPass,
		"headers of a client's are dropped":     headersAreDropped,
		"credentials are demanded":              credentialsAreDemanded,
		"two Authorization headers are refused": twoHeadersAreRefused,
		"headers that are too long are refused": longHeadersAreRefused,
		"writes by cookie show an origin":       writesShowAnOrigin,
		"WebSockets show an origin":             webSocketsShowAnOrigin,
		"a scope is demanded":                   scopesAreDemanded,
		"browsers go to the login page":         browsersLogIn,
		"paths are those that were judged":      pathsAreJudged,
		"the application's answers are its own": answersAreItsOwn,
		"clients do not ask jotgate as nginx":   theQuestionIsInternal,
	} {
		t.Run(name, func(t *testing.T) { f(t, p, ada) })
	}
}

func requestsPass(t *testing.T, p *proxy, ada signedIn) {
	body := strings.Repeat("body ", 50_000)
	for _, tt := range []struct{ method, path, body string }{
		{"GET", "/api/orders?b=2&a=1&a=%26&scope=nope", ""},
		{"HEAD", "/api/orders?x", ""},
		{"POST", "/api/orders?x=1", body},
		{"PUT", "/api/orders/1", body},
		{"PATCH", "/", "{}"},
		{"DELETE", "/api/orders/1", ""},
		{"OPTIONS", "/api/orders", ""},
	} {
		for kind, credential := range map[string]string{"bearer": ada.bearer, "cookie": ada.cookie} {
			got := p.wantPassed(t, p.do(t, tt.method, tt.path, tt.body, credential, "Sec-Fetch-Site: same-origin", "X-Other: kept"), ada)
			if got.Method != tt.method || got.URI != tt.path || got.Body != tt.body || got.Header.Get("X-Other") != "kept" {
				t.Errorf("%s %s by %s arrives as %s %s with %d bytes", tt.method, tt.path, kind, got.Method, got.URI, len(got.Body))
			}
		}
	}
}

// spellings is a header's name as an application may come to read it.
func spellings(name string) []string {
	all := []string{name, strings.ToLower(name), strings.ToUpper(name)}
	for _, separator := range []string{"_", "."} {
		other := strings.ReplaceAll(name, "-", separator)
		last := strings.LastIndex(name, "-")
		all = append(all, other, strings.ToLower(other), strings.Replace(name, "-", separator, 1), name[:last]+separator+name[last+1:])
	}
	return all
}

func headersAreDropped(t *testing.T, p *proxy, ada signedIn) {
	var forged []string
	for _, name := range identity() {
		for _, spelling := range spellings(name) {
			forged = append(forged, spelling+": forged", spelling+": forged, twice")
		}
	}
	for _, path := range []string{"/", "/api/orders", "/login"} {
		p.do(t, "GET", path, "", append(forged, ada.bearer, "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: http")...).want(t, http.StatusOK, "")
		taken := p.app.taken()
		if len(taken) != 1 {
			t.Fatalf("%s: the application saw %d requests", path, len(taken))
		}
		for name, values := range taken[0].Header {
			if strings.Contains(strings.Join(values, ""), "forged") {
				t.Errorf("%s: %s = %q reaches the application", path, name, values)
			}
		}
		if got := taken[0].Header.Get("X-Auth-User-Id"); (path == "/login") != (got == "") {
			t.Errorf("%s: X-Auth-User-Id = %q", path, got)
		}
		if h := taken[0].Header; h.Get("X-Forwarded-For") != "127.0.0.1" || h.Get("X-Forwarded-Proto") != "https" {
			t.Errorf("%s: forwarded for %q by %q", path, h.Get("X-Forwarded-For"), h.Get("X-Forwarded-Proto"))
		}
	}
}

func credentialsAreDemanded(t *testing.T, p *proxy, ada signedIn) {
	for name, tt := range map[string]struct {
		headers         []string
		status          int
		code, challenge string
	}{
		"nothing":                          {nil, 401, "no-credentials", realm},
		"garbage":                          {[]string{"Authorization: Bearer x.y.z"}, 401, "invalid-token", invalidToken},
		"another scheme":                   {[]string{"Authorization: Basic eA=="}, 401, "no-credentials", realm},
		"cookie's token in the header":     {[]string{"Authorization: Bearer " + ada.cookieToken}, 401, "invalid-token", invalidToken},
		"header's token in the cookie":     {[]string{"Cookie: " + bearer.CookieName + "=" + ada.bearerToken}, 401, "invalid-token", invalidToken},
		"bad header beside a good cookie":  {[]string{"Authorization: Bearer x", ada.cookie}, 401, "invalid-token", invalidToken},
		"two cookies":                      {[]string{ada.cookie + "; " + strings.TrimPrefix(ada.cookie, "Cookie: ")}, 400, "invalid-request", ""},
		"X-Auth headers and no credential": {[]string{"X-Auth-User-Id: " + ada.userID}, 401, "no-credentials", realm},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/api/orders", "/"} {
				for _, method := range []string{"GET", "POST"} {
					p.wantRefused(t, p.do(t, method, path, "", tt.headers...), tt.status, tt.code, tt.challenge)
				}
			}
		})
	}
}

// jotgate reads 16 KiB of headers and some; nginx takes four times 8 KiB.
func longHeadersAreRefused(t *testing.T, p *proxy, ada signedIn) {
	var headers []string
	for _, name := range []string{"A", "B", "C"} {
		headers = append(headers, "X-Long-"+name+": "+strings.Repeat("x", 8000))
	}
	for _, path := range []string{"/api/orders", "/"} {
		p.wantRefused(t, p.do(t, "GET", path, "", append(headers, ada.bearer)...), http.StatusRequestHeaderFieldsTooLarge, "invalid-request", "")
	}
}

// Some versions of nginx refuse two Authorization headers themselves.
func twoHeadersAreRefused(t *testing.T, p *proxy, ada signedIn) {
	for _, second := range []string{ada.bearer, "Authorization: Basic eA==", "authorization: x"} {
		if res := p.do(t, "GET", "/api/orders", "", ada.bearer, second); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%q as the second: %d", second, res.StatusCode)
		}
	}
	if taken := p.app.taken(); len(taken) > 0 {
		t.Errorf("the application saw %+v", taken)
	}
}

// auth_request asks with GET: the method that counts is the client's.
func writesShowAnOrigin(t *testing.T, p *proxy, ada signedIn) {
	for name, tt := range map[string]struct {
		headers []string
		ok      bool
	}{
		"same origin":            {[]string{"Sec-Fetch-Site: same-origin"}, true},
		"own origin":             {[]string{"Origin: " + p.url}, true},
		"silent":                 {nil, false},
		"cross-site":             {[]string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, false},
		"same site":              {[]string{"Sec-Fetch-Site: same-site"}, false},
		"null":                   {[]string{"Origin: null"}, false},
		"forged method":          {[]string{"X-Forwarded-Method: GET"}, false},
		"forged original method": {[]string{"X-Original-Method: GET", "x-forwarded-method: GET"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
				for _, path := range []string{"/api/orders", "/"} {
					res := p.do(t, method, path, "a=1", append(tt.headers, ada.cookie)...)
					if tt.ok {
						p.wantPassed(t, res, ada)
					} else {
						p.wantRefused(t, res, http.StatusForbidden, "csrf-rejected", "")
					}
				}
			}
			for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
				p.wantPassed(t, p.do(t, method, "/api/orders", "", append(tt.headers, ada.cookie)...), ada)
			}
			p.wantPassed(t, p.do(t, "POST", "/api/orders", "", append(tt.headers, ada.bearer)...), ada)
		})
	}
}

func webSocketsShowAnOrigin(t *testing.T, p *proxy, ada signedIn) {
	for _, path := range []string{"/api/live", "/live"} {
		open := func(headers ...string) answer {
			return p.do(t, "GET", path, "", append(headers, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")...)
		}
		p.wantRefused(t, open(ada.cookie), http.StatusForbidden, "csrf-rejected", "")
		p.wantRefused(t, open(ada.cookie, "Origin: https://sibling.localhost"), http.StatusForbidden, "csrf-rejected", "")
		p.wantRefused(t, open(), http.StatusUnauthorized, "no-credentials", realm)
		for _, headers := range [][]string{{ada.cookie, "Origin: " + p.url}, {ada.bearer}} {
			got := open(headers...)
			if got.StatusCode != http.StatusSwitchingProtocols || got.body != "from the socket" {
				t.Errorf("%s: %d %q through the socket", path, got.StatusCode, got.body)
			}
			if taken := p.app.taken(); len(taken) != 1 || taken[0].Header.Get("X-Auth-User-Id") != ada.userID {
				t.Errorf("%s: the application saw %+v", path, taken)
			}
		}
	}
	p.wantPassed(t, p.do(t, "GET", "/api/orders", "", ada.bearer, "Upgrade: h2c", "Connection: Upgrade"), ada)
}

func scopesAreDemanded(t *testing.T, p *proxy, ada signedIn) {
	const challenge = realm + `, error="insufficient_scope", scope="reports:read"`
	for _, path := range []string{"/api/reports/1", "/api/reports/1?scope=", "/api//reports/1", "/api/x/../reports/1", "/api/x%2f..%2freports/1"} {
		p.wantRefused(t, p.do(t, "GET", path, "", ada.bearer), http.StatusForbidden, "insufficient-scope", challenge)
	}
	p.wantRefused(t, p.do(t, "GET", "/api/reports/1", ""), http.StatusUnauthorized, "no-credentials", realm)
}

func browsersLogIn(t *testing.T, p *proxy, ada signedIn) {
	const page = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"
	res := p.do(t, "GET", "/orders?a=1&b=2", "", page).want(t, http.StatusFound, "")
	if got := res.Header.Get("Location"); got != p.url+"/login?next=/orders?a=1&b=2" {
		t.Errorf("Location = %q", got)
	}
	p.do(t, "GET", "/orders", "", page, "Cookie: "+bearer.CookieName+"=x").want(t, http.StatusFound, "")
	if got := res.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control = %q", got)
	}
	if taken := p.app.taken(); len(taken) > 0 {
		t.Errorf("the application saw %+v", taken)
	}
	p.wantRefused(t, p.do(t, "POST", "/orders", "", page), http.StatusUnauthorized, "no-credentials", realm)
	p.wantRefused(t, p.do(t, "GET", "/orders", "", "Accept: application/json"), http.StatusUnauthorized, "no-credentials", realm)
	p.wantRefused(t, p.do(t, "GET", "/api/orders", "", page), http.StatusUnauthorized, "no-credentials", realm)
	p.wantPassed(t, p.do(t, "GET", "/orders", "", page, ada.cookie), ada)
	p.do(t, "GET", "/login?next=/orders", "", page).want(t, http.StatusOK, "")
	if taken := p.app.taken(); len(taken) != 1 || taken[0].URI != "/login?next=/orders" {
		t.Errorf("the application saw %+v", taken)
	}
}

// A path that the application reads in another way than nginx would be judged by
// the rule of another location.
func pathsAreJudged(t *testing.T, p *proxy, ada signedIn) {
	for path, want := range map[string]string{"/api/reports/..%2forders": "/api/orders", "/api/%6frders": "/api/orders", "/a/../api/orders": "/api/orders"} {
		if got := p.wantPassed(t, p.do(t, "GET", path, "", ada.bearer), ada); got.URI != want {
			t.Errorf("%s arrives as %s, want %s", path, got.URI, want)
		}
	}
	p.do(t, "GET", "/admin/..%2flogin", "").want(t, http.StatusOK, "")
	if taken := p.app.taken(); len(taken) != 1 || taken[0].URI != "/login" {
		t.Errorf("the application saw %+v", taken)
	}
	for _, path := range []string{"/login/", "/LOGIN", "/login/../api/orders", "/login%2f..%2fapi/orders"} {
		p.wantRefused(t, p.do(t, "GET", path, ""), http.StatusUnauthorized, "no-credentials", realm)
	}
}

func answersAreItsOwn(t *testing.T, p *proxy, ada signedIn) {
	for _, path := range []string{"/api/orders", "/"} {
		for text, status := range map[string]int{"401": 401, "403": 403, "500": 500} {
			if res := p.do(t, "GET", path+"?answer="+text, "", ada.bearer, "Accept: text/html").want(t, status, ""); res.Header.Get("X-From") != "application" {
				t.Errorf("%s: an answer %d of the application's is exchanged", path, status)
			}
		}
	}
	p.app.taken()
}

func theQuestionIsInternal(t *testing.T, p *proxy, ada signedIn) {
	for _, path := range []string{"/_jotgate/auth", "/_jotgate/auth/reports:read"} {
		if res := p.do(t, "GET", path, "", ada.bearer); res.StatusCode != http.StatusNotFound || res.Header.Get("X-Auth-User-Id") != "" {
			t.Errorf("%s = %d %v", path, res.StatusCode, res.Header)
		}
	}
	if taken := p.app.taken(); len(taken) > 0 {
		t.Errorf("the application saw %+v", taken)
	}
}

func TestNobodyPassesNginxWhileJotgateIsAway(t *testing.T) {
	p := nginxBefore(t, func(string) string { return apptest.FreeAddr(t) })
	for _, path := range []string{"/", "/api/orders", "/api/reports/1"} {
		p.wantRefused(t, p.do(t, "POST", path, "a=1", "Authorization: Bearer x.y.z", "Accept: text/html"), http.StatusServiceUnavailable, "unavailable", "")
	}
	p.do(t, "GET", "/login", "").want(t, http.StatusOK, "")
}

func TestWhatNginxAsks(t *testing.T) {
	jotgate := &application{} // lets everybody in, and says nothing about them
	s := httptest.NewServer(jotgate)
	defer s.Close()
	p := nginxBefore(t, func(string) string { return s.Listener.Addr().String() })
	for path, want := range map[string]string{
		"/api/reports/1?scope=other":           "/v1/forward-auth?scope=reports:read",
		"/api/orders?scope=other&X-Auth-Roles": "/v1/forward-auth?scope=",
	} {
		p.do(t, "PUT", path, "a=1", "X-Auth-User-Id: forged", "X-Original-Method: GET", "x-forwarded-method: GET", "Origin: https://evil.example").want(t, http.StatusOK, "")
		asked := jotgate.taken()
		if len(asked) != 1 || asked[0].Method != "GET" || asked[0].URI != want || asked[0].Body != "" {
			t.Fatalf("%s: jotgate is asked %+v, want %s once", path, asked, want)
		}
		h := asked[0].Header
		if got := h.Values("X-Forwarded-Method"); len(got) != 1 || got[0] != "PUT" || len(h.Values("X-Original-Method")) != 0 || h.Get("Origin") != "https://evil.example" {
			t.Errorf("%s: jotgate is told %v", path, h)
		}
		got := p.app.taken()
		if len(got) != 1 || got[0].URI != path || got[0].Body != "a=1" || got[0].Header.Get("X-Auth-User-Id") != "" {
			t.Errorf("the application saw %+v", got)
		}
	}
}
