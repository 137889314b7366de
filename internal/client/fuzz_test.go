package client_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/client"
)

// FuzzDraft: an audience that is taken is the service's own, or an absolute URI of
// printable ASCII without a fragment (RFC 8707, section 2), and stays as it was
// written, because audiences are compared as texts.
func FuzzDraft(f *testing.F) {
	const own = "orders-api"
	for _, s := range []string{"https://api.example.com", "urn:orders", "//api.example.com", "https://api.example.com#a", "https://api.example.com/#", "a b:c", "https://ex\u00e4mple.com", "%zz:", ":", "http://[::1", "", "a:\x00", strings.Repeat("a", 600) + ":b"} {
		f.Add("reports", s)
	}
	f.Add("\u202e", "urn:a")
	f.Add("reports", "orders")
	f.Add("reports", own)
	clients := client.New(nil, own, time.Now)
	f.Fuzz(func(t *testing.T, name, audience string) {
		c, secret, err := clients.Draft(name, nil, []string{audience})
		if err != nil {
			if secret != "" || !errors.Is(err, client.ErrInvalidName) && !errors.Is(err, client.ErrInvalidAudience) {
				t.Errorf("%q, %q: %v", name, audience, err)
			}
			if audience == own && errors.Is(err, client.ErrInvalidAudience) {
				t.Error("the service's own audience is refused")
			}
			return
		}
		u, err := url.Parse(audience)
		printable := strings.IndexFunc(audience, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
		resource := err == nil && u.Scheme != "" && !strings.Contains(audience, "#") && len(audience) <= 512 && printable
		if !resource && audience != own || c.Audiences[0] != audience || c.Name != name {
			t.Errorf("%q is taken as an audience: %+v", audience, c)
		}
	})
}
