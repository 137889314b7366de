package oauthapi

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/jotgate/jotgate/internal/client"
)

// FuzzForm: a form that is taken has each parameter once, as text with something
// in it, and a client authenticates in one way or not at all.
func FuzzForm(f *testing.F) {
	for _, s := range [][2]string{
		{"grant_type=client_credentials&scope=a+b", "Basic YTpi"},
		{"token=x&token=y", ""},
		{"client_id=a&client_secret=b", ""},
		{"client_id=a&client_secret=b", "Basic YTpi"},
		{"client_id=b", "Basic YTpi"},
		{"a=%zz", ""},
		{"a=%00", ""},
		{"a=%ff", ""},
		{"a;b", ""},
		{"=&&=", "Basic"},
		{"%61=1&a=2", "basic YTo="},
		{"token=", "Basic OmI="},
		{"token=x", "Basic JTAwOiVmZg=="},
		{"token=x", "Bearer x"},
	} {
		f.Add(s[0], s[1])
	}
	gin.SetMode(gin.ReleaseMode)
	f.Fuzz(func(t *testing.T, body, authorization string) {
		c, _ := gin.CreateTestContext(httptest.NewRecorder())
		c.Request = httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader(body))
		c.Request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if authorization != "" {
			c.Request.Header["Authorization"] = []string{authorization}
		}
		got, err := readForm(c)
		if err != nil {
			if e := wireErrorOf(err); e.status >= 500 || got != nil {
				t.Errorf("%q: %d, %v", body, e.status, got)
			}
			return
		}
		plain, err := url.ParseQuery(body)
		if err != nil {
			t.Errorf("%q is taken: %v", body, err)
		}
		for name, v := range got {
			if v == "" || !utf8.ValidString(v) || strings.ContainsRune(v, 0) || len(plain[name]) != 1 || plain[name][0] != v {
				t.Errorf("%q: %q is %q", body, name, v)
			}
		}
		checkClient(t, got, c.Request)
	})
}

func checkClient(t *testing.T, got form, r *http.Request) {
	t.Helper()
	id, secret, err := got.client(r)
	if err != nil {
		if e := wireErrorOf(err); !errors.Is(err, client.ErrUnauthenticated) && e.code != "invalid_request" || id != "" || secret != "" {
			t.Errorf("client = %q, %q, %v", id, secret, err)
		}
		return
	}
	if header := r.Header.Get("Authorization") != ""; header && got["client_secret"] != "" || !header && secret == "" {
		t.Errorf("a client authenticates twice, or not: %q %v", r.Header["Authorization"], got)
	}
}
