package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/httpapi"
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

// managed is every route that a program may not use, with a body that a user could send.
func managed() map[string]any {
	return map[string]any{
		"PATCH /v1/me":         object{"username": "eve", "current_password": goodPass},
		"DELETE /v1/me":        object{"current_password": goodPass},
		"POST /v1/me/password": object{"current_password": goodPass, "new_password": otherPass},
		"GET /v1/sessions":     nil, "DELETE /v1/sessions": nil, "DELETE /v1/sessions/:id": nil,
		"GET /v1/api-keys": nil, "POST /v1/api-keys": object{"name": "another"}, "DELETE /v1/api-keys/:id": nil,
		"POST /v1/logout": nil,
		// These ones for want of a scope.
		"GET /v1/admin/clients": nil, "POST /v1/admin/clients": object{"name": "x"}, "DELETE /v1/admin/clients/:id": nil,
		"POST /v1/admin/clients/:id/secret": nil,
	}
}

// A new route has to be one of those, or one of these.
func TestEveryRouteKnowsPrograms(t *testing.T) {
	routes, err := httpapi.Routes(bare())
	if err != nil {
		t.Fatal(err)
	}
	open := []string{"POST /v1/users", "POST /v1/login", "POST /v1/refresh", "GET /v1/me", "GET /v1/forward-auth", "GET /v1/revocations"}
	for _, r := range routes {
		method, path, _ := strings.Cut(r, " ")
		if _, ok := managed()[r]; !ok && strings.HasPrefix(path, "/v1/") && method != "HEAD" && !slices.Contains(open, r) {
			t.Errorf("nobody says whether a program may use %s", r)
		}
	}
}

func TestAPIKeyMayNotManageItsUser(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	ada := a.login("ada", "bearer").bearer(t)
	key, id := a.key(ada, object{"name": "k", "scopes": []string{"a"}})
	client := a.token(a.program([]string{"a"}), "")
	for route, body := range managed() {
		method, path, _ := strings.Cut(route, " ")
		path = strings.Replace(path, ":id", id, 1)
		for _, program := range []string{key, client} {
			refused := a.do(method, path, body, program).want(t, 403, "insufficient-scope")
			if c := refused.Header.Get("WWW-Authenticate"); !strings.Contains(c, `error="insufficient_scope"`) {
				t.Errorf("%s: WWW-Authenticate %q", route, c)
			}
			if body != nil { // what is wrong with the body comes first
				a.do(method, path, `{`, program).want(t, 400, "malformed-json")
				a.do(method, path, "a=b", program, "Content-Type: text/plain").want(t, 415, "unsupported-media-type")
				a.do(method, path, object{}, program).want(t, 422, "invalid-fields")
			}
		}
	}
	a.do("POST", "/v1/logout", nil, "Authorization: Bearer "+opaque.New("jg_")).want(t, 401, "invalid-token")
	// A key is no access token, so that the refresh token in the body decides.
	other := a.login("ada", "bearer")
	a.do("POST", "/v1/logout", object{"refresh_token": other.text(t, "refresh_token")}, key).want(t, 204, "")
	a.do("GET", "/v1/me", nil, other.bearer(t)).want(t, 401, "invalid-token")
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
	a.do("POST", "/v1/api-keys", object{"name": "k", "expires_in": 1.5}, ada).want(t, 422, "invalid-fields")
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
	if r := a.do("POST", "/v1/api-keys", object{"name": "k"}, ada); !strings.Contains(r.text(t, "detail"), "100 keys") {
		t.Errorf("the refusal does not say what to do: %s", r.text(t, "detail"))
	}
}

// Keys that have expired are still listed for a while, and keep nobody from making others.
func TestExpiredAPIKeysMakeRoom(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	ada := a.login("ada", "bearer").bearer(t)
	lasting, _ := a.key(ada, object{"name": "lasting"})
	for range 99 {
		a.key(ada, object{"name": "short", "expires_in": 1})
	}
	a.step(time.Second)
	for range 3 {
		a.key(ada, object{"name": "new"})
	}
	a.do("GET", "/v1/me", nil, lasting).want(t, 200, "")
	if n := len(a.do("GET", "/v1/api-keys", nil, ada).at(t, "api_keys").([]any)); n != 100 {
		t.Errorf("%d keys are kept", n)
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

// What waits to be written down keeps nobody waiting.
func TestAPIKeyIsTakenWhileAWriterStalls(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	key, _ := a.key(a.login("ada", "bearer").bearer(t), object{"name": "k"})
	if err := a.db.InTx(t.Context(), func(context.Context) error {
		begin := time.Now()
		a.do("GET", "/v1/me", nil, key).want(t, 200, "")
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("answered after %s", took)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
