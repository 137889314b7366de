package bearer_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/jotgate/jotgate/pkg/bearer"
)

// clientClaims returns good claims of a client that acts for itself, with some replaced.
func clientClaims(with members) members {
	return merged(claims(members{"sub": "c1", "client_id": "c1", "sid": nil, "auth_time": nil, "amr": nil, "roles": []string{}}), with)
}

func TestClientThatActsForItself(t *testing.T) {
	k := newKeys(t)
	v := k.verifier(t)
	got, err := v.Verify(t.Context(), k.sign(t, "ES256", header("ES256", nil), clientClaims(nil)))
	check(t, err)
	if got.Subject != "c1" || got.ClientID != "c1" || got.SessionID != "" || !got.AuthTime.IsZero() || got.AMR != nil || len(got.Roles) != 0 || got.Scope != "a b" {
		t.Errorf("claims = %+v", got)
	}
	for name, c := range map[string]members{
		"for somebody else": clientClaims(members{"sub": "u1"}), "jotgate itself": clientClaims(members{"sub": "jotgate", "client_id": "jotgate"}),
		"empty session": clientClaims(members{"sid": ""}), "null session": clientClaims(members{"sid": json.RawMessage("null")}),
		"with a session, without auth_time": clientClaims(members{"sid": "s1", "amr": []string{"pwd"}}),
		"with a session, without amr":       clientClaims(members{"sid": "s1", "auth_time": now().Unix()}),
		"signed in at some time":            clientClaims(members{"auth_time": now().Unix()}), "signed in somehow": clientClaims(members{"amr": []string{}}),
		"in a cookie": clientClaims(members{"mode": "cookie"}), "with a role": clientClaims(members{"roles": []string{"admin"}}),
		"without roles": clientClaims(members{"roles": nil}), "without a subject": clientClaims(members{"sub": nil, "client_id": nil}),
		"empty subject": clientClaims(members{"sub": "", "client_id": ""}), "without a jti": clientClaims(members{"jti": nil}),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := v.Verify(t.Context(), k.sign(t, "ES256", header("ES256", nil), c))
			if !errors.Is(err, bearer.ErrInvalidToken) {
				t.Errorf("claims = %+v, error = %v, want ErrInvalidToken", got, err)
			}
		})
	}
}

func TestAnyAudience(t *testing.T) {
	k := newKeys(t)
	if _, err := bearer.New(t.Context(), bearer.Config{Issuer: "https://a.example.com", Audience: "https://a.example.com", AnyAudience: true, Keys: k.find}); err == nil {
		t.Error("an audience that is given does not count")
	}
	v := k.verifier(t, func(c *bearer.Config) { c.Audience, c.AnyAudience = "", true })
	for name, tt := range map[string]struct {
		with members
		ok   bool
	}{
		"another":         {members{"aud": "https://other.example.com"}, true},
		"several":         {members{"aud": []string{"x", "y"}}, true},
		"none":            {members{"aud": nil}, false},
		"empty":           {members{"aud": ""}, false},
		"empty list":      {members{"aud": []string{}}, false},
		"number":          {members{"aud": 1}, false},
		"another issuer":  {members{"iss": "https://other.example.com"}, false},
		"expired already": {members{"iat": now().Add(-time.Hour).Unix(), "exp": now().Add(-time.Minute).Unix()}, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := v.Verify(t.Context(), k.sign(t, "ES256", header("ES256", nil), claims(tt.with)))
			if (err == nil) != tt.ok || (err != nil && !errors.Is(err, bearer.ErrInvalidToken)) {
				t.Errorf("error = %v, want valid %t", err, tt.ok)
			}
		})
	}
}
