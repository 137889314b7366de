package apptest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/jotgate/jotgate/internal/apptest"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/oauth"
)

// TestAWordForAnAudience: a client that names no audience has the service's own,
// even where that is no URI, and so may learn of users' tokens and API keys.
func TestAWordForAnAudience(t *testing.T) {
	s := apptest.Start(t, "JOTGATE_TOKEN_AUDIENCE=orders-api")
	s.SignUp(t, "ada")
	ada := s.SignIn(t, "ada")
	var made struct{ Key string }
	if got := s.Call(t, http.MethodPost, "/v1/api-keys", ada.Access, map[string]string{"name": "k"}, &made); got != http.StatusCreated {
		t.Fatalf("status %d", got)
	}
	c, secret, err := s.OAuth.Create(t.Context(), oauth.Actor{}, oauth.Registration{Name: "reports"}, &flow.Visit{})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{ada.Access, made.Key} {
		res, err := http.PostForm(s.URL+"/oauth/introspect", url.Values{
			"client_id": {string(c.ID)}, "client_secret": {secret}, "token": {token},
		})
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Active bool     `json:"active"`
			Aud    []string `json:"aud"`
		}
		err = json.UnmarshalRead(res.Body, &got)
		if err != nil || res.Body.Close() != nil || !got.Active || strings.Join(got.Aud, " ") != "orders-api" {
			t.Errorf("introspection of %.8s… = %d %+v, %v", token, res.StatusCode, got, err)
		}
	}
}
