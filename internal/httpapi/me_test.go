package httpapi_test

import (
	"testing"
	"time"
)

func TestMe(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		a.T = t
		registered := a.register("ada")
		a.step(time.Minute)
		login := a.login("ada", "bearer")
		me := a.do("GET", "/v1/me", nil, login.bearer(t)).want(t, 200, "")
		if me.text(t, "user.id") != registered.text(t, "id") || me.text(t, "session.id") != login.text(t, "session.id") {
			t.Errorf("me = %s", me.body)
		}
		if me.text(t, "user.created_at") != registered.text(t, "created_at") {
			t.Errorf("created_at = %s, was %s", me.text(t, "user.created_at"), registered.text(t, "created_at"))
		}
		head := a.do("HEAD", "/v1/me", nil, login.bearer(t)).want(t, 200, "")
		if len(head.body) != 0 || head.ContentLength != int64(len(me.body)) {
			t.Errorf("HEAD: %d bytes, Content-Length %d, want 0 and %d", len(head.body), head.ContentLength, len(me.body))
		}
	})
}

func TestChangeIdentity(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		a.T = t
		a.register("ada")
		a.register("bob")
		token := a.login("ada", "bearer").bearer(t)
		tests := []struct {
			name   string
			body   object
			status int
			code   string
		}{
			{"no password", object{"username": "eve"}, 422, "invalid-fields"},
			{"wrong password", object{"username": "eve", "current_password": otherPass}, 403, "reauthentication-failed"},
			{"taken", object{"username": "BOB", "current_password": goodPass}, 409, "identity-taken"},
			{"taken email", object{"email": "bob@example.com", "current_password": goodPass}, 409, "identity-taken"},
			{"bad", object{"username": "e", "current_password": goodPass}, 422, "invalid-fields"},
			{"empty is not null", object{"username": "", "current_password": goodPass}, 422, "invalid-fields"},
			{"nothing left", object{"username": nil, "email": nil, "current_password": goodPass}, 422, "invalid-fields"},
			{"nothing left, and a wrong password", object{"username": nil, "email": nil, "current_password": otherPass}, 422, "invalid-fields"},
			{"roles", object{"roles": []string{"admin"}, "current_password": goodPass}, 400, "malformed-json"},
			{"verified", object{"email_verified": true, "current_password": goodPass}, 400, "malformed-json"},
			{"nothing to change", object{"current_password": goodPass}, 200, ""},
			{"new username", object{"username": "Countess", "current_password": goodPass}, 200, ""},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				a := *a
				a.T = t
				a.do("PATCH", "/v1/me", tt.body, token).want(t, tt.status, tt.code)
			})
		}
		got := a.do("PATCH", "/v1/me", object{"email": nil, "current_password": goodPass}, token).want(t, 200, "")
		if got.at(t, "email") != nil || got.text(t, "username") != "countess" {
			t.Errorf("user = %s", got.body)
		}
		a.do("POST", "/v1/login", object{"identifier": "ada@example.com", "password": goodPass}).want(t, 401, "bad-credentials")
		a.login("countess", "bearer")
		a.register("ada") // the names are free again
	})
}

func TestChangePassword(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		a.T = t
		a.register("ada")
		this, other, cookie := a.login("ada", "bearer"), a.login("ada", "bearer"), a.login("ada", "cookie")
		change := func(current, next string) answer {
			return a.do("POST", "/v1/me/password", object{"current_password": current, "new_password": next}, this.bearer(t))
		}
		change("wrong", otherPass).want(t, 403, "reauthentication-failed")
		weak := change(goodPass, "short").want(t, 422, "weak-password")
		if p := weak.at(t, "errors").([]any)[0].(object)["pointer"]; p != "/new_password" {
			t.Errorf("pointer = %v, want /new_password", p)
		}
		change(goodPass, otherPass).want(t, 204, "")
		wantAlive(t, a, this.bearer(t), true)
		wantAlive(t, a, other.bearer(t), false)
		wantAlive(t, a, cookie.cookies(), false)
		a.refresh(this.text(t, "refresh_token")).want(t, 200, "")
		a.refresh(other.text(t, "refresh_token")).want(t, 401, "invalid-refresh-token")
		a.do("POST", "/v1/login", object{"identifier": "ada", "password": goodPass}).want(t, 401, "bad-credentials")
		a.do("POST", "/v1/login", object{"identifier": "ada", "password": otherPass}).want(t, 200, "")
	})
}

func TestCloseUser(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		a.T = t
		id := a.register("ada").text(t, "id")
		bearer, cookie := a.login("ada", "bearer"), a.login("ada", "cookie")
		a.do("DELETE", "/v1/me", object{"current_password": "wrong"}, bearer.bearer(t)).want(t, 403, "reauthentication-failed")
		a.do("DELETE", "/v1/me", nil, bearer.bearer(t)).want(t, 400, "malformed-json")
		gone := a.do("DELETE", "/v1/me", object{"current_password": goodPass}, cookie.cookies(), sameOrigin).want(t, 204, "")
		if len(gone.Cookies()) != 2 {
			t.Errorf("cookies = %v, want both cleared", gone.Cookies())
		}
		wantAlive(t, a, bearer.bearer(t), false)
		wantAlive(t, a, cookie.cookies(), false)
		a.refresh(bearer.text(t, "refresh_token")).want(t, 401, "invalid-refresh-token")
		a.do("POST", "/v1/login", object{"identifier": "ada", "password": goodPass}).want(t, 401, "bad-credentials")
		if again := a.register("ada").text(t, "id"); again == id {
			t.Error("the id is used again")
		}
		wantAlive(t, a, bearer.bearer(t), false)
	})
}

func TestSessions(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		a.T = t
		a.register("ada")
		a.register("bob")
		old := a.login("ada", "bearer")
		a.step(time.Second)
		this := a.login("ada", "bearer")
		bob := a.login("bob", "bearer")
		list := a.do("GET", "/v1/sessions", nil, this.bearer(t)).want(t, 200, "").at(t, "sessions").([]any)
		if len(list) != 2 || list[0].(object)["id"] != this.text(t, "session.id") || list[0].(object)["current"] != true || list[1].(object)["current"] != false {
			t.Errorf("sessions = %v", list)
		}
		end := func(id string) answer { return a.do("DELETE", "/v1/sessions/"+id, nil, this.bearer(t)) }
		end(bob.text(t, "session.id")).want(t, 404, "not-found")
		wantAlive(t, a, bob.bearer(t), true)
		end("unknown").want(t, 404, "not-found")
		end(old.text(t, "session.id")).want(t, 204, "")
		end(old.text(t, "session.id")).want(t, 404, "not-found")
		wantAlive(t, a, old.bearer(t), false)
		wantAlive(t, a, this.bearer(t), true)

		other := a.login("ada", "bearer")
		for _, query := range []string{
			"except=curent", "exept=current", "except=", "except", "except=current;", "except=curr%ent", "except=current;x=1", "except=current&x=1",
			"except=current&except=current", "%", "&",
		} {
			a.do("DELETE", "/v1/sessions?"+query, nil, this.bearer(t)).want(t, 422, "invalid-fields")
			wantAlive(t, a, other.bearer(t), true)
			wantAlive(t, a, this.bearer(t), true)
		}
		a.do("DELETE", "/v1/sessions?except=current", nil, this.bearer(t)).want(t, 204, "")
		wantAlive(t, a, other.bearer(t), false)
		wantAlive(t, a, this.bearer(t), true)
		a.do("DELETE", "/v1/sessions", nil, this.bearer(t)).want(t, 204, "")
		wantAlive(t, a, this.bearer(t), false)
		wantAlive(t, a, bob.bearer(t), true)
	})
}

func TestForwardAuth(t *testing.T) {
	a := newAPI(t)
	id := a.register("ada").text(t, "id")
	a.must(a.gate.SetRoles(t.Context(), userID(id), []role{"admin", "auditor"}))
	login := a.login("ada", "bearer")
	got := a.do("GET", "/v1/forward-auth", nil, login.bearer(t)).want(t, 204, "")
	for name, want := range map[string]string{
		"X-Auth-User-Id": id, "X-Auth-Session-Id": login.text(t, "session.id"), "X-Auth-Roles": "admin,auditor", "X-Auth-Scope": "",
	} {
		if got.Header.Get(name) != want || len(got.Header.Values(name)) != 1 {
			t.Errorf("%s = %q, want %q", name, got.Header.Values(name), want)
		}
	}
	refused := a.do("GET", "/v1/forward-auth?scope=reports:read", nil, login.bearer(t)).want(t, 403, "insufficient-scope")
	if h := refused.Header.Get("WWW-Authenticate"); h != `Bearer realm="jotgate", error="insufficient_scope", scope="reports:read"` {
		t.Errorf("WWW-Authenticate = %q", h)
	}
	cookies := a.login("ada", "cookie").cookies()
	a.do("GET", "/v1/forward-auth", nil, cookies).want(t, 204, "")
}

// TestForwardAuthReadsItsDemand holds that a demand which cannot be read lets nobody in.
func TestForwardAuthReadsItsDemand(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	key, _ := a.key(a.login("ada", "bearer").bearer(t), object{"name": "backup", "scopes": []string{"a", "b"}})
	for query, status := range map[string]int{
		"": 204, "?": 204, "?scope=a": 204, "?scope=a+b": 204, "?scope=a%20b": 204, "?scope=a&scope=b": 204, "?scope=a&": 204,
		"?scope=": 204, "?scope": 204, "?scope=+": 204, "?scope=a&scope=": 204, "?&": 204, "?page=2": 204, "?page=2&scope=a": 204,
		"?scope=c": 403, "?page=2&scope=c": 403, "?scope=a+c": 403, "?scope=a&scope=c": 403,
		"?scope=c;": 422, "?scope=a;scope=c": 422, "?scope=a;b": 422, "?scope=100%": 422, "?sc%ope=c": 422, "?scope=a&scope=c;": 422,
		"?scope=Nope%22": 422, "?scope=%ff": 422,
	} {
		code := map[int]string{403: "insufficient-scope", 422: "invalid-fields"}[status]
		for _, method := range []string{"GET", "HEAD"} {
			got := a.do(method, "/v1/forward-auth"+query, nil, key)
			if method == "GET" && status == 422 && got.StatusCode == 422 && got.at(t, "errors").([]any)[0].(object)["pointer"] != "" {
				t.Errorf("%s: errors = %v, want no pointer into a body", query, got.at(t, "errors"))
			}
			if got.StatusCode != status || method == "GET" && status > 204 && got.text(t, "code") != code {
				t.Errorf("%s %q = %d %s, want %d %s", method, query, got.StatusCode, got.body, status, code)
			}
		}
	}
}

// The proxy asks with GET; the method that counts is the one it names.
func TestForwardAuthByTheMethodThatTheProxyNames(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	cookies, bearer := a.login("ada", "cookie").cookies(), a.login("ada", "bearer").bearer(t)
	for name, tt := range map[string]struct {
		headers []string
		status  int
	}{
		"reads":                         {[]string{"X-Forwarded-Method: GET"}, 204},
		"reads, HEAD":                   {[]string{"X-Forwarded-Method: HEAD"}, 204},
		"writes silently":               {[]string{"X-Forwarded-Method: POST"}, 403},
		"writes silently, nginx's name": {[]string{"X-Original-Method: POST"}, 403},
		"writes from here":              {[]string{"X-Forwarded-Method: POST", sameOrigin}, 204},
		"writes from its own origin":    {[]string{"X-Original-Method: DELETE", "Origin: " + issuer}, 204},
		"writes from elsewhere":         {[]string{"X-Forwarded-Method: POST", "Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, 403},
		"writes from a sibling":         {[]string{"X-Forwarded-Method: PUT", "Sec-Fetch-Site: same-site"}, 403},
		"forged beside":                 {[]string{"X-Forwarded-Method: GET", "X-Forwarded-Method: POST"}, 403},
		"forged under the other name":   {[]string{"X-Original-Method: GET", "X-Forwarded-Method: POST"}, 403},
		"a list":                        {[]string{"X-Forwarded-Method: GET, POST"}, 403},
		"in another case":               {[]string{"X-Forwarded-Method: get"}, 403},
		"empty":                         {[]string{"X-Forwarded-Method: "}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			code := map[int]string{204: "", 403: "csrf-rejected"}[tt.status]
			a.do("GET", "/v1/forward-auth", nil, append([]string{cookies}, tt.headers...)...).want(t, tt.status, code)
			a.do("GET", "/v1/forward-auth", nil, append([]string{bearer}, tt.headers...)...).want(t, 204, "")
		})
	}
}

// A proxy drops Upgrade where it asks, and passes the other headers of a handshake on.
func TestForwardAuthForWebSockets(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	cookies, bearer := a.login("ada", "cookie").cookies(), a.login("ada", "bearer").bearer(t)
	for name, handshake := range map[string][]string{
		"whole":               {"Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: x", "X-Forwarded-Method: GET"},
		"without Upgrade":     {"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: x", "X-Forwarded-Method: GET"},
		"without a method":    {"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: x"},
		"over HTTP/2":         {"Sec-WebSocket-Version: 13", "X-Forwarded-Method: CONNECT"},
		"under another proxy": {"Upgrade: websocket", "X-Original-Method: GET"},
	} {
		t.Run(name, func(t *testing.T) {
			ask := func(headers ...string) answer {
				return a.do("GET", "/v1/forward-auth", nil, append(handshake, headers...)...)
			}
			ask(cookies).want(t, 403, "csrf-rejected")
			ask(cookies, "Origin: https://sibling.example.com", "Sec-Fetch-Site: same-site").want(t, 403, "csrf-rejected")
			ask(cookies, "Origin: "+issuer).want(t, 204, "")
			ask(cookies, sameOrigin).want(t, 204, "")
			ask(bearer, "Origin: https://sibling.example.com").want(t, 204, "")
		})
	}
}

func TestRolesTakenAwayAreGoneAtOnce(t *testing.T) {
	a := newAPI(t)
	id := a.register("ada").text(t, "id")
	a.must(a.gate.SetRoles(t.Context(), userID(id), []role{"admin"}))
	login := a.login("ada", "bearer")
	a.must(a.gate.SetRoles(t.Context(), userID(id), nil))
	a.do("GET", "/v1/forward-auth", nil, login.bearer(t)).want(t, 401, "invalid-token")
	fresh := a.refresh(login.text(t, "refresh_token")).want(t, 200, "")
	if got := a.do("GET", "/v1/forward-auth", nil, fresh.bearer(t)).want(t, 204, ""); got.Header.Get("X-Auth-Roles") != "" {
		t.Errorf("X-Auth-Roles = %q", got.Header.Get("X-Auth-Roles"))
	}
}
