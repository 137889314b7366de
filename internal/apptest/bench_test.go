package apptest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/apptest"
)

// discard is a ResponseWriter that keeps the status.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// BenchmarkRequest is what the program adds to net/http for a request with a token
// that it has seen before.
func BenchmarkRequest(b *testing.B) {
	s := apptest.Start(b)
	s.SignUp(b, ada)
	token := s.SignIn(b, ada).Access
	for path, want := range map[string]int{"/v1/forward-auth": http.StatusNoContent, "/v1/me": http.StatusOK, "/healthz": http.StatusOK} {
		b.Run(path[strings.LastIndexByte(path, '/')+1:], func(b *testing.B) {
			r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://localhost"+path, nil)
			if err != nil {
				b.Fatal(err)
			}
			r.RemoteAddr = "127.0.0.1:5000"
			r.Header.Set("Authorization", "Bearer "+token)
			b.ReportAllocs()
			for b.Loop() {
				w := &discard{header: http.Header{}}
				s.API.ServeHTTP(w, r)
				if w.status != want {
					b.Fatal(w.status)
				}
			}
		})
	}
}

// BenchmarkRefresh rotates the tokens of one session, one after another.
func BenchmarkRefresh(b *testing.B) {
	s := apptest.Start(b)
	s.SignUp(b, ada)
	token := s.SignIn(b, ada).Refresh
	b.ReportAllocs()
	for b.Loop() {
		body := strings.NewReader(`{"refresh_token":"` + token + `"}`)
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "http://localhost/v1/refresh", body)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.API.ServeHTTP(w, r)
		var next apptest.Tokens
		if err := json.Unmarshal(w.Body.Bytes(), &next); err != nil || w.Code != http.StatusOK {
			b.Fatalf("%d %s", w.Code, w.Body)
		}
		token = next.Refresh
	}
}
