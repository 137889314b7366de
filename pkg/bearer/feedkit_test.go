package bearer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/pkg/bearer"
)

// authority is an issuer as its clients see it, without a network: its feed, its
// keys, and what it says of a token. It speaks the wire of GET /v1/revocations.
type authority struct {
	mu       sync.Mutex
	entries  []string
	page     int
	lag      int                                           // ms
	answer   func(r *http.Request) (*http.Response, error) // instead of the feed, if there is one
	changed  chan struct{}
	requests []poll

	jwks       string
	keyFetches int
	inactive   bool
	asked      []*http.Request // introspection, with the form read
}

// poll is one request of the feed.
type poll struct {
	at    time.Time
	after string
	wait  int
}

func newAuthority() *authority { return &authority{page: 1000, changed: make(chan struct{})} }

func (a *authority) RoundTrip(r *http.Request) (*http.Response, error) {
	switch r.URL.Path {
	case "/v1/revocations":
		return a.feed(r)
	case "/.well-known/oauth-authorization-server":
		return reply(r, 200, fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q,"introspection_endpoint":%q}`, issuer, issuer+"/jwks", issuer+"/introspect")), nil
	case "/jwks":
		a.mu.Lock()
		defer a.mu.Unlock()
		a.keyFetches++
		if a.jwks == "" {
			return nil, errors.New("away")
		}
		return reply(r, 200, a.jwks), nil
	case "/introspect":
		a.mu.Lock()
		answer := a.answer
		a.mu.Unlock()
		if answer != nil {
			return answer(r)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if err := r.ParseForm(); err != nil {
			return nil, err
		}
		a.asked = append(a.asked, r)
		return reply(r, 200, fmt.Sprintf(`{"active":%t}`, !a.inactive)), nil
	}
	return reply(r, 404, ""), nil
}

func reply(r *http.Request, status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}
}

func (a *authority) feed(r *http.Request) (*http.Response, error) {
	q := r.URL.Query()
	wait, err := strconv.Atoi("0" + q.Get("wait"))
	if err != nil || wait > 25 {
		return reply(r, 422, ""), nil
	}
	a.mu.Lock()
	a.requests = append(a.requests, poll{time.Now(), q.Get("after"), wait})
	a.mu.Unlock()
	enough := time.NewTimer(time.Duration(wait) * time.Second)
	defer enough.Stop()
	for held := true; ; {
		a.mu.Lock()
		answer := a.answer
		a.mu.Unlock()
		if answer != nil {
			return answer(r)
		}
		body, some, changed := a.after(q.Get("after"))
		if some || !held {
			return reply(r, 200, body), nil
		}
		select {
		case <-changed:
		case <-enough.C:
			held = false
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

// after is a page of the feed, and whether there is something in it. A cursor that
// is not one of this feed's is answered from the beginning.
func (a *authority) after(cursor string) (body string, some bool, changed chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	from, err := strconv.Atoi(strings.TrimPrefix(cursor, "1-"))
	if err != nil || from > len(a.entries) {
		from = 0
	}
	to := min(from+a.page, len(a.entries))
	body = fmt.Sprintf(`{"cursor":"1-%d","more":%t,"time":"2026-03-04T05:06:07Z","lag_ms":%d,"revocations":[%s]}`,
		to, to < len(a.entries), a.lag, strings.Join(a.entries[from:to], ","))
	return body, to > from || cursor == "", a.changed
}

func (a *authority) add(entries ...string) {
	a.set(func() { a.entries = append(a.entries, entries...) })
}

// set changes the authority and wakes those that wait.
func (a *authority) set(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
	close(a.changed)
	a.changed = make(chan struct{})
}

// goAway makes every request fail until comeBack.
func (a *authority) goAway() {
	a.set(func() {
		a.answer = func(*http.Request) (*http.Response, error) { return nil, errors.New("no route to host") }
	})
}

func (a *authority) comeBack() { a.set(func() { a.answer = nil }) }

func (a *authority) seen() []poll {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.requests
}

func (a *authority) newFeed(t testing.TB, set ...func(*bearer.FeedConfig)) *bearer.Feed {
	t.Helper()
	c := bearer.FeedConfig{Issuer: issuer, Client: &http.Client{Transport: a}}
	for _, f := range set {
		f(&c)
	}
	f, err := bearer.NewFeed(c)
	check(t, err)
	return f
}

// follow runs f until the returned function is called, or the test is over.
func follow(t testing.TB, f *bearer.Feed) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// followed is newFeed and follow, and waits until it is ready.
func (a *authority) followed(t testing.TB, set ...func(*bearer.FeedConfig)) *bearer.Feed {
	t.Helper()
	f := a.newFeed(t, set...)
	follow(t, f)
	check(t, f.Ready(t.Context()))
	return f
}

// clocked is a verifier with f and the clock of the test's bubble.
func (k keys) clocked(t testing.TB, f *bearer.Feed) *bearer.Verifier {
	t.Helper()
	return k.verifier(t, func(c *bearer.Config) { c.Feed, c.Now = f, time.Now })
}

// fresh is a token that is good for ten minutes from now on.
func (k keys) fresh(t testing.TB, with members) string {
	t.Helper()
	return k.sign(t, "ES256", header("ES256", nil), lasting(with))
}

func lasting(with members) members {
	c := claims(members{"iat": time.Now().Unix(), "auth_time": time.Now().Unix(), "exp": time.Now().Add(10 * time.Minute).Unix()})
	return merged(c, with)
}

// in is a NumericDate as it is written in an entry.
func in(d time.Duration) int64 { return time.Now().Add(d).Unix() }

func ended(kind, name string) string {
	return fmt.Sprintf(`{%q:%q,"exp":%d}`, kind, name, in(10*time.Minute))
}

func refused(t testing.TB, v *bearer.Verifier, token string, want error) {
	t.Helper()
	if _, err := v.Verify(t.Context(), token); !errors.Is(err, want) {
		t.Errorf("error = %v, want %v", err, want)
	}
}

func accepted(t testing.TB, v *bearer.Verifier, token string) {
	t.Helper()
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Errorf("error = %v", err)
	}
}

func policy(p bearer.OnStale) func(*bearer.FeedConfig) {
	return func(c *bearer.FeedConfig) { c.OnStale = p }
}
