package httpapi_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/httpapi"
)

// scene is a user with two sessions, a key, and a client with a token.
type scene struct {
	*api
	in, other    answer
	key, keyID   string
	client       program
	token, admin string // headers
}

func newScene(t *testing.T) *scene {
	t.Helper()
	a := newAPI(t)
	a.register("ada")
	s := &scene{api: a, in: a.login("ada", "bearer"), other: a.login("ada", "bearer"), client: a.program([]string{"a"})}
	s.key, s.keyID = a.key(s.in.bearer(t), object{"name": "k"})
	s.token = a.token(s.client, "")
	s.admin = a.token(a.program([]string{"admin"}), "")
	return s
}

// ending is every route that ends or weakens access, and an act of it that does. It
// answers below 300 unless it is a theft that it ends.
func ending() map[string]func(s *scene) answer {
	ada := func(s *scene) string { return s.in.bearer(s) }
	return map[string]func(s *scene) answer{
		"POST /v1/logout":     func(s *scene) answer { return s.do("POST", "/v1/logout", nil, ada(s)) },
		"DELETE /v1/sessions": func(s *scene) answer { return s.do("DELETE", "/v1/sessions", nil, ada(s)) },
		"DELETE /v1/sessions/:id": func(s *scene) answer {
			return s.do("DELETE", "/v1/sessions/"+s.other.text(s, "session.id"), nil, ada(s))
		},
		"DELETE /v1/api-keys/:id": func(s *scene) answer { return s.do("DELETE", "/v1/api-keys/"+s.keyID, nil, ada(s)) },
		"DELETE /v1/me":           func(s *scene) answer { return s.do("DELETE", "/v1/me", object{"current_password": goodPass}, ada(s)) },
		"PATCH /v1/me": func(s *scene) answer {
			return s.do("PATCH", "/v1/me", object{"username": "lovelace", "current_password": goodPass}, ada(s))
		},
		"POST /v1/me/password": func(s *scene) answer {
			return s.do("POST", "/v1/me/password", object{"current_password": goodPass, "new_password": otherPass}, ada(s))
		},
		"DELETE /v1/admin/clients/:id": func(s *scene) answer {
			return s.do("DELETE", "/v1/admin/clients/"+s.client.id, nil, s.admin)
		},
		"POST /v1/admin/clients/:id/secret": func(s *scene) answer {
			return s.do("POST", "/v1/admin/clients/"+s.client.id+"/secret", nil, s.admin)
		},
		"POST /oauth/revoke": func(s *scene) answer { return s.post("/oauth/revoke", "token="+raw(s.token), s.client.basic()) },
		"POST /v1/refresh":   theft,
	}
}

// theft presents a spent refresh token.
func theft(s *scene) answer {
	spent := object{"refresh_token": s.in.text(s, "refresh_token")}
	again := s.do("POST", "/v1/refresh", spent)
	s.do("POST", "/v1/refresh", object{"refresh_token": again.text(s, "refresh_token")}).want(s, 200, "")
	return s.do("POST", "/v1/refresh", spent)
}

// granting is every other route that changes something.
func granting() []string {
	return []string{
		"POST /v1/users", "POST /v1/login", "POST /v1/api-keys", "POST /v1/admin/clients", "POST /oauth/token", "POST /oauth/introspect",
	}
}

// TestWhatEndsAccessIsInTheFeed walks all routes. What ends or weakens access puts it
// into the feed, and does nothing at all if the feed takes it not: both are
// one transaction.
func TestWhatEndsAccessIsInTheFeed(t *testing.T) {
	routes, err := httpapi.Routes(bare())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		method, _, _ := strings.Cut(r, " ")
		if reads := method == "GET" || method == "HEAD"; reads || slices.Contains(granting(), r) {
			continue
		}
		act, ok := ending()[r]
		if !ok {
			t.Errorf("nobody says whether %s ends access", r)
			continue
		}
		t.Run(r, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.deaf.Store(true)
			if got := act(s); got.StatusCode < 500 {
				t.Fatalf("without the feed: %d %s", got.StatusCode, got.body)
			}
			for _, header := range []string{s.in.bearer(t), s.other.bearer(t), s.key, s.token} {
				s.do("GET", "/v1/forward-auth", nil, header).want(t, 204, "")
			}
			s.do("GET", "/v1/sessions", nil, s.in.bearer(t)).want(t, 200, "")
			if s.head() != 0 {
				t.Fatal("something is in the feed")
			}
			s.deaf.Store(false)
			if r == "POST /v1/refresh" { // the theft has to be another one
				s.in = s.other
			}
			act(s)
			if s.head() == 0 {
				t.Error("nothing is in the feed")
			}
			if changing := []string{"PATCH /v1/me", "POST /v1/me/password"}; slices.Contains(changing, r) && !s.toldChanged() {
				t.Error("the feed does not tell that the user is another")
			}
		})
	}
}

// toldChanged reports whether the feed tells that ada is no longer as remembered.
func (s *scene) toldChanged() bool {
	s.sync()
	return slices.ContainsFunc(s.do("GET", "/v1/revocations", nil).entries(s), func(e object) bool {
		return e["changed"] == s.in.text(s, "user.id")
	})
}

// head returns the number of the feed's newest entry.
func (a *api) head() int64 {
	a.Helper()
	_, seq, err := a.db.Revocations().Head(a.Context())
	a.must(err)
	return seq
}
