package httpapi

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/jotgate/jotgate/internal/scope"
	"github.com/jotgate/jotgate/pkg/bearer"
)

// FuzzClientAddress: behind a trusted proxy the address is one that is written in
// the header, or the proxy's, and what stands before the nearest stranger
// decides nothing.
func FuzzClientAddress(f *testing.F) {
	for _, s := range []string{"192.0.2.7", "203.0.113.1, 192.0.2.7, 10.0.0.2", "::ffff:192.0.2.7", "fe80::1%eth0", "192.0.2.7:80", "unknown", "", ",,", "192.0.2.07", "2001:db8::1, 10.0.0.9"} {
		f.Add(s, "203.0.113.9")
	}
	s := &server{Config: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}
	ask := func(lines ...string) netip.Addr {
		return s.clientAddress(&http.Request{RemoteAddr: "10.0.0.1:1234", Header: http.Header{"X-Forwarded-For": lines}})
	}
	f.Fuzz(func(t *testing.T, header, forged string) {
		got := ask(header)
		if !got.IsValid() || got.Zone() != "" || got.Is4In6() {
			t.Fatalf("%q gives %s", header, got)
		}
		if got != netip.MustParseAddr("10.0.0.1") && !strings.Contains(header, ".") && !strings.Contains(header, ":") {
			t.Errorf("%q gives %s, which is not in it", header, got)
		}
		if again := ask(forged, header); !s.trusted(got) && again != got {
			t.Errorf("%q before %q gives %s, not %s", forged, header, again, got)
		}
		direct := s.clientAddress(&http.Request{RemoteAddr: "192.0.2.1:1234", Header: http.Header{"X-Forwarded-For": {header}}})
		if direct != netip.MustParseAddr("192.0.2.1") {
			t.Errorf("%q from a stranger gives %s", header, direct)
		}
	})
}

// FuzzForwarded: the check of a forwarded request is that of the request itself
// for each method that is named, and never weaker.
func FuzzForwarded(f *testing.F) {
	for _, s := range [][3]string{{"GET", "", ""}, {"POST", "same-origin", ""}, {"get", "", ""}, {"GET,POST", "", issuerOfTests}, {"", "cross-site", ""}, {"HEAD", "", "null"}, {" GET", "", ""}} {
		f.Add(s[0], s[1], s[2])
	}
	s := &server{guard: &bearer.Guard{Origins: []string{issuerOfTests}}}
	f.Fuzz(func(t *testing.T, method, site, origin string) {
		for _, name := range []string{"X-Forwarded-Method", "X-Original-Method"} {
			r := &http.Request{Method: http.MethodGet, Header: http.Header{
				"Cookie": {bearer.CookieName + "=x"}, name: {method}, "Sec-Fetch-Site": {site}, "Origin": {origin},
			}}
			err := s.checkForwarded(r)
			reads := method == "GET" || method == "HEAD" || method == "OPTIONS"
			if want := reads || site == "same-origin" || origin == issuerOfTests; (err == nil) != want {
				t.Errorf("%s %q, %q, %q: %v", name, method, site, origin, err)
			}
		}
	})
}

const issuerOfTests = "http://localhost:8080"

// FuzzQueries: what is read from a query is what the contract takes, or a 422.
func FuzzQueries(f *testing.F) {
	for _, s := range []string{"", "after=1-2&wait=3", "wait=99999999999999999999", "wait=-1", "wait=1.5", "after=%00", "scope=a+b&scope=c", "scope=%ff", "scope=A", "a;b", "%", "wait=4294967296", "scope=%20%20", "after=%31-1"} {
		f.Add(s, "")
	}
	f.Add("after=1-2", "0-1")
	f.Fuzz(func(t *testing.T, query, lastEvent string) {
		r := &http.Request{URL: &url.URL{RawQuery: query}, Header: http.Header{"Last-Event-Id": {lastEvent}}}
		if _, wait, err := feedQuery(r); err == nil && (wait < 0 || wait > maxWait) || err != nil && problemOf(err).Code != "invalid-fields" {
			t.Errorf("%q: %s, %v", query, wait, err)
		}
		names, err := demanded(r)
		if err != nil {
			if problemOf(err).Code != "invalid-fields" {
				t.Errorf("%q: %v", query, err)
			}
			return
		}
		if parsed, err := scope.Parse(names); err != nil || len(parsed) > scope.Max {
			t.Errorf("%q demands %q", query, names)
		}
	})
}

// FuzzHeaders: what is kept or repeated of a header is one line of plain text.
func FuzzHeaders(f *testing.F) {
	for _, s := range []string{"abc", "", "a b", "a\x00", "\xff\xfe", "é", strings.Repeat("a", 65), strings.Repeat("é", 200), "a\r\nSet-Cookie: x=y", "application/json; charset=UTF-8", "W/\"x\", *"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if id := requestID([]string{value}); id == "" || len(id) > maxRequestID || strings.Trim(id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._-") != "" {
			t.Errorf("%q gives the id %q", value, id)
		}
		key, err := idempotencyKey([]string{value})
		if err == nil && (key != value || key == "" || len(key) > 128 || strings.Trim(key, allPrintable) != "") || err != nil && key != "" {
			t.Errorf("%q gives the key %q, %v", value, key, err)
		}
		if cut := truncate(value, maxUserAgent); len(cut) > maxUserAgent || !strings.HasPrefix(value, cut) || utf8.ValidString(value) != utf8.ValidString(cut) && utf8.ValidString(value) {
			t.Errorf("%q is cut to %q", value, cut)
		}
		isJSON(http.Header{"Content-Type": {value}})
		hasTag([]string{value}, `"x"`)
	})
}

var allPrintable = func() string {
	var b strings.Builder
	for c := byte(' '); c <= '~'; c++ {
		b.WriteByte(c)
	}
	return b.String()
}()

// FuzzDecodeShapes: the decoder takes or refuses whatever a route's body has, a
// list, a number and a member that may be null, and never fails otherwise.
func FuzzDecodeShapes(f *testing.F) {
	for _, s := range []string{
		`{"name":"a","scopes":["b"],"expires_in":1}`, `{"scopes":[null]}`, `{"scopes":null}`, `{"expires_in":1e2}`, `{"expires_in":9223372036854775808}`, `{"expires_in":-0}`,
		`{"username":null,"email":"a","current_password":"b"}`, `{"username":[]}`, `{"username":{}}`, `{"overlap":0.5}`, `{"overlap":"1"}`, `{"scopes":[["a"]]}`,
	} {
		f.Add([]byte(s))
	}
	gin.SetMode(gin.ReleaseMode)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, read := range []func(*gin.Context) error{reading[apiKeyRequest], reading[identityRequest], reading[clientRequest], reading[secretRequest], reading[passwordRequest]} {
			c, _ := gin.CreateTestContext(httptest.NewRecorder())
			c.Request = httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
			c.Request.Header.Set("Content-Type", "application/json")
			err := read(c)
			if e, ok := errors.AsType[*requestError](err); err != nil && (!ok || e.code != "malformed-json" && e.code != "body-too-large") {
				t.Errorf("%q: %v", body, err)
			}
			if p := problemOf(err); err != nil {
				for _, field := range p.Errors {
					if !isPlainPointer(field.Pointer) {
						t.Errorf("%q: a pointer repeats %q", body, field.Pointer)
					}
				}
			}
		}
	})
}

func reading[T any](c *gin.Context) error {
	_, _, err := decodeOptional[T](c)
	return err
}
