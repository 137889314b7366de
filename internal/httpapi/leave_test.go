package httpapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/pkg/bearer"
)

func TestLogout(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		a.T = t
		a.register("ada")
		tests := []struct {
			name string
			ask  func(t *testing.T, b, c answer) answer
			ends string // b, c, or neither
			code int
			why  string
		}{
			{"by access token", func(t *testing.T, b, _ answer) answer { return a.do("POST", "/v1/logout", nil, b.bearer(t)) }, "b", 204, ""},
			{"by refresh token", func(t *testing.T, b, _ answer) answer {
				return a.do("POST", "/v1/logout", object{"refresh_token": b.text(t, "refresh_token")})
			}, "b", 204, ""},
			{"by cookies", func(_ *testing.T, _, c answer) answer {
				return a.do("POST", "/v1/logout", nil, c.cookies(), sameOrigin)
			}, "c", 204, ""},
			{"header before cookies", func(t *testing.T, b, c answer) answer {
				return a.do("POST", "/v1/logout", nil, b.bearer(t), c.cookies())
			}, "b", 204, ""},
			{"body before cookies", func(t *testing.T, b, c answer) answer {
				return a.do("POST", "/v1/logout", object{"refresh_token": b.text(t, "refresh_token")}, c.cookies())
			}, "b", 204, ""},
			{"body before cookies that are there twice", func(t *testing.T, b, c answer) answer {
				return a.do("POST", "/v1/logout", object{"refresh_token": b.text(t, "refresh_token")}, c.cookies(), c.cookies())
			}, "b", 204, ""},
			{"cookies that are there twice", func(_ *testing.T, _, c answer) answer {
				return a.do("POST", "/v1/logout", nil, c.cookies(), c.cookies(), sameOrigin)
			}, "", 400, "invalid-request"},
			{"two headers, token in the body", func(t *testing.T, b, _ answer) answer {
				return a.do("POST", "/v1/logout", object{"refresh_token": b.text(t, "refresh_token")}, b.bearer(t), b.bearer(t))
			}, "", 400, "invalid-request"},
			{"garbage in the header, token in the body", func(t *testing.T, b, _ answer) answer {
				return a.do("POST", "/v1/logout", object{"refresh_token": b.text(t, "refresh_token")}, "Authorization: Bearer garbage")
			}, "b", 204, ""},
			{"garbage in the header hides cookies", func(_ *testing.T, _, c answer) answer {
				return a.do("POST", "/v1/logout", nil, "Authorization: Bearer garbage", c.cookies(), sameOrigin)
			}, "", 401, "invalid-token"},
			{"garbage in the body", func(*testing.T, answer, answer) answer {
				return a.do("POST", "/v1/logout", object{"refresh_token": "garbage"})
			}, "", 401, "invalid-token"},
			{"nothing", func(*testing.T, answer, answer) answer { return a.do("POST", "/v1/logout", nil) }, "", 401, "no-credentials"},
			{"cookie session's refresh token in the body", func(_ *testing.T, _, c answer) answer {
				return a.do("POST", "/v1/logout", object{"refresh_token": c.Cookies()[1].Value})
			}, "", 401, "invalid-token"},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				b, c := a.login("ada", "bearer"), a.login("ada", "cookie")
				tt.ask(t, b, c).want(t, tt.code, tt.why)
				wantAlive(t, a, b.bearer(t), tt.ends != "b")
				wantAlive(t, a, c.cookies(), tt.ends != "c")
			})
		}
	})
}

// TestLogoutByTokenDatedAhead holds that an access token which was issued while a clock was
// ahead ends its session as any other one does.
func TestLogoutByTokenDatedAhead(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		a.T = t
		a.register("ada")
		p := a.program([]string{"a"})
		a.step(time.Hour)
		b, c, kept, program := a.login("ada", "bearer"), a.login("ada", "cookie"), a.login("ada", "bearer"), a.token(p, "")
		a.step(-time.Hour)
		cookie := "Cookie: " + bearer.CookieName + "=" + c.Cookies()[0].Value
		a.do("POST", "/v1/logout", nil, b.bearer(t)).want(t, 204, "")
		a.do("POST", "/v1/logout", nil, cookie, sameOrigin).want(t, 204, "")
		a.do("POST", "/v1/logout", nil, program).want(t, 401, "invalid-token")
		a.do("POST", "/v1/logout", nil, "Authorization: Bearer "+c.Cookies()[0].Value).want(t, 401, "invalid-token")
		a.step(time.Hour)
		wantAlive(t, a, b.bearer(t), false)
		wantAlive(t, a, cookie, false)
		wantAlive(t, a, kept.bearer(t), true)
	})
}

func wantAlive(t *testing.T, a *api, credential string, alive bool) {
	t.Helper()
	for _, path := range []string{"/v1/me", "/v1/forward-auth"} {
		if got := a.do("GET", path, nil, credential); (got.StatusCode < 300) != alive {
			t.Errorf("GET %s = %d, want alive %t", path, got.StatusCode, alive)
		}
	}
}

func TestLogoutIsIdempotent(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	b, c := a.login("ada", "bearer"), a.login("ada", "cookie")
	for range 2 {
		a.do("POST", "/v1/logout", nil, b.bearer(t)).want(t, 204, "")
		a.do("POST", "/v1/logout", object{"refresh_token": b.text(t, "refresh_token")}).want(t, 204, "")
		got := a.do("POST", "/v1/logout", nil, c.cookies(), sameOrigin).want(t, 204, "")
		if len(got.Cookies()) != 2 || got.Cookies()[0].MaxAge >= 0 || got.Cookies()[1].MaxAge >= 0 {
			t.Errorf("cookies = %v, want both cleared", got.Cookies())
		}
	}
	a.do("GET", "/v1/logout", nil, b.bearer(t)).want(t, 405, "method-not-allowed")
}

// TestLogoutByWhatIsValid: the access token of a session that has ended does not keep the
// refresh token beside it from ending its own.
func TestLogoutByWhatIsValid(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	ended, living := a.login("ada", "bearer"), a.login("ada", "bearer")
	a.do("POST", "/v1/logout", nil, ended.bearer(t)).want(t, 204, "")
	a.do("POST", "/v1/logout", object{"refresh_token": living.text(t, "refresh_token")}, ended.bearer(t)).want(t, 204, "")
	a.do("GET", "/v1/me", nil, living.bearer(t)).want(t, 401, "invalid-token")

	gone, here := a.login("ada", "cookie"), a.login("ada", "cookie")
	a.do("POST", "/v1/logout", nil, gone.cookies(), sameOrigin).want(t, 204, "")
	mixed := "Cookie: " + bearer.CookieName + "=" + gone.Cookies()[0].Value + "; " + here.Cookies()[1].Name + "=" + here.Cookies()[1].Value
	a.do("POST", "/v1/logout", nil, mixed, sameOrigin).want(t, 204, "")
	a.do("POST", "/v1/refresh", nil, here.cookies(), sameOrigin).want(t, 401, "invalid-refresh-token")

	a.do("POST", "/v1/logout", object{"refresh_token": "garbage"}, ended.bearer(t)).want(t, 204, "") // it is known whose that was
}

// TestLogoutAfterTheEnd of a session by time, for as long as its access token is accepted.
func TestLogoutAfterTheEnd(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	login := a.login("ada", "bearer")
	a.step(30*24*time.Hour + 29*time.Second)
	a.do("POST", "/v1/logout", object{"refresh_token": login.text(t, "refresh_token")}).want(t, 204, "")
	a.sync()
	if feed := a.do("GET", "/v1/revocations", nil).want(t, 200, ""); !strings.Contains(string(feed.body), login.text(t, "session.id")) {
		t.Errorf("the feed does not tell: %s", feed.body)
	}
}

func TestLogoutWithAnExpiredAccessCookie(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	c := a.login("ada", "cookie")
	a.step(accessTTL + time.Minute)
	a.do("POST", "/v1/logout", nil, c.cookies(), sameOrigin).want(t, 204, "")
	a.do("POST", "/v1/refresh", nil, c.cookies(), sameOrigin).want(t, 401, "invalid-refresh-token")

	c = a.login("ada", "cookie")
	a.do("POST", "/v1/logout", nil, "Cookie: "+bearer.CookieName+"="+c.Cookies()[0].Value, sameOrigin).want(t, 204, "")
	a.do("POST", "/v1/refresh", nil, c.cookies(), sameOrigin).want(t, 401, "invalid-refresh-token")
}

func TestLogoutByASpentRefreshToken(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	spent := a.login("ada", "bearer").text(t, "refresh_token")
	current := a.refresh(spent).want(t, 200, "").text(t, "refresh_token")
	a.do("POST", "/v1/logout", object{"refresh_token": spent}).want(t, 204, "")
	a.refresh(current).want(t, 401, "invalid-refresh-token")
}
