package httpapi_test

import (
	"strings"
	"testing"
)

func TestCORS(t *testing.T) {
	a := newAPI(t, func(o *options) { o.allowed = []string{"https://app.example.com"} })
	a.register("ada")
	const origin, foreign = "Origin: https://app.example.com", "Origin: https://app.example.com.evil.example"
	const ask = "Access-Control-Request-Method: POST"
	preflight := a.do("OPTIONS", "/v1/login", nil, origin, ask, "Access-Control-Request-Headers: content-type").want(t, 204, "")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "https://app.example.com", "Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "content-type",
	} {
		if preflight.Header.Get(name) != want {
			t.Errorf("%s = %q, want %q", name, preflight.Header.Get(name), want)
		}
	}
	failed := a.do("GET", "/v1/me", nil, origin).want(t, 401, "no-credentials")
	if failed.Header.Get("Access-Control-Allow-Origin") != "https://app.example.com" || !strings.Contains(strings.Join(failed.Header.Values("Vary"), ","), "Origin") {
		t.Errorf("an error's headers = %v", failed.Header)
	}
	for _, h := range []string{foreign, "Origin: null", "Origin: https://APP.example.com", "Origin: http://app.example.com"} {
		a.do("OPTIONS", "/v1/login", nil, h, ask).want(t, 405, "method-not-allowed")
		if got := a.do("GET", "/v1/me", nil, h).Header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s: Access-Control-Allow-Origin = %q", h, got)
		}
	}
	for _, two := range [][]string{{origin, foreign}, {foreign, origin}, {origin, origin}, {origin, "Origin: "}} {
		a.do("OPTIONS", "/v1/login", nil, append(two, ask)...).want(t, 405, "method-not-allowed")
		got := a.do("GET", "/v1/me", nil, two...).want(t, 401, "no-credentials")
		for name := range got.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%q: %s = %q", two, name, got.Header.Values(name))
			}
		}
		if got.Header.Get("Vary") != "Origin" {
			t.Errorf("%q: Vary = %q", two, got.Header.Values("Vary"))
		}
	}
	for _, path := range []string{"/.well-known/jwks.json", "/.well-known/oauth-authorization-server"} {
		got := a.do("GET", path, nil, foreign).want(t, 200, "")
		if got.Header.Get("Access-Control-Allow-Origin") != "*" || got.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: headers = %v", path, got.Header)
		}
	}
	off := newAPI(t)
	off.do("OPTIONS", "/v1/login", nil, origin, ask).want(t, 405, "method-not-allowed")
	for _, a := range []*api{a, off} {
		for _, path := range []string{"/nope", "/v1/nope", "/.well-known/nope", "/v1%2Flogin"} {
			a.do("OPTIONS", path, nil, origin, ask).want(t, 404, "no-such-route")
		}
		const jwks = "/.well-known/jwks.json"
		a.do("OPTIONS", jwks, nil, foreign).want(t, 405, "method-not-allowed")
		got := a.do("OPTIONS", jwks, nil, foreign, "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: if-none-match").want(t, 204, "")
		for name, want := range map[string]string{
			"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "GET, HEAD", "Access-Control-Allow-Headers": "*",
		} {
			if got.Header.Get(name) != want {
				t.Errorf("%s: %s = %q, want %q", jwks, name, got.Header.Get(name), want)
			}
		}
		if got := a.do("GET", jwks, nil, foreign); got.Header.Get("Access-Control-Expose-Headers") != "ETag" {
			t.Errorf("%s: headers = %v", jwks, got.Header)
		}
	}
}
