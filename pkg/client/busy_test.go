package client_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/jotgate/jotgate/pkg/client"
)

func retryAfter(text string) http.Header { return http.Header{"Retry-After": {text}} }

func problem(code string) string {
	return `{"type":"urn:jotgate:problem:` + code + `","title":"T","detail":"D","code":"` + code + `","errors":[{"pointer":"/p","code":"c","detail":"d"}]}`
}

// TestOnlyJotgateSignsOut answers the refresh of an expired token with what is
// not a sign-out, and sees the session live on.
func TestOnlyJotgateSignsOut(t *testing.T) {
	w := newWorld(t)
	html := http.Header{"Content-Type": {"text/html"}}
	for name, f := range map[string]fault{
		"rate-limited":                      answers(http.StatusTooManyRequests, nil, problem("rate-limited")),
		"overloaded":                        answers(http.StatusServiceUnavailable, nil, problem("overloaded")),
		"unavailable":                       answers(http.StatusServiceUnavailable, nil, problem("unavailable")),
		"internal":                          answers(http.StatusInternalServerError, nil, problem("internal")),
		"a gateway that finds nobody":       answers(http.StatusBadGateway, html, "<html>"),
		"a proxy that wants a password":     answers(http.StatusUnauthorized, html, "<html>"),
		"a 401 of another service":          answers(http.StatusUnauthorized, nil, `{"type":"about:blank","code":"token-reused"}`),
		"a captive portal":                  answers(http.StatusOK, html, "<html>"),
		"an answer without tokens":          answers(http.StatusOK, nil, "{}"),
		"an answer without a refresh token": answers(http.StatusOK, nil, `{"token_type":"Bearer","access_token":"a","expires_in":600}`),
		"an answer of another type":         answers(http.StatusOK, nil, `{"token_type":"DPoP","access_token":"a","refresh_token":"r","expires_in":600}`),
		"an answer without an expiry":       answers(http.StatusOK, nil, `{"token_type":"Bearer","access_token":"a","refresh_token":"r"}`),
		"an answer that lives for ever":     answers(http.StatusOK, nil, `{"token_type":"Bearer","access_token":"a","refresh_token":"r","expires_in":9223372036854775807}`),
		"a redirect":                        answers(http.StatusTemporaryRedirect, http.Header{"Location": {"/elsewhere"}}, ""),
		"no network":                        offline,
	} {
		t.Run(name, func(t *testing.T) {
			p := newPhone(t, w, 0)
			p.sleep()
			before := p.saved(t)
			p.network.does(f)
			if _, err := p.Token(t.Context()); err == nil || errors.Is(err, client.ErrSignedOut) {
				t.Errorf("error = %v, want another than ErrSignedOut", err)
			}
			if len(p.network.seen) != 1 {
				t.Errorf("%d requests, want 1", len(p.network.seen))
			}
			if p.saved(t) != before {
				t.Error("the state has changed")
			}
			p.works(t)
		})
	}
}

func TestProblem(t *testing.T) {
	w := newWorld(t)
	p := newPhone(t, w, 0)
	_, err := p.Login(t.Context(), p.email, "not her password at all")
	if e, ok := errors.AsType[*client.ProblemError](err); !ok || e.Status != http.StatusUnauthorized || e.Code != "bad-credentials" || e.Title == "" || e.RequestID == "" || errors.Is(err, client.ErrSignedOut) {
		t.Errorf("a wrong password: %#v", err)
	}
	p.works(t)
	_, err = p.Register(t.Context(), client.Registration{Username: "ada", Password: "short"})
	if e, ok := errors.AsType[*client.ProblemError](err); !ok || e.Code != "weak-password" || len(e.Fields) != 1 || e.Fields[0].Pointer != "/password" || e.Fields[0].Code != "too-short" {
		t.Errorf("a weak password: %#v", err)
	}
}

// TestRetryAfter is honoured: nobody is asked again before.
func TestRetryAfter(t *testing.T) {
	w := newWorld(t)
	for name, tt := range map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"seconds":       {retryAfter("120"), 2 * time.Minute},
		"a date":        {http.Header{"Retry-After": {"Wed, 04 Mar 2026 05:08:07 GMT"}, "Date": {"Wed, 04 Mar 2026 05:06:07 GMT"}}, 2 * time.Minute},
		"a day":         {retryAfter("86400"), time.Hour},
		"for ever":      {retryAfter("999999999999999999"), time.Hour},
		"a past date":   {http.Header{"Retry-After": {"Wed, 04 Mar 2026 05:06:06 GMT"}, "Date": {"Wed, 04 Mar 2026 05:06:07 GMT"}}, 0},
		"a far date":    {http.Header{"Retry-After": {"Thu, 04 Mar 2027 05:06:07 GMT"}, "Date": {"Wed, 04 Mar 2026 05:06:07 GMT"}}, time.Hour},
		"negative":      {retryAfter("-5"), 0},
		"nothing known": {retryAfter("soon"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPhone(t, w, 0)
			p.sleep()
			p.network.does(answers(http.StatusServiceUnavailable, tt.header, problem("overloaded")))
			p.busy(t, tt.want, 1)
			if tt.want == 0 {
				p.works(t)
				return
			}
			w.pass(tt.want / 2)
			p.busy(t, tt.want/2, 1)
			w.pass(tt.want / 2)
			p.works(t)
		})
	}
}

// busy expects the error of a server that is busy for about wait, after so many
// requests in all.
func (p *phone) busy(t *testing.T, wait time.Duration, requests int) {
	t.Helper()
	_, err := p.Token(t.Context())
	e, ok := errors.AsType[*client.ProblemError](err)
	if !ok || e.Code != "overloaded" || e.RetryAfter > wait || e.RetryAfter < wait-5*time.Second {
		t.Errorf("error = %v, want overloaded for %s", err, wait)
	}
	if n := len(p.network.keys()); n != requests {
		t.Errorf("%d refreshes, want %d", n, requests)
	}
}

// TestTokenAtHand is used while it lives, if the refresh before its end fails.
func TestTokenAtHand(t *testing.T) {
	w := newWorld(t)
	p := newPhone(t, w, 0)
	first, err := p.Token(t.Context())
	check(t, err)
	w.pass(9*time.Minute + 35*time.Second)
	p.network.does(offline, answers(http.StatusServiceUnavailable, retryAfter("8"), problem("overloaded")))
	for _, step := range []struct {
		pass     time.Duration
		requests int
	}{{0, 1}, {time.Second, 1}, {5 * time.Second, 2}, {6 * time.Second, 2}} {
		w.pass(step.pass)
		if got, err := p.Token(t.Context()); err != nil || got != first {
			t.Errorf("token is the first one: %t, %v", got == first, err)
		}
		if n := len(p.network.keys()); n != step.requests {
			t.Errorf("%d refreshes, want %d", n, step.requests)
		}
	}
	w.pass(3 * time.Second)
	second, err := p.Token(t.Context())
	check(t, err)
	if second == first {
		t.Error("the server is well again, and the token is the old one")
	}
}

// TestLogoutForgets whatever the network does.
func TestLogoutForgets(t *testing.T) {
	w := newWorld(t)
	p := newPhone(t, w, 0)
	p.network.does(offline)
	if err := p.Logout(t.Context()); !errors.Is(err, errNetwork) || p.saved(t) != (client.State{}) {
		t.Errorf("error = %v, want that of the network, and nothing saved", err)
	}
	p.login(t)
	access, refresh := p.saved(t).AccessToken, p.saved(t).RefreshToken
	check(t, p.Logout(t.Context()))
	if got := w.Call(t, http.MethodGet, "/v1/me", access, nil, nil); got != http.StatusUnauthorized {
		t.Errorf("the access token after the logout: status %d", got)
	}
	if got := w.Call(t, http.MethodPost, "/v1/refresh", "", map[string]string{"refresh_token": refresh}, nil); got != http.StatusUnauthorized {
		t.Errorf("the refresh token after the logout: status %d", got)
	}
}

// TestOtherServer never sees the tokens of the first one.
func TestOtherServer(t *testing.T) {
	w := newWorld(t)
	p := newPhone(t, w, 0)
	before := p.saved(t)
	p.config.BaseURL = "https://auth.example.com"
	p.restart(t)
	if _, err := p.Token(t.Context()); !errors.Is(err, client.ErrSignedOut) {
		t.Errorf("error = %v, want ErrSignedOut", err)
	}
	check(t, p.Logout(t.Context()))
	if len(p.network.seen) != 0 || p.saved(t) != before {
		t.Errorf("%d requests, want none, and the state as it was", len(p.network.seen))
	}
}

// TestRefreshIsNotRedirected, nor is a password: they stay with the server that they are for.
func TestRefreshIsNotRedirected(t *testing.T) {
	w := newWorld(t)
	p := newPhone(t, w, 0)
	p.sleep()
	p.network.does(answers(http.StatusPermanentRedirect, http.Header{"Location": {"https://elsewhere.example.com/"}}, ""))
	_, err := p.Token(t.Context())
	if e, ok := errors.AsType[*client.ProblemError](err); !ok || e.Status != http.StatusPermanentRedirect || len(p.network.seen) != 1 {
		t.Errorf("%d requests, error %v; want one, and the redirect as a problem", len(p.network.seen), err)
	}
}
