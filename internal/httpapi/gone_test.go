package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestWhoIsTakenForGoneGetsAnotherConnection is about a connection that could not be read from
// for a moment: net/http takes its client for gone, once and for all.
func TestWhoIsTakenForGoneGetsAnotherConnection(t *testing.T) {
	a := newAPI(t)
	program := a.program(nil)
	gone, leave := context.WithCancel(t.Context())
	leave()
	for path, body := range map[string]string{
		"/v1/users":    `{"username":"ada","password":"correct horse battery"}`,
		"/oauth/token": `grant_type=client_credentials`,
	} {
		r := httptest.NewRequestWithContext(gone, http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if strings.HasPrefix(path, "/oauth/") {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.SetBasicAuth(program.id, program.secret)
		}
		w := httptest.NewRecorder()
		a.whole.ServeHTTP(w, r)
		if w.Code != 499 || w.Header().Get("Connection") != "close" {
			t.Errorf("%s: status %d, Connection %q; want 499 and close", path, w.Code, w.Header().Get("Connection"))
		}
	}
}
