package interop_test

import (
	"net/http"
	"testing"

	"github.com/jotgate/jotgate/internal/apptest"
	"github.com/jotgate/jotgate/internal/needs"
)

// newOAuthClient makes a client that may ask for client_credentials, and returns
// its id and its secret.
//
// TO BE FILLED IN with the routes under /oauth/. Until they are there the test is
// skipped, and from then on it fails until this makes a client.
func newOAuthClient(t *testing.T, s *apptest.Server) (id, secret string) {
	t.Helper()
	if s.Call(t, http.MethodPost, "/oauth/token", "", nil, nil) == http.StatusNotFound {
		t.Skip("there is no POST /oauth/token")
	}
	t.Error("newOAuthClient makes no client")
	return "", ""
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
