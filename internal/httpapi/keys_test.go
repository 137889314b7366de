package httpapi_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/opaque"
	"github.com/jotgate/jotgate/internal/user"
)

// key makes an API key and returns its header and its id.
func (a *api) key(as string, body object) (header, id string) {
	a.Helper()
	made := a.do("POST", "/v1/api-keys", body, as).want(a, 201, "")
	return "Authorization: Bearer " + made.text(a, "key"), made.text(a, "api_key.id")
}

func TestAPIKeyActsForItsUser(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		id := a.register("ada").text(t, "id")
		ada := a.login("ada", "bearer").bearer(t)
		made := a.do("POST", "/v1/api-keys", object{"name": "backup", "scopes": []string{"b:x", "a", "a"}, "expires_in": 3600}, ada).want(t, 201, "")
		secret := made.text(t, "key")
		if !regexp.MustCompile(`^jg_[0-9A-Za-z]{46}$`).MatchString(secret) || made.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("key %q, Cache-Control %q", secret, made.Header.Get("Cache-Control"))
		}
		if p := made.text(t, "api_key.prefix"); !strings.HasPrefix(secret, p) || fmt.Sprint(made.at(t, "api_key.scopes")) != "[a b:x]" {
			t.Errorf("api_key = %s", made.body)
		}
		key := "Authorization: bearer " + secret
		me := a.do("GET", "/v1/me", nil, key).want(t, 200, "")
		if me.text(t, "user.id") != id || me.at(t, "session") != nil {
			t.Errorf("me = %s", me.body)
		}
		pass := a.do("GET", "/v1/forward-auth?scope=a", nil, key).want(t, 204, "")
		if h := pass.Header; h.Get("X-Auth-User-Id") != id || h.Get("X-Auth-Session-Id") != "" || h.Get("X-Auth-Scope") != "a b:x" || h.Get("X-Auth-Client-Id") != "" {
			t.Errorf("headers = %v", h)
		}
		a.do("GET", "/v1/forward-auth?scope=c", nil, key).want(t, 403, "insufficient-scope")
		list := a.do("GET", "/v1/api-keys", nil, ada).want(t, 200, "")
		if strings.Contains(string(list.body), secret) || strings.Contains(string(list.body), opaque.Hash(secret)) || !strings.Contains(string(list.body), `"last_used_at":"2`) {
			t.Errorf("list = %s", list.body)
		}
		a.step(time.Hour)
		a.do("GET", "/v1/me", nil, key).want(t, 401, "invalid-token")
	})
}

func TestAPIKeyMayNotManageItsUser(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	ada := a.login("ada", "bearer").bearer(t)
	key, id := a.key(ada, object{"name": "k", "scopes": []string{"a"}})
	for _, r := range []struct {
		method, path string
		body         any
	}{
		{"PATCH", "/v1/me", object{"username": "eve", "current_password": goodPass}},
		{"DELETE", "/v1/me", object{"current_password": goodPass}},
		{"POST", "/v1/me/password", object{"current_password": goodPass, "new_password": otherPass}},
		{"GET", "/v1/sessions", nil},
		{"DELETE", "/v1/sessions", nil},
		{"DELETE", "/v1/sessions/x", nil},
		{"GET", "/v1/api-keys", nil},
		{"POST", "/v1/api-keys", object{"name": "another"}},
		{"DELETE", "/v1/api-keys/" + id, nil},
		{"POST", "/v1/logout", nil},
		{"GET", "/v1/admin/clients", nil},
	} {
		refused := a.do(r.method, r.path, r.body, key).want(t, 403, "insufficient-scope")
		if c := refused.Header.Get("WWW-Authenticate"); !strings.Contains(c, `error="insufficient_scope"`) {
			t.Errorf("%s %s: WWW-Authenticate %q", r.method, r.path, c)
		}
		if r.body != nil { // what is wrong with the body comes first
			a.do(r.method, r.path, `{`, key).want(t, 400, "malformed-json")
			a.do(r.method, r.path, "a=b", key, "Content-Type: text/plain").want(t, 415, "unsupported-media-type")
			a.do(r.method, r.path, object{}, key).want(t, 422, "invalid-fields")
		}
	}
	a.do("POST", "/v1/logout", nil, "Authorization: Bearer "+opaque.New("jg_")).want(t, 401, "invalid-token")
	a.do("GET", "/v1/me", nil, key).want(t, 200, "")
	a.do("GET", "/v1/me", nil, ada).want(t, 200, "")
}

func TestAPIKeyEnds(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		id := a.register("ada").text(t, "id")
		a.register("bob")
		ada, bob := a.login("ada", "bearer").bearer(t), a.login("bob", "bearer").bearer(t)
		deleted, keyID := a.key(ada, object{"name": "k"})
		a.do("DELETE", "/v1/api-keys/"+keyID, nil, bob).want(t, 404, "not-found")
		a.do("GET", "/v1/me", nil, deleted).want(t, 200, "")
		a.do("DELETE", "/v1/api-keys/"+keyID, nil, ada).want(t, 204, "")
		a.do("GET", "/v1/me", nil, deleted).want(t, 401, "invalid-token")
		a.do("DELETE", "/v1/api-keys/"+keyID, nil, ada).want(t, 404, "not-found")

		kept, _ := a.key(ada, object{"name": "k"})
		a.do("POST", "/v1/me/password", object{"current_password": goodPass, "new_password": otherPass}, ada).want(t, 204, "")
		a.do("GET", "/v1/me", nil, kept).want(t, 200, "")
		a.must(a.gate.Disable(t.Context(), user.ID(id)))
		a.do("GET", "/v1/me", nil, kept).want(t, 401, "invalid-token")
		a.must(a.gate.Enable(t.Context(), user.ID(id)))
		a.do("GET", "/v1/me", nil, kept).want(t, 401, "invalid-token")

		closed, _ := a.key(bob, object{"name": "k"})
		a.do("DELETE", "/v1/me", object{"current_password": goodPass}, bob).want(t, 204, "")
		a.do("GET", "/v1/me", nil, closed).want(t, 401, "invalid-token")
	})
}

func TestAPIKeyOfAnAdministrator(t *testing.T) {
	a := newAPI(t)
	id := a.register("ada").text(t, "id")
	a.do("POST", "/v1/api-keys", object{"name": "k", "scopes": []string{"admin"}}, a.login("ada", "bearer").bearer(t)).want(t, 403, "insufficient-scope")
	a.must(a.gate.SetRoles(t.Context(), user.ID(id), []user.Role{"admin"}))
	a.step(2 * time.Second)
	ada := a.login("ada", "bearer").bearer(t)
	a.do("GET", "/v1/admin/clients", nil, ada).want(t, 403, "insufficient-scope")
	key, _ := a.key(ada, object{"name": "k", "scopes": []string{"admin", "x"}})
	a.do("GET", "/v1/admin/clients", nil, key).want(t, 200, "")
	a.must(a.gate.SetRoles(t.Context(), user.ID(id), nil))
	a.do("GET", "/v1/admin/clients", nil, key).want(t, 403, "insufficient-scope")
	if got := a.do("GET", "/v1/forward-auth", nil, key).want(t, 204, "").Header.Get("X-Auth-Scope"); got != "x" {
		t.Errorf("scope = %q", got)
	}
}

func TestAPIKeyRefused(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	login := a.login("ada", "bearer")
	ada := login.bearer(t)
	key, _ := a.key(ada, object{"name": "k"})
	secret := strings.TrimPrefix(key, "Authorization: Bearer ")
	for name, typo := range map[string]string{
		"never made": opaque.New("jg_"), "another checksum": secret[:48] + string(rune('0'+(secret[48]-'0'+1)%10)), "cut": secret[:48], "prefix": "jg_",
	} {
		if typo == secret {
			continue
		}
		refused := a.do("GET", "/v1/me", nil, "Authorization: Bearer "+typo).want(t, 401, "invalid-token")
		if c := refused.Header.Get("WWW-Authenticate"); !strings.Contains(c, `error="invalid_token"`) {
			t.Errorf("%s: WWW-Authenticate %q", name, c)
		}
	}
	a.do("GET", "/v1/me", nil, key, ada).want(t, 400, "invalid-request")
	a.do("GET", "/v1/me", nil, "Cookie: __Host-Http-jotgate-access="+secret).want(t, 401, "invalid-token")
	a.do("GET", "/v1/me?access_token="+secret, nil).want(t, 401, "no-credentials")
	for name, body := range map[string]object{
		"no name": {}, "empty name": {"name": ""}, "long name": {"name": strings.Repeat("a", 129)}, "control": {"name": "a\nb"},
		"bad scope": {"name": "k", "scopes": []string{"A"}}, "no life": {"name": "k", "expires_in": 0},
		"long life": {"name": "k", "expires_in": 315360001}, "huge life": {"name": "k", "expires_in": int64(1) << 62}, "negative": {"name": "k", "expires_in": -1},
	} {
		if got := a.do("POST", "/v1/api-keys", body, ada); got.StatusCode != 422 {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.body)
		}
	}
	a.do("POST", "/v1/api-keys", object{"name": "k", "user_id": "x"}, ada).want(t, 400, "malformed-json")
	a.do("POST", "/v1/api-keys", object{"name": "k", "expires_in": 1.5}, ada).want(t, 400, "malformed-json")
	cookies := a.login("ada", "cookie").cookies()
	a.do("POST", "/v1/api-keys", object{"name": "k"}, cookies).want(t, 403, "csrf-rejected")
}

func TestAPIKeysAreBounded(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	ada := a.login("ada", "bearer").bearer(t)
	for range 99 {
		a.key(ada, object{"name": "k"})
	}
	results := make(chan int)
	for range 4 {
		go func() {
			a := *a
			results <- a.do("POST", "/v1/api-keys", object{"name": "k"}, ada).StatusCode
		}()
	}
	got := map[int]int{}
	for range 4 {
		got[<-results]++
	}
	if got[201] != 1 || got[409] != 3 {
		t.Errorf("statuses = %v", got)
	}
}

// What cannot be written down keeps nobody out.
func TestAPIKeyIsTakenWhileNothingCanBeWritten(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	key, _ := a.key(a.login("ada", "bearer").bearer(t), object{"name": "k"})
	if _, err := a.db.SQLDB()["writer"].ExecContext(t.Context(),
		"CREATE TRIGGER full BEFORE UPDATE ON api_keys BEGIN SELECT RAISE(ABORT, 'full'); END"); err != nil {
		t.Fatal(err)
	}
	a.do("GET", "/v1/me", nil, key).want(t, 200, "")
	var unused int
	if err := a.db.SQLDB()["readers"].QueryRowContext(t.Context(), "SELECT count(*) FROM api_keys WHERE last_used_at = 0").Scan(&unused); err != nil || unused != 1 {
		t.Error(errors.Join(err, fmt.Errorf("%d unused keys", unused)))
	}
}
