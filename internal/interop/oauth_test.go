package interop_test

import (
	"testing"

	"github.com/jotgate/jotgate/internal/apptest"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/needs"
	"github.com/jotgate/jotgate/internal/oauth"
)

// newOAuthClient makes a client that may ask for client_credentials, and returns
// its id and its secret.
func newOAuthClient(t *testing.T, s *apptest.Server) (id, secret string) {
	t.Helper()
	c, secret, err := s.OAuth.Create(t.Context(), oauth.Actor{}, oauth.Registration{Name: "interop", Scopes: []string{"orders:read", "orders:write"}}, &flow.Visit{})
	if err != nil {
		t.Fatal(err)
	}
	return string(c.ID), secret
}

// TestOAuth asks openid-client and oauth4webapi, which know of a server no more
// than its issuer.
func TestOAuth(t *testing.T) {
	s := apptest.Start(t, "JOTGATE_TOKEN_AUDIENCE="+audience)
	s.SignUp(t, "ada")
	ada := s.SignIn(t, "ada")
	id, secret := newOAuthClient(t, s)
	needs.Node(t, "node", []string{
		"JOTGATE_ISSUER=" + s.URL, "JOTGATE_AUDIENCE=" + audience, "JOTGATE_CLIENT_ID=" + id, "JOTGATE_CLIENT_SECRET=" + secret,
		"JOTGATE_USER_TOKEN=" + ada.Access, "JOTGATE_SUBJECT=" + ada.User.ID,
	}, "--test", "oauth.test.js")
}
