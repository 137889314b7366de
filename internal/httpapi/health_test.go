package httpapi_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/httpapi"
)

// TestOperationsAnswer holds that the operations listener answers as the API does.
func TestOperationsAnswer(t *testing.T) {
	c := bare()
	c.Ready = func(context.Context) []httpapi.Dependency { return nil }
	srv := httptest.NewServer(httpapi.Operations(c))
	defer srv.Close()
	for _, tt := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/healthz", 200, ""},
		{"HEAD", "/healthz", 200, ""},
		{"GET", "/readyz", 200, ""},
		{"HEAD", "/readyz", 200, ""},
		{"GET", "/metrics", 200, ""},
		{"HEAD", "/metrics", 200, ""},
		{"GET", "/debug/pprof/", 200, ""},
		{"HEAD", "/debug/pprof/heap", 200, ""},
		{"GET", "/v1/me", 404, "no-such-route"},
		{"HEAD", "/v1/me", 404, ""},
		{"GET", "/debug%2Fpprof/", 404, "no-such-route"},
		{"POST", "/metrics", 405, "method-not-allowed"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, srv.URL+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Request-Id", "mine")
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != tt.status || (tt.method == "HEAD") != (len(body) == 0) {
			t.Errorf("%s %s = %d %.80s, want %d", tt.method, tt.path, res.StatusCode, body, tt.status)
		}
		if tt.code != "" && (!strings.Contains(string(body), `"code":"`+tt.code+`"`) || !strings.Contains(string(body), `"request_id":"mine"`)) {
			t.Errorf("%s %s = %s, want %s and the id", tt.method, tt.path, body, tt.code)
		}
		for name, want := range map[string]string{
			"X-Request-Id": "mine", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
		} {
			if got := res.Header.Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("%s %s: %s = %q, want %q", tt.method, tt.path, name, got, want)
			}
		}
		if csp := res.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") {
			t.Errorf("%s %s: Content-Security-Policy = %q", tt.method, tt.path, csp)
		}
	}
}
