package httpapi_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/client"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/oauth"
	"github.com/jotgate/jotgate/internal/opaque"
	"github.com/jotgate/jotgate/internal/user"
)

// program is a client with its secret.
type program struct{ id, secret string }

func (a *api) program(scopes []string, audiences ...string) program {
	a.Helper()
	c, secret, err := a.oauth.Create(a.Context(), oauth.Actor{}, oauth.Registration{Name: "reports", Scopes: scopes, Audiences: audiences}, &flow.Visit{})
	a.must(err)
	return program{string(c.ID), secret}
}

func (p program) basic() string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(p.id)+":"+url.QueryEscape(p.secret)))
}

const formType = "Content-Type: application/x-www-form-urlencoded"

// post sends a form.
func (a *api) post(path, form string, headers ...string) answer {
	a.Helper()
	return a.do("POST", path, form, append([]string{formType}, headers...)...)
}

// wantError fails the test unless the answer is an error of RFC 6749.
func (r answer) wantError(tb testing.TB, status int, code string) {
	tb.Helper()
	if r.StatusCode != status || r.text(tb, "error") != code || r.Header.Get("Cache-Control") != "no-store" {
		tb.Errorf("%s = %d %s, want %d %s", r.Request.URL.Path, r.StatusCode, r.body, status, code)
	}
}

// token returns the header of a fresh token of p's.
func (a *api) token(p program, form string) string {
	a.Helper()
	return a.post("/oauth/token", "grant_type=client_credentials"+form, p.basic()).want(a, 200, "").bearer(a)
}

func raw(header string) string { return strings.TrimPrefix(header, "Authorization: Bearer ") }

// active returns what c learns of a token, or nil.
func (a *api) active(c program, token string) object {
	a.Helper()
	got := a.post("/oauth/introspect", url.Values{"token": {token}}.Encode(), c.basic()).want(a, 200, "")
	if string(got.body) == `{"active":false}` {
		return nil
	}
	o := got.json(a)
	if o["active"] != true {
		a.Errorf("introspection = %s", got.body)
	}
	return o
}

func TestClientCredentials(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		p := a.program([]string{"orders:read", "orders:write"}, issuer, "https://orders.example.com")
		got := a.post("/oauth/token", "grant_type=client_credentials", p.basic()).want(t, 200, "")
		if got.text(t, "token_type") != "Bearer" || got.at(t, "expires_in") != 600.0 || got.text(t, "scope") != "orders:read orders:write" ||
			got.Header.Get("Cache-Control") != "no-store" || got.at(t, "refresh_token") != nil {
			t.Errorf("answer = %s, headers %v", got.body, got.Header)
		}
		pass := a.do("GET", "/v1/forward-auth?scope=orders:read", nil, got.bearer(t)).want(t, 204, "")
		if h := pass.Header; h.Get("X-Auth-Client-Id") != p.id || h.Get("X-Auth-User-Id") != "" || h.Get("X-Auth-Roles") != "" {
			t.Errorf("headers = %v", h)
		}
		a.do("GET", "/v1/me", nil, got.bearer(t)).want(t, 403, "insufficient-scope")
		a.do("POST", "/v1/logout", nil, got.bearer(t)).want(t, 403, "insufficient-scope")
		a.do("GET", "/v1/me", nil, "Cookie: __Host-Http-jotgate-access="+raw(got.bearer(t))).want(t, 401, "invalid-token")

		inBody := a.post("/oauth/token", url.Values{
			"grant_type": {"client_credentials"}, "client_id": {p.id}, "client_secret": {p.secret}, "scope": {"orders:read"},
			"resource": {"https://orders.example.com"},
		}.Encode()).want(t, 200, "")
		if inBody.text(t, "scope") != "orders:read" {
			t.Errorf("scope = %s", inBody.body)
		}
		a.do("GET", "/v1/forward-auth", nil, inBody.bearer(t)).want(t, 401, "invalid-token") // it is for somebody else
	})
}

// TestCharsetOfAForm: some clients name their own default, which changes nothing, and what is
// no UTF-8 is refused whatever they call it.
func TestCharsetOfAForm(t *testing.T) {
	a := newAPI(t)
	p := a.program([]string{"a"})
	for charset, status := range map[string]int{"UTF-8": 200, "ISO-8859-1": 200, "us-ascii": 200, "utf-16": 415} {
		kind := "Content-Type: application/x-www-form-urlencoded; charset=" + charset
		a.do("POST", "/oauth/token", "grant_type=client_credentials", kind, p.basic()).want(t, status, "")
		if status == 200 {
			a.do("POST", "/oauth/token", "grant_type=client_credentials&scope=%e9", kind, p.basic()).wantError(t, 400, "invalid_request")
		}
	}
}

func TestTokenRequestRefused(t *testing.T) {
	a := newAPI(t)
	p, other := a.program([]string{"a"}), a.program(nil)
	const ok = "grant_type=client_credentials"
	inBody := "&client_id=" + p.id + "&client_secret=" + p.secret
	for name, tt := range map[string]struct {
		form    string
		headers []string
		status  int
		code    string
	}{
		"no client":              {ok, nil, 401, "invalid_client"},
		"wrong secret":           {ok, []string{program{p.id, other.secret}.basic()}, 401, "invalid_client"},
		"secret of no shape":     {ok, []string{program{p.id, "secret"}.basic()}, 401, "invalid_client"},
		"unknown client":         {ok, []string{program{"client-x", p.secret}.basic()}, 401, "invalid_client"},
		"no secret":              {ok + "&client_id=" + p.id, nil, 401, "invalid_client"},
		"bearer":                 {ok, []string{"Authorization: Bearer " + p.secret}, 401, "invalid_client"},
		"broken Basic":           {ok, []string{"Authorization: Basic !"}, 401, "invalid_client"},
		"both":                   {ok + inBody, []string{p.basic()}, 400, "invalid_request"},
		"two headers":            {ok, []string{p.basic(), p.basic()}, 400, "invalid_request"},
		"another id in the body": {ok + "&client_id=" + other.id, []string{p.basic()}, 400, "invalid_request"},
		"no grant":               {"", []string{p.basic()}, 400, "invalid_request"},
		"another grant, wrong":   {"grant_type=password", []string{program{p.id, other.secret}.basic()}, 401, "invalid_client"},
		"another grant":          {"grant_type=password&username=ada&password=x", []string{p.basic()}, 400, "unsupported_grant_type"},
		"twice":                  {ok + "&scope=a&scope=a", []string{p.basic()}, 400, "invalid_request"},
		"grant twice":            {ok + "&" + ok, []string{p.basic()}, 400, "invalid_request"},
		"not a form":             {ok + "&a=%zz", []string{p.basic()}, 400, "invalid_request"},
		"semicolon":              {ok + ";scope=a", []string{p.basic()}, 400, "invalid_request"},
		"NUL":                    {ok + "&scope=a%00", []string{p.basic()}, 400, "invalid_request"},
		"more scope":             {ok + "&scope=a+b", []string{p.basic()}, 400, "invalid_scope"},
		"scope of no shape":      {ok + "&scope=A", []string{p.basic()}, 400, "invalid_scope"},
		"two spaces":             {ok + "&scope=a++a", []string{p.basic()}, 400, "invalid_scope"},
		"another audience":       {ok + "&audience=https://else.example.com", []string{p.basic()}, 400, "invalid_target"},
		"two audiences":          {ok + "&audience=" + issuer + "&resource=" + issuer + "/", []string{p.basic()}, 400, "invalid_target"},
		"too large":              {ok + "&a=" + strings.Repeat("x", 16<<10), []string{p.basic()}, 413, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			a := *a
			a.T = t
			got := a.post("/oauth/token", tt.form, tt.headers...)
			got.wantError(t, tt.status, tt.code)
			if c := got.Header.Get("WWW-Authenticate"); (tt.status == 401) != strings.HasPrefix(c, "Basic ") {
				t.Errorf("WWW-Authenticate = %q", c)
			}
			if strings.Contains(string(got.body), p.secret) {
				t.Error("the secret comes back")
			}
		})
	}
	a.post("/oauth/token?grant_type=client_credentials", "", p.basic()).wantError(t, 400, "invalid_request")
	a.do("POST", "/oauth/token", object{"grant_type": "client_credentials"}, p.basic()).wantError(t, 415, "invalid_request")
	a.do("GET", "/oauth/token", nil).want(t, 405, "method-not-allowed")
	a.token(p, "&scope=a&audience="+issuer) // and all is well
	// Without a value a parameter counts as left out (RFC 6749, section 3.2).
	a.token(p, "&scope=&resource=&client_id=&client_secret=")
}

func TestRevokeToken(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		p, other := a.program([]string{"a"}), a.program([]string{"a"})
		a.register("ada")
		login := a.login("ada", "bearer")
		key, _ := a.key(login.bearer(t), object{"name": "k"})
		mine, second := a.token(p, ""), a.token(p, "")
		for _, foreign := range []string{raw(mine), login.text(t, "access_token"), login.text(t, "refresh_token"), raw(key)} {
			a.post("/oauth/revoke", url.Values{"token": {foreign}}.Encode(), other.basic()).wantError(t, 400, "invalid_grant")
		}
		a.do("GET", "/v1/me", nil, key).want(t, 200, "")
		a.do("GET", "/v1/me", nil, login.bearer(t)).want(t, 200, "")
		a.do("GET", "/v1/forward-auth", nil, mine).want(t, 204, "")
		for range 2 {
			done := a.post("/oauth/revoke", url.Values{"token": {raw(mine)}, "token_type_hint": {"refresh_token"}}.Encode(), p.basic()).want(t, 200, "")
			if len(done.body) != 0 || done.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("body = %q", done.body)
			}
		}
		a.do("GET", "/v1/forward-auth", nil, mine).want(t, 401, "invalid-token")
		a.do("GET", "/v1/forward-auth", nil, second).want(t, 204, "")
		for _, unknown := range []string{"x", "a.b.c", opaque.New("jg_")} {
			a.post("/oauth/revoke", "token="+unknown, p.basic()).want(t, 200, "")
		}
		a.post("/oauth/revoke", "token="+raw(second)).wantError(t, 401, "invalid_client")
		a.post("/oauth/revoke", "", p.basic()).wantError(t, 400, "invalid_request")
	})
}

// TestRevokeTokenDatedAhead has a client take back a token that was issued while a clock was
// ahead, which nobody told this process of: it does not become good when its time comes.
func TestRevokeTokenDatedAhead(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		a.T = t
		p, other := a.program([]string{"a"}), a.program([]string{"a"})
		a.must(a.feed.Sync(t.Context()))
		const ahead = 3 * time.Hour
		a.step(ahead)
		mine, second := a.token(p, ""), a.token(p, "")
		a.step(-ahead)
		a.do("GET", "/v1/forward-auth", nil, mine).want(t, 401, "invalid-token")
		if a.active(p, raw(mine)) != nil {
			t.Error("a token is active whose time has not come")
		}
		a.post("/oauth/revoke", "token="+raw(mine), other.basic()).wantError(t, 400, "invalid_grant")
		a.post("/oauth/revoke", "token="+raw(mine), p.basic()).want(t, 200, "")
		for range ahead / (10 * time.Minute) {
			a.step(10 * time.Minute)
			a.must(a.feed.Sync(t.Context()))
		}
		a.do("GET", "/v1/forward-auth", nil, second).want(t, 204, "")
		a.do("GET", "/v1/forward-auth", nil, mine).want(t, 401, "invalid-token")
	})
}

func TestIntrospect(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		id := a.register("ada").text(t, "id")
		server := a.program(nil)
		orders := a.program([]string{"a"}, "https://orders.example.com")
		login := a.login("ada", "bearer")
		got := a.active(server, login.text(t, "access_token"))
		if got["sub"] != id || got["client_id"] != "jotgate" || got["iss"] != issuer || got["token_type"] != "Bearer" || got["sid"] != login.text(t, "session.id") || got["scope"] != "" {
			t.Errorf("introspection = %v", got)
		}
		if a.active(orders, login.text(t, "access_token")) != nil {
			t.Error("a client learns of a token that is not for it")
		}
		mine := raw(a.token(orders, ""))
		if got := a.active(orders, mine); got["sub"] != orders.id || got["scope"] != "a" || fmt.Sprint(got["aud"]) != "[https://orders.example.com]" {
			t.Errorf("introspection = %v", got)
		}
		if a.active(server, mine) != nil {
			t.Error("a client learns of a token that is not for it")
		}
		key, _ := a.key(login.bearer(t), object{"name": "k", "scopes": []string{"x"}})
		if got := a.active(server, raw(key)); got["sub"] != id || got["scope"] != "x" || got["exp"] != nil {
			t.Errorf("introspection = %v", got)
		}
		if a.active(orders, raw(key)) != nil {
			t.Error("a client learns of a key that is not for it")
		}
		if list := a.do("GET", "/v1/api-keys", nil, login.bearer(t)).want(t, 200, ""); strings.Contains(string(list.body), `"last_used_at":null`) {
			t.Error("a key that is introspected counts as unused")
		}
		for _, inactive := range []string{"x", login.text(t, "refresh_token"), opaque.New("jg_"), login.text(t, "access_token") + "A"} {
			if a.active(server, inactive) != nil {
				t.Errorf("%q is active", inactive)
			}
		}
		a.post("/oauth/introspect", "token=x").wantError(t, 401, "invalid_client")
		a.must(a.gate.Disable(t.Context(), user.ID(id)))
		if a.active(server, login.text(t, "access_token")) != nil || a.active(server, raw(key)) != nil {
			t.Error("a disabled user's credentials are active")
		}
		a.step(accessTTL - time.Second)
		if a.active(orders, mine) == nil {
			t.Error("a token in its last second is not active")
		}
		a.step(time.Second) // others accept it for the leeway
		if a.active(orders, mine) != nil {
			t.Error("an expired token is active")
		}
	})
}

func TestAdministerClients(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		robot := a.program([]string{"admin"})
		admin := a.token(robot, "")
		a.do("GET", "/v1/admin/clients", nil).want(t, 401, "no-credentials")
		nobody := a.token(a.program([]string{"a"}), "")
		a.do("GET", "/v1/admin/clients", nil, nobody).want(t, 403, "insufficient-scope")
		a.do("POST", "/v1/admin/clients", object{"name": "reports"}, nobody).want(t, 403, "insufficient-scope")
		made := a.do("POST", "/v1/admin/clients", object{"name": "reports", "scopes": []string{"a"}}, admin).want(t, 201, "")
		p := program{made.text(t, "client.id"), made.text(t, "client_secret")}
		token := a.token(p, "")
		list := a.do("GET", "/v1/admin/clients", nil, admin).want(t, 200, "")
		if !strings.Contains(string(list.body), p.id) || strings.Contains(string(list.body), p.secret) || strings.Contains(string(list.body), opaque.Hash(p.secret)) {
			t.Errorf("list = %s", list.body)
		}
		rest := a.do("GET", "/v1/admin/clients?after="+robot.id, nil, admin).want(t, 200, "")
		if !strings.Contains(string(rest.body), p.id) || strings.Contains(string(rest.body), robot.id) {
			t.Errorf("the list after %s = %s", robot.id, rest.body)
		}
		for _, query := range []string{"after=" + robot.id + ";", "after=%zz", "afer=" + robot.id} {
			a.do("GET", "/v1/admin/clients?"+query, nil, admin).want(t, 422, "invalid-fields")
			a.do("GET", "/v1/admin/clients?"+query, nil).want(t, 401, "no-credentials")
		}
		path := "/v1/admin/clients/" + p.id
		second := program{p.id, a.do("POST", path+"/secret", object{"overlap": 60}, admin).want(t, 200, "").text(t, "client_secret")}
		a.token(p, "")
		a.token(second, "")
		a.do("GET", "/v1/forward-auth", nil, token).want(t, 204, "")
		a.step(time.Minute)
		a.post("/oauth/token", "grant_type=client_credentials", p.basic()).wantError(t, 401, "invalid_client")
		token = a.token(second, "")
		third := program{p.id, a.do("POST", path+"/secret", nil, admin).want(t, 200, "").text(t, "client_secret")}
		a.post("/oauth/token", "grant_type=client_credentials", second.basic()).wantError(t, 401, "invalid_client")
		a.do("GET", "/v1/forward-auth", nil, token).want(t, 401, "invalid-token")
		token = a.token(third, "") // dated forward, in the same second
		a.do("GET", "/v1/forward-auth", nil, token).want(t, 204, "")
		a.do("DELETE", path, nil, admin).want(t, 204, "")
		a.do("GET", "/v1/forward-auth", nil, token).want(t, 401, "invalid-token")
		a.post("/oauth/token", "grant_type=client_credentials", third.basic()).wantError(t, 401, "invalid_client")
		a.do("DELETE", path, nil, admin).want(t, 404, "not-found")
		a.do("POST", path+"/secret", nil, admin).want(t, 404, "not-found")
		for _, body := range []object{{}, {"name": ""}, {"name": "x", "scopes": []string{"A"}}, {"name": "x", "audiences": []string{"orders"}}, {"name": "x", "audiences": []string{"https://a.example.com/#x"}}} {
			a.do("POST", "/v1/admin/clients", body, admin).want(t, 422, "invalid-fields")
			a.do("POST", "/v1/admin/clients", body, nobody).want(t, 422, "invalid-fields") // before the scope is looked at
		}
		a.do("POST", path+"/secret", object{"overlap": -1}, admin).want(t, 422, "invalid-fields")
		// A replica that has not heard of it yet asks the database.
		a.must(a.db.Clients().Delete(t.Context(), client.ID(robot.id)))
		a.do("GET", "/v1/admin/clients", nil, admin).want(t, 401, "invalid-token")
	})
}

func TestMetadataTellsWhatIsThere(t *testing.T) {
	a := newAPI(t)
	got := a.do("GET", "/.well-known/oauth-authorization-server", nil).want(t, 200, "")
	for name, want := range map[string]string{
		"issuer": issuer, "token_endpoint": issuer + "/oauth/token", "revocation_endpoint": issuer + "/oauth/revoke",
		"introspection_endpoint": issuer + "/oauth/introspect", "grant_types_supported": "[client_credentials]",
		"token_endpoint_auth_methods_supported": "[client_secret_basic client_secret_post]", "response_types_supported": "[]",
	} {
		if v := fmt.Sprint(got.at(t, name)); v != want {
			t.Errorf("%s = %s, want %s", name, v, want)
		}
	}
}

// A token that was issued while its client was deleted is dead all the same.
func TestDeletedClientKeepsNoToken(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		p := a.program([]string{"a"})
		issued := make(chan string, 64)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				a := *a
				for range 8 {
					got := a.post("/oauth/token", "grant_type=client_credentials", p.basic())
					if got.StatusCode == 200 {
						issued <- got.bearer(t)
					}
				}
			})
		}
		a.must(a.oauth.Delete(t.Context(), oauth.Actor{}, client.ID(p.id), &flow.Visit{}))
		wg.Wait()
		close(issued)
		for token := range issued {
			a.do("GET", "/v1/forward-auth", nil, token).want(t, 401, "invalid-token")
		}
		a.post("/oauth/token", "grant_type=client_credentials", p.basic()).wantError(t, 401, "invalid_client")
	})
}
