package httpapi_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/store/storetest"
)

func (a *api) refresh(token string, headers ...string) answer {
	a.Helper()
	return a.do("POST", "/v1/refresh", object{"refresh_token": token}, headers...)
}

func claimsOf(t *testing.T, token string) object {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims object
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestRefreshRotates(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		a.T = t
		a.register("ada")
		first := a.login("ada", "bearer")
		second := a.refresh(first.text(t, "refresh_token")).want(t, 200, "")
		if first.text(t, "access_token") == second.text(t, "access_token") || first.text(t, "refresh_token") == second.text(t, "refresh_token") {
			t.Error("a refresh answers the tokens it was given")
		}
		was, is := claimsOf(t, first.text(t, "access_token")), claimsOf(t, second.text(t, "access_token"))
		for _, same := range []string{"sub", "sid", "auth_time", "client_id", "mode"} {
			if was[same] != is[same] {
				t.Errorf("%s = %v, was %v", same, is[same], was[same])
			}
		}
		if got := claimsOf(t, second.text(t, "refresh_token"))["gen"]; got != 2.0 {
			t.Errorf("gen = %v, want 2", got)
		}
	})
}

func TestParentIsAnsweredTheSameChild(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		a.T = t
		a.register("ada")
		parent := a.login("ada", "bearer").text(t, "refresh_token")
		child := a.refresh(parent).want(t, 200, "").text(t, "refresh_token")
		a.step(10 * time.Second)
		if again := a.refresh(parent).want(t, 200, "").text(t, "refresh_token"); again != child {
			t.Error("the parent within the grace is answered another child")
		}
		a.step(time.Second)
		a.refresh(parent).want(t, 401, "token-reused")
		a.refresh(child).want(t, 401, "invalid-refresh-token")
	})
}

func TestRetryKeyOutlastsTheGrace(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	parent := a.login("ada", "bearer").text(t, "refresh_token")
	const key = "Idempotency-Key: 5f0c"
	child := a.refresh(parent, key).want(t, 200, "").text(t, "refresh_token")
	a.step(23 * time.Hour)
	if again := a.refresh(parent, key).want(t, 200, "").text(t, "refresh_token"); again != child {
		t.Error("the same key is answered another child")
	}
	a.refresh(child).want(t, 200, "")
	a.refresh(parent, key).want(t, 401, "token-reused")
}

// TestEveryRetryKeyOutlastsTheGrace, not that of the rotation alone: two tabs have each
// their own, and the answer of either may get lost.
func TestEveryRetryKeyOutlastsTheGrace(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		a.T = t
		a.register("ada")
		parent := a.login("ada", "bearer").text(t, "refresh_token")
		child := a.refresh(parent).want(t, 200, "").text(t, "refresh_token")
		keys := make([]string, 8)
		for i := range keys {
			keys[i] = fmt.Sprintf("Idempotency-Key: %d", i)
			a.refresh(parent, keys[i]).want(t, 200, "")
		}
		for range 20 {
			a.refresh(parent, "Idempotency-Key: "+rand.Text()).want(t, 200, "")
		}
		a.step(23 * time.Hour)
		for _, key := range keys {
			if again := a.refresh(parent, key).want(t, 200, "").text(t, "refresh_token"); again != child {
				t.Errorf("%s is answered another child", key)
			}
		}
		grandchild := a.refresh(child, keys[0]).want(t, 200, "").text(t, "refresh_token")
		a.step(time.Minute)
		if again := a.refresh(child, keys[0]).want(t, 200, "").text(t, "refresh_token"); again != grandchild {
			t.Error("the key is answered another grandchild")
		}
		a.refresh(child, keys[1]).want(t, 401, "token-reused")
	})
}

func TestUsedChildKillsItsParent(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	login := a.login("ada", "bearer")
	parent := login.text(t, "refresh_token")
	child := a.refresh(parent).want(t, 200, "")
	grandchild := a.refresh(child.text(t, "refresh_token")).want(t, 200, "")
	a.refresh(parent).want(t, 401, "token-reused") // within the grace
	a.refresh(grandchild.text(t, "refresh_token")).want(t, 401, "invalid-refresh-token")
	for _, r := range []answer{login, child, grandchild} {
		a.do("GET", "/v1/me", nil, r.bearer(t)).want(t, 401, "invalid-token")
		a.do("GET", "/v1/forward-auth", nil, r.bearer(t)).want(t, 401, "invalid-token")
	}
}

func TestThirtyTwoRefreshesGetOneChild(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		a.T = t
		a.register("ada")
		token := a.login("ada", "bearer").text(t, "refresh_token")
		var wg sync.WaitGroup
		var mu sync.Mutex
		children := map[string]bool{}
		for range 32 {
			wg.Go(func() {
				got := a.refresh(token)
				if got.StatusCode != http.StatusOK {
					t.Errorf("status = %d: %s", got.StatusCode, got.body)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				children[got.text(t, "refresh_token")] = true
			})
		}
		wg.Wait()
		if len(children) != 1 {
			t.Errorf("%d children, want 1", len(children))
		}
		for child := range children {
			a.refresh(child).want(t, 200, "")
		}
	})
}

func TestRefreshRefuses(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	b := a.login("ada", "bearer")
	token := b.text(t, "refresh_token")
	c := a.login("ada", "cookie")
	var cookieToken string
	for _, k := range c.Cookies() {
		if strings.HasSuffix(k.Name, "refresh") {
			cookieToken = k.Value
		}
	}
	const name = "__Host-Http-jotgate-refresh="
	tests := []struct {
		name    string
		body    any
		headers []string
		status  int
		code    string
	}{
		{"nothing", nil, nil, 401, "no-credentials"},
		{"empty object", object{}, nil, 401, "no-credentials"},
		{"garbage", object{"refresh_token": "garbage"}, nil, 401, "invalid-refresh-token"},
		{"empty", object{"refresh_token": ""}, nil, 401, "invalid-refresh-token"},
		{"line feed", object{"refresh_token": token + "\n"}, nil, 401, "invalid-refresh-token"},
		{"cut short", object{"refresh_token": token[:len(token)-1]}, nil, 401, "invalid-refresh-token"},
		{"longer", object{"refresh_token": token + "A"}, nil, 401, "invalid-refresh-token"},
		{"access token", object{"refresh_token": b.text(t, "access_token")}, nil, 401, "invalid-refresh-token"},
		{"cookie's token in a body", object{"refresh_token": cookieToken}, nil, 401, "invalid-refresh-token"},
		{"body's token in a cookie", nil, []string{sameOrigin, "Cookie: " + name + token}, 401, "invalid-refresh-token"},
		{"two cookies", nil, []string{sameOrigin, "Cookie: " + name + cookieToken + "; " + name + "x"}, 400, "invalid-request"},
		{"two cookies, one malformed", nil, []string{sameOrigin, "Cookie: " + name + cookieToken + "; " + name + "a\\b"}, 400, "invalid-request"},
		{"quoted cookie", nil, []string{sameOrigin, "Cookie: " + name + `"` + cookieToken + `"`}, 401, "invalid-refresh-token"},
		{"authorization hides the cookie", nil, []string{sameOrigin, "Authorization: Bearer x", "Cookie: " + name + cookieToken}, 401, "no-credentials"},
		{"wrong type", object{"refresh_token": 5}, nil, 400, "malformed-json"},
		{"retry key with a line feed's code", object{"refresh_token": token}, []string{"Idempotency-Key: " + strings.Repeat("k", 129)}, 422, "invalid-fields"},
		{"two retry keys", object{"refresh_token": token}, []string{"Idempotency-Key: a", "Idempotency-Key: b"}, 422, "invalid-fields"},
		{"form", "refresh_token=" + token, []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "unsupported-media-type"},
		{"form with a cookie from elsewhere", "a=b", []string{"Content-Type: text/plain", "Sec-Fetch-Site: cross-site", "Cookie: " + name + cookieToken}, 403, "csrf-rejected"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := *a
			a.T = t
			a.do("POST", "/v1/refresh", tt.body, tt.headers...).want(t, tt.status, tt.code)
		})
	}
	a.refresh(token).want(t, 200, "") // none of these touched the sessions
	a.do("POST", "/v1/refresh", nil, c.cookies(), sameOrigin).want(t, 200, "")
}

func TestBodyTokenMakesCookiesInvisible(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	c := a.login("ada", "cookie")
	got := a.refresh(a.login("ada", "bearer").text(t, "refresh_token"), c.cookies()).want(t, 200, "")
	if len(got.Cookies()) != 0 {
		t.Error("a bearer refresh sets cookies")
	}
	if got := a.refresh("garbage", c.cookies()).want(t, 401, "invalid-refresh-token"); len(got.Cookies()) != 0 {
		t.Error("a refused bearer refresh clears cookies")
	}
}

func TestSessionsExpire(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	idle := a.login("ada", "bearer").text(t, "refresh_token")
	a.step(30 * 24 * time.Hour)
	a.refresh(idle).want(t, 401, "invalid-refresh-token")
	login := a.login("ada", "bearer")
	busy := login.text(t, "refresh_token")
	for range 3 {
		a.step(29 * 24 * time.Hour)
		busy = a.refresh(busy).want(t, 200, "").text(t, "refresh_token")
	}
	last := a.refresh(busy).want(t, 200, "")
	if got := last.at(t, "refresh_expires_in"); got != (3 * 24 * time.Hour).Seconds() {
		t.Errorf("refresh_expires_in = %v, want three days", got)
	}
	a.step(3 * 24 * time.Hour)
	a.refresh(last.text(t, "refresh_token")).want(t, 401, "invalid-refresh-token")
}

func TestAheadOfTheDatabase(t *testing.T) {
	url := "sqlite:" + t.TempDir() + "/jotgate.db"
	a := newAPI(t, func(o *options) { o.database = url })
	a.register("ada")
	first := a.login("ada", "bearer").text(t, "refresh_token")
	second := a.refresh(first).want(t, 200, "").text(t, "refresh_token")
	third := a.refresh(second).want(t, 200, "").text(t, "refresh_token")
	// A backup from before the second refresh is restored.
	restored := storetest.Open(t, url)
	if _, err := restored.SQLDB()["writer"].ExecContext(t.Context(), "UPDATE sessions SET generation = 2"); err != nil {
		t.Fatal(err)
	}
	a.refresh(third).want(t, 401, "invalid-refresh-token")
	a.refresh(second).want(t, 200, "") // nothing was revoked
}

func TestRefreshOfADisabledUser(t *testing.T) {
	a := newAPI(t, func(o *options) { o.database = pgtest.DSN(t) })
	id := a.register("ada").text(t, "id")
	login := a.login("ada", "bearer")
	a.must(a.gate.Disable(t.Context(), userID(id)))
	a.refresh(login.text(t, "refresh_token")).want(t, 401, "invalid-refresh-token")
	a.do("GET", "/v1/forward-auth", nil, login.bearer(t)).want(t, 401, "invalid-token")
	a.must(a.gate.Enable(t.Context(), userID(id)))
	a.refresh(login.text(t, "refresh_token")).want(t, 401, "invalid-refresh-token")
	a.step(2 * time.Second)
	a.do("GET", "/v1/forward-auth", nil, login.bearer(t)).want(t, 401, "invalid-token")
	a.login("ada", "bearer")
}

// A refresh token in the body makes the cookies invisible, whatever is wrong with
// them; without one they are looked at.
func TestRefreshBesideCookies(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	token, cookies := a.login("ada", "bearer").text(t, "refresh_token"), a.login("ada", "cookie").cookies()
	token = a.refresh(token, cookies).want(t, 200, "").text(t, "refresh_token")
	token = a.refresh(token, cookies, cookies).want(t, 200, "").text(t, "refresh_token")
	a.refresh("garbage", cookies, cookies, sameOrigin).want(t, 401, "invalid-refresh-token")
	a.refresh(token, "Authorization: Bearer a", "Authorization: Bearer b").want(t, 400, "invalid-request")
	a.do("POST", "/v1/refresh", nil, cookies, cookies, sameOrigin).want(t, 400, "invalid-request")
	a.do("POST", "/v1/refresh", "{", cookies, cookies, sameOrigin).want(t, 400, "invalid-request")
	a.do("POST", "/v1/refresh", nil, cookies, sameOrigin).want(t, 200, "")
}
