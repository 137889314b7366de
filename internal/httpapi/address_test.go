package httpapi_test

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
)

func TestAddressOfTheClient(t *testing.T) {
	limited := func(o *options) {
		o.limits = func(l *gate.Limits) { l.Login = limiter(t, "login", 1, time.Hour) }
	}
	wrong := object{"identifier": "ada", "password": "wrong"}
	direct := newAPI(t, limited)
	direct.do("POST", "/v1/login", wrong, "X-Forwarded-For: 192.0.2.1").want(t, 401, "bad-credentials")
	direct.do("POST", "/v1/login", wrong, "X-Forwarded-For: 192.0.2.2").want(t, 429, "rate-limited")

	proxied := newAPI(t, limited, func(o *options) {
		o.proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	})
	from := func(status int, code string, headers ...string) answer {
		t.Helper()
		return proxied.do("POST", "/v1/login", wrong, headers...).want(t, status, code)
	}
	got := from(401, "bad-credentials", "X-Forwarded-For: 192.0.2.1")
	if got.Header.Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS behind a trusted proxy")
	}
	from(429, "rate-limited", "X-Forwarded-For: 203.0.113.9, 192.0.2.1")                    // what a client adds is to the left
	from(429, "rate-limited", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 192.0.2.1") // in a header of its own too
	from(429, "rate-limited", "X-Forwarded-For: 192.0.2.1, 10.1.2.3")                       // and inner proxies to the right
	from(429, "rate-limited", "X-Forwarded-For: ::ffff:192.0.2.1")                          // the same in IPv6
	from(401, "bad-credentials", "X-Forwarded-For: 2001:db8:1:2::1")                        // another client
	from(429, "rate-limited", "X-Forwarded-For: 2001:db8:1:2:ffff::2")                      // of the same /64
	from(429, "rate-limited", "X-Forwarded-For: 192.0.2.1:1234")                            // with the client's port
	from(429, "rate-limited", "X-Forwarded-For: 203.0.113.9, 192.0.2.1:1234, [::ffff:10.1.2.3]:80")
	from(429, "rate-limited", "X-Forwarded-For: [2001:db8:1:2::3]:443")
	from(429, "rate-limited", "X-Forwarded-For: [2001:db8:1:2::3]")
	from(401, "bad-credentials", "X-Forwarded-For: 203.0.113.5:1234") // another client
	from(429, "rate-limited", "X-Forwarded-For: 203.0.113.5")
	from(401, "bad-credentials", "X-Forwarded-For: 192.0.2.1, not an address", "X-Real-Ip: x") // the proxy itself
	from(429, "rate-limited")                                                                  // the proxy itself again
	for _, text := range []string{"192.0.2.99:", "192.0.2.99:x", "192.0.2.99:65536", "[192.0.2.99]", "[2001:db8:9::1", "2001:db8:9::1]", "[[2001:db8:9::1]]", "[]", "[2001:db8:9::1]:", "192.0.2.99 :80"} {
		from(429, "rate-limited", "X-Forwarded-For: "+text) // no address
	}
}

func TestUntrustedProxyIsSaidOnce(t *testing.T) {
	const header = "X-Forwarded-For: 192.0.2.1"
	tests := []struct {
		name, peer, header string
		warns              bool
	}{
		{"loopback", "127.0.0.1", header, true},
		{"loopback of IPv6", "[::1]", header, true},
		{"private", "192.168.1.7", header, true},
		{"private, in the header of RFC 7239", "[fd00::7]", "Forwarded: for=192.0.2.1", true},
		{"a client that makes it up", "203.0.113.9", header, false},
		{"no proxy", "127.0.0.1", "X-Request-Id: x", false},
		{"a trusted proxy", "10.1.2.3", header, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newAPI(t, func(o *options) { o.proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
			for range 2 {
				r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/login", strings.NewReader(`{"identifier":"ada","password":"wrong"}`))
				r.RemoteAddr = tt.peer + ":1234"
				r.Header.Set("Content-Type", "application/json")
				name, value, _ := strings.Cut(tt.header, ": ")
				r.Header.Set(name, value)
				a.whole.ServeHTTP(httptest.NewRecorder(), r)
			}
			want := 0
			if tt.warns {
				want = 1
			}
			if n := strings.Count(a.log.String(), "trusted_proxies"); n != want {
				t.Errorf("said %d times, want %d: %s", n, want, a.log)
			}
		})
	}
}
