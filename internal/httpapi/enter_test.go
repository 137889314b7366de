package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/password"
	"github.com/jotgate/jotgate/pkg/bearer"
)

func TestRegister(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		a.T = t
		a.register("ada")
		tests := []struct {
			name   string
			body   any
			status int
			code   string
			field  string // pointer and code of the first of errors
		}{
			{"username only", object{"username": "bob", "password": goodPass}, 201, "", ""},
			{"email only", object{"email": "Carl@Example.com", "password": goodPass}, 201, "", ""},
			{"null is absent", object{"username": "dora", "email": nil, "password": goodPass}, 201, "", ""},
			{"neither", object{"password": goodPass}, 422, "invalid-fields", "/username required"},
			{"no password", object{"username": "eve"}, 422, "invalid-fields", "/password required"},
			{"empty username", object{"username": "", "email": "e@example.com", "password": goodPass}, 422, "invalid-fields", "/username invalid"},
			{"bad username", object{"username": "e e", "password": goodPass}, 422, "invalid-fields", "/username invalid"},
			{"username in another script", object{"username": "аdа", "password": goodPass}, 422, "invalid-fields", "/username invalid"},
			{"bad email", object{"email": "eve@@example.com", "password": goodPass}, 422, "invalid-fields", "/email invalid"},
			{"taken", object{"username": "ADA", "password": goodPass}, 409, "identity-taken", ""},
			{"taken email", object{"email": "Ada@example.com", "password": goodPass}, 409, "identity-taken", ""},
			{"short", object{"username": "eve", "password": "fourteen chars"}, 422, "weak-password", "/password too-short"},
			{"long", object{"username": "eve", "password": strings.Repeat("a", 257)}, 422, "weak-password", "/password too-long"},
			{"very long", object{"username": "eve", "password": strings.Repeat("a", 9000)}, 422, "weak-password", "/password too-long"},
			{"common", object{"username": "eve", "password": "1234567890qwertyuiop"}, 422, "weak-password", "/password common"},
			{"identity", object{"username": "longenoughname.1", "password": "LongEnoughName.1"}, 422, "weak-password", "/password contains-identity"},
			{"control character", object{"username": "eve", "password": "correct horse\u0007battery"}, 422, "invalid-fields", "/password invalid-characters"},
			{"two mistakes", object{"username": "e", "password": "short"}, 422, "invalid-fields", "/username invalid"},
			{"unknown member", object{"username": "eve", "password": goodPass, "roles": []string{"admin"}}, 400, "malformed-json", "/roles unknown"},
			{"array for a string", object{"username": []string{"eve"}, "password": goodPass}, 400, "malformed-json", "/username wrong-type"},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				a := *a
				a.T = t
				got := a.do("POST", "/v1/users", tt.body).want(t, tt.status, tt.code)
				if tt.field == "" {
					return
				}
				first, ok := got.at(t, "errors").([]any)[0].(object)
				if !ok || first["pointer"].(string)+" "+first["code"].(string) != tt.field {
					t.Errorf("errors = %v, want %s first", got.at(t, "errors"), tt.field)
				}
			})
		}
	})
}

func TestRegisterAnswersTheUser(t *testing.T) {
	a := newAPI(t)
	got := a.register("Ada")
	if want := "/v1/users/" + got.text(t, "id"); got.Header.Get("Location") != want {
		t.Errorf("Location = %q, want %q", got.Header.Get("Location"), want)
	}
	for path, want := range map[string]string{"username": "ada", "email": "ada@example.com"} {
		if got.text(t, path) != want {
			t.Errorf("%s = %q, want %q", path, got.text(t, path), want)
		}
	}
	if got.at(t, "email_verified") != false || len(got.at(t, "roles").([]any)) != 0 {
		t.Errorf("user = %s", got.body)
	}
}

func TestRegistrationClosed(t *testing.T) {
	a := newAPI(t, func(o *options) { o.closed = true })
	a.do("POST", "/v1/users", object{"username": "ada", "password": goodPass}).want(t, 403, "registration-closed")
	// Fields come before state.
	a.do("POST", "/v1/users", object{"username": "x", "password": goodPass}).want(t, 422, "invalid-fields")
	a.do("POST", "/v1/users", object{"username": "ada", "password": "password"}).want(t, 422, "weak-password")
}

func TestLogin(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		a.T = t
		a.register("ada")
		tests := []struct {
			name   string
			body   object
			status int
			code   string
		}{
			{"by username", object{"identifier": "ada", "password": goodPass}, 200, ""},
			{"by email", object{"identifier": "ada@example.com", "password": goodPass}, 200, ""},
			{"in another case", object{"identifier": "ADA@Example.COM", "password": goodPass}, 200, ""},
			{"with a device", object{"identifier": "ada", "password": goodPass, "device": "Ada's phone"}, 200, ""},
			{"wrong password", object{"identifier": "ada", "password": goodPass + " "}, 401, "bad-credentials"},
			{"unknown user", object{"identifier": "bob", "password": goodPass}, 401, "bad-credentials"},
			{"no identifier at all", object{"identifier": "¯\\_(ツ)_/¯", "password": goodPass}, 401, "bad-credentials"},
			{"missing password", object{"identifier": "ada"}, 422, "invalid-fields"},
			{"unknown mode", object{"identifier": "ada", "password": goodPass, "mode": "Cookie"}, 422, "invalid-fields"},
			{"empty mode", object{"identifier": "ada", "password": goodPass, "mode": ""}, 422, "invalid-fields"},
			{"device with a no-break space", object{"identifier": "ada", "password": goodPass, "device": "MacBook\u00a0Pro de Léa"}, 200, ""},
			{"device with joined emoji", object{"identifier": "ada", "password": goodPass, "device": "\U0001f468\u200d\U0001f4bb"}, 200, ""},
			{"device without a name", object{"identifier": "ada", "password": goodPass, "device": " "}, 200, ""},
			{"device that nobody sees", object{"identifier": "ada", "password": goodPass, "device": "\u200b"}, 422, "invalid-fields"},
			{"device that turns the line", object{"identifier": "ada", "password": goodPass, "device": "a\u202eb"}, 422, "invalid-fields"},
			{"long device", object{"identifier": "ada", "password": goodPass, "device": strings.Repeat("x", 129)}, 422, "invalid-fields"},
			{"device with an escape", object{"identifier": "ada", "password": goodPass, "device": "\u001b[2J"}, 422, "invalid-fields"},
			{"long password", object{"identifier": "ada", "password": strings.Repeat("x", 257)}, 422, "invalid-fields"},
			{"number for a string", object{"identifier": 1, "password": goodPass}, 400, "malformed-json"},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				a := *a
				a.T = t
				a.do("POST", "/v1/login", tt.body).want(t, tt.status, tt.code)
			})
		}
	})
}

func TestRefusedLoginsLookAlike(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	id := a.register("off").text(t, "id")
	a.must(a.gate.Disable(t.Context(), userID(id)))
	var bodies []string
	for _, body := range []object{
		{"identifier": "ada", "password": "wrong"},
		{"identifier": "nobody", "password": "wrong"},
		{"identifier": "off", "password": goodPass},
		{"identifier": "off", "password": "wrong"},
	} {
		got := a.do("POST", "/v1/login", body, "X-Request-Id: same").want(t, 401, "bad-credentials")
		bodies = append(bodies, string(got.body))
	}
	for _, b := range bodies {
		if b != bodies[0] {
			t.Errorf("answers differ: %s and %s", bodies[0], b)
		}
	}
}

func TestBearerLogin(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	got := a.login("ada", "bearer")
	if got.text(t, "token_type") != "Bearer" || got.at(t, "expires_in") != 600.0 || got.at(t, "refresh_expires_in") != 2592000.0 {
		t.Errorf("answer = %s", got.body)
	}
	if len(got.Cookies()) != 0 {
		t.Errorf("cookies = %v, want none", got.Cookies())
	}
	if got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control = %q", got.Header.Get("Cache-Control"))
	}
	if got.at(t, "session.current") != true || got.at(t, "session.device") != nil {
		t.Errorf("session = %v", got.at(t, "session"))
	}
}

func TestCookieLogin(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	got := a.login("ada", "cookie")
	for _, member := range []string{"token_type", "access_token", "refresh_token"} {
		if _, there := got.json(t)[member]; there {
			t.Errorf("%s is in the body of a cookie login", member)
		}
	}
	want := map[string]int{bearer.CookieName: 600, "__Host-Http-jotgate-refresh": 2592000}
	cookies := got.Cookies()
	if len(cookies) != len(want) {
		t.Fatalf("cookies = %v", cookies)
	}
	for _, c := range cookies {
		if c.MaxAge != want[c.Name] || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteStrictMode {
			t.Errorf("cookie = %v", c)
		}
		if len(c.Name)+len(c.Value) > 4096 {
			t.Errorf("%s is %d bytes", c.Name, len(c.Value))
		}
	}
}

func TestLoginIntoCookiesNeedsAnOrigin(t *testing.T) {
	a := newAPI(t, func(o *options) { o.trusted = []string{"https://app.example.com"} })
	a.register("ada")
	body := object{"identifier": "ada", "password": goodPass, "mode": "cookie"}
	for _, tt := range originCases() {
		t.Run(tt.name, func(t *testing.T) {
			a := *a
			a.T = t
			got := a.do("POST", "/v1/login", body, tt.headers...)
			if tt.ok {
				got.want(t, 200, "")
				return
			}
			if len(got.want(t, 403, "csrf-rejected").Cookies()) != 0 {
				t.Error("a refused login sets cookies")
			}
		})
	}
	a.do("POST", "/v1/login", object{"identifier": "ada", "password": goodPass}, "Sec-Fetch-Site: cross-site").want(t, 200, "")
}

func TestRateLimits(t *testing.T) {
	a := newAPI(t, func(o *options) {
		o.limits = func(l *gate.Limits) {
			l.Login = limiter(t, "login", 3, time.Minute)
			l.Registration = limiter(t, "registration", 2, time.Hour)
		}
	})
	a.register("ada")
	a.register("bob")
	a.do("POST", "/v1/users", object{"username": "carl", "password": goodPass}).want(t, 429, "rate-limited")
	wrong := object{"identifier": "ada", "password": "wrong"}
	for range 3 {
		got := a.do("POST", "/v1/login", wrong).want(t, 401, "bad-credentials")
		if got.Header.Get("RateLimit") == "" || got.Header.Get("RateLimit-Policy") != `"login";q=3;w=60` {
			t.Errorf("RateLimit = %q, RateLimit-Policy = %q", got.Header.Get("RateLimit"), got.Header.Get("RateLimit-Policy"))
		}
	}
	got := a.do("POST", "/v1/login", wrong).want(t, 429, "rate-limited")
	if got.Header.Get("Retry-After") != "20" {
		t.Errorf("Retry-After = %q, want 20", got.Header.Get("Retry-After"))
	}
}

func TestWrongPasswordsAreLimitedPerUser(t *testing.T) {
	a := newAPI(t, func(o *options) {
		o.attempts = true
		o.limits = func(l *gate.Limits) { l.Login = limiter(t, "login", 30, time.Minute) }
	})
	a.register("ada")
	names := []string{"ada", "ADA", "ada@example.com"}
	for i := range 10 {
		a.do("POST", "/v1/login", object{"identifier": names[i%3], "password": "wrong"}).want(t, 401, "bad-credentials")
	}
	got := a.do("POST", "/v1/login", object{"identifier": "ada", "password": goodPass}).want(t, 429, "rate-limited")
	if got.Header.Get("Retry-After") != "30" {
		t.Errorf("Retry-After = %q, want 30", got.Header.Get("Retry-After"))
	}
	// What is left for the address would say that it may go on.
	if h := got.Header; h.Get("RateLimit") != `"user";r=0;t=30` || h.Get("RateLimit-Policy") != `"user";q=10;w=300` {
		t.Errorf("RateLimit = %q, RateLimit-Policy = %q", h.Get("RateLimit"), h.Get("RateLimit-Policy"))
	}
	a.step(30 * time.Second)
	a.login("ada", "bearer")
	a.do("POST", "/v1/login", object{"identifier": "ada", "password": "wrong"}).want(t, 401, "bad-credentials")
}

func TestOverload(t *testing.T) {
	a := newAPI(t, func(o *options) {
		o.hashes, o.work, o.queue = password.Params{MemoryKiB: 64 << 10, Passes: 3, Lanes: 1}, 1, 1
	})
	overloaded := make(chan bool)
	for range 8 {
		go func() {
			res, err := http.Post(a.url+"/v1/login", "application/json", strings.NewReader(`{"identifier":"ada","password":"wrong"}`))
			if err != nil {
				t.Error(err)
				overloaded <- false
				return
			}
			overloaded <- res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") != ""
			_ = res.Body.Close()
		}()
	}
	n := 0
	for range 8 {
		if <-overloaded {
			n++
		}
	}
	if n == 0 {
		t.Error("no login was refused although eight came at once to one worker with a queue of one")
	}
}

// A header may hold any byte, and a column of PostgreSQL or a JSON text may not.
func TestUserAgentIsKeptAsText(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		a.register("ada")
		got := a.do("POST", "/v1/login", object{"identifier": "ada", "password": goodPass}, "User-Agent: app\xff/1").want(t, 200, "")
		if ua := got.text(t, "session.user_agent"); ua != "app\ufffd/1" {
			t.Errorf("user_agent = %q", ua)
		}
		a.do("GET", "/v1/sessions", nil, got.bearer(t)).want(t, 200, "")
	})
}
