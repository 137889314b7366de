package httpapi_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestPathsAndMethods(t *testing.T) {
	a := newAPI(t)
	tests := []struct {
		method, path string
		status       int
		code, allow  string
	}{
		{"GET", "/", 404, "no-such-route", ""},
		{"GET", "/v1/me/", 404, "no-such-route", ""},
		{"GET", "/V1/me", 404, "no-such-route", ""},
		{"GET", "//v1/me", 404, "no-such-route", ""},
		{"GET", "/v1//me", 404, "no-such-route", ""},
		{"GET", "/v1/./me", 404, "no-such-route", ""},
		{"GET", "/v1/x/../me", 404, "no-such-route", ""},
		{"POST", "/v1/login/", 404, "no-such-route", ""},
		{"DELETE", "/v1/sessions/a/b", 404, "no-such-route", ""},
		{"GET", "/v1/login", 405, "method-not-allowed", "POST"},
		{"PUT", "/v1/me", 405, "method-not-allowed", "DELETE, GET, HEAD, PATCH"},
		{"TRACE", "/v1/me", 405, "method-not-allowed", "DELETE, GET, HEAD, PATCH"},
		{"OPTIONS", "/v1/me", 405, "method-not-allowed", "DELETE, GET, HEAD, PATCH"},
		{"BREW", "/v1/login", 405, "method-not-allowed", "POST"},
		{"GET", "/docs/nothing.js", 404, "no-such-route", ""},
		{"GET", "/docs/..%2fopenapi.yaml", 404, "no-such-route", ""},
		{"GET", "/app/", 404, "no-such-route", ""},
		{"GET", "/app/nothing.js", 404, "no-such-route", ""},
		{"GET", "/app/..%2fspa.go", 404, "no-such-route", ""},
		{"POST", "/app", 405, "method-not-allowed", "GET, HEAD"},
	}
	for _, tt := range tests {
		t.Run(tt.method+tt.path, func(t *testing.T) {
			a := *a
			a.T = t
			got := a.do(tt.method, tt.path, nil).want(t, tt.status, tt.code)
			if got.Header.Get("Location") != "" {
				t.Errorf("Location = %q", got.Header.Get("Location"))
			}
			if allow := sortedList(got.Header.Get("Allow")); allow != tt.allow {
				t.Errorf("Allow = %q, want %q", allow, tt.allow)
			}
		})
	}
}

func sortedList(s string) string {
	words := strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
	for i := range words {
		for j := i; j > 0 && words[j] < words[j-1]; j-- {
			words[j], words[j-1] = words[j-1], words[j]
		}
	}
	return strings.Join(words, ", ")
}

// TestEncodedSlashSeparatesNothing holds that jotgate reads a path as who checked it
// before: %2F is data (RFC 3986, section 2.2), other characters are themselves.
func TestEncodedSlashSeparatesNothing(t *testing.T) {
	a := newAPI(t)
	for target, status := range map[string]int{
		"GET /v1%2Fme": 404, "GET /v1%2fme": 404, "HEAD /v1%2Fme": 404, "PUT /v1%2Fme": 404, "OPTIONS /v1%2Fme": 404, "GET /%2Fv1/me": 404, "GET /v1/me%2F": 404,
		"DELETE /v1%2Fsessions": 404, "DELETE /v1/sessions%2Fa": 404, "DELETE /v1/sessions/a%2Fb": 404, "DELETE /v1/sessions/%2F": 404,
		"POST /v1/admin/clients%2Fa%2Fsecret": 404, "POST /oauth%2Ftoken": 404, "GET /.well-known%2Fjwks.json": 404, "GET /docs%2Fpage.css": 404, "GET /app%2Fapp.js": 404,
		"GET /v1%5Cme": 404, "GET /v1%252Fme": 404, "GET /docs/page.css%2F..%2Fpage.js": 404,
		"GET /v1/%6De": 401, "GET /docs/page%2Ecss": 200, "DELETE /v1/sessions/%C3%A4": 401, "DELETE /v1/sessions/a%252Fb": 401, "GET /v1/me?x=%2F": 401,
	} {
		method, path, _ := strings.Cut(target, " ")
		req, err := http.NewRequestWithContext(t.Context(), method, a.url+path, nil)
		a.must(err)
		res, err := http.DefaultTransport.RoundTrip(req)
		a.must(err)
		body, err := io.ReadAll(res.Body)
		a.must(errors.Join(err, res.Body.Close()))
		if res.StatusCode != status || status == 404 && method != "HEAD" && !strings.Contains(string(body), `"code":"no-such-route"`) || status == 404 && res.Header.Get("Allow") != "" {
			t.Errorf("%s = %d %.200s, Allow %q, want %d", target, res.StatusCode, body, res.Header.Get("Allow"), status)
		}
	}
}
