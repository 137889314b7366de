package bearer_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/pkg/bearer"
)

// asking is a verifier whose feed never ran, so that it asks f about each token.
func (k keys) asking(t *testing.T, f func(ctx context.Context, token string) (bool, error)) *bearer.Verifier {
	t.Helper()
	return k.clocked(t, newAuthority().newFeed(t, policy(bearer.AskIntrospection), func(c *bearer.FeedConfig) { c.Introspect = f }))
}

func TestIntrospectionDecides(t *testing.T) {
	k := newKeys(t)
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		v := k.asking(t, func(context.Context, string) (bool, error) { asked.Add(1); return true, nil })
		token := k.fresh(t, nil)
		refused(t, v, token[:20], bearer.ErrInvalidToken)
		refused(t, v, k.fresh(t, members{"iat": in(-time.Hour), "exp": in(-time.Minute)}), bearer.ErrExpired)
		refused(t, v, newKeys(t).fresh(t, nil), bearer.ErrInvalidToken)
		if asked.Load() != 0 {
			t.Error("asks about what is no valid token")
		}
		refused(t, k.asking(t, func(context.Context, string) (bool, error) { return false, nil }), token, bearer.ErrRevoked)
		refused(t, k.asking(t, func(context.Context, string) (bool, error) { return true, errors.New("away") }), token, bearer.ErrUnavailable)
		accepted(t, k.asking(t, func(_ context.Context, got string) (bool, error) { return got == token, nil }), token)
	})
}

func TestTokenIsAskedAboutOnce(t *testing.T) {
	k := newKeys(t)
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		var inactive atomic.Bool
		v := k.asking(t, func(context.Context, string) (bool, error) {
			asked.Add(1)
			time.Sleep(time.Second)
			return !inactive.Load(), nil
		})
		token := k.fresh(t, nil)
		leaving, cancel := context.WithCancel(t.Context())
		var many sync.WaitGroup
		many.Go(func() {
			if _, err := v.Verify(leaving, token); !errors.Is(err, bearer.ErrUnavailable) || !errors.Is(err, context.Canceled) {
				t.Errorf("who leaves: %v", err)
			}
		})
		synctest.Wait()
		for range 100 {
			many.Go(func() { accepted(t, v, token) })
		}
		synctest.Wait()
		cancel()
		many.Wait()
		inactive.Store(true)
		time.Sleep(1900 * time.Millisecond)
		accepted(t, v, token)
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		time.Sleep(200 * time.Millisecond)
		refused(t, v, token, bearer.ErrRevoked)
		refused(t, v, token, bearer.ErrRevoked)
		if n := asked.Load(); n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestIntrospectionThatFailsIsNotRemembered(t *testing.T) {
	k := newKeys(t)
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		away.Store(true)
		v, token := k.asking(t, func(context.Context, string) (bool, error) {
			if away.Load() {
				return true, errors.New("away")
			}
			return true, nil
		}), k.fresh(t, nil)
		refused(t, v, token, bearer.ErrUnavailable)
		away.Store(false)
		accepted(t, v, token)
	})
}

// Neither an issuer that hangs nor a function that does not look at its context
// keeps a request for longer than 2 s.
func TestIntrospectionIsBounded(t *testing.T) {
	k := newKeys(t)
	synctest.Test(t, func(t *testing.T) {
		var at, most atomic.Int64
		v := k.asking(t, func(context.Context, string) (bool, error) {
			defer at.Add(-1)
			if n := at.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(time.Minute)
			return true, nil
		})
		began := time.Now()
		var many sync.WaitGroup
		for i := range 100 {
			token := k.fresh(t, members{"jti": fmt.Sprint(i)})
			many.Go(func() { refused(t, v, token, bearer.ErrUnavailable) })
		}
		many.Wait()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("took %s", took)
		}
		if n := most.Load(); n != 32 {
			t.Errorf("%d at once", n)
		}
		time.Sleep(2 * time.Minute)
	})
}

func TestIntrospectionAsTheIssuerHasIt(t *testing.T) {
	k := newKeys(t)
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		a.lag = 60_000 // it answers, and is behind
		f := a.followed(t, policy(bearer.AskIntrospection), func(c *bearer.FeedConfig) { c.ClientID, c.ClientSecret = "c 1", "s:%" })
		v, token := k.clocked(t, f), k.fresh(t, nil)
		accepted(t, v, token)
		a.mu.Lock()
		r := a.asked[0]
		a.inactive = true
		a.mu.Unlock()
		id, secret, _ := r.BasicAuth()
		if id != "c+1" || secret != "s%3A%25" || r.Method != "POST" || r.PostForm.Get("token") != token || r.URL.String() != issuer+"/introspect" {
			t.Errorf("asked by %s:%s with %s %s %v", id, secret, r.Method, r.URL, r.PostForm)
		}
		time.Sleep(3 * time.Second)
		refused(t, v, token, bearer.ErrRevoked)
		for name, answer := range map[string]func(r *http.Request) (*http.Response, error){
			"away":     func(*http.Request) (*http.Response, error) { return nil, errors.New("away") },
			"401":      func(r *http.Request) (*http.Response, error) { return reply(r, 401, `{"active":false}`), nil },
			"nothing":  func(r *http.Request) (*http.Response, error) { return reply(r, 200, ""), nil },
			"empty":    func(r *http.Request) (*http.Response, error) { return reply(r, 200, "{}"), nil },
			"null":     func(r *http.Request) (*http.Response, error) { return reply(r, 200, "null"), nil },
			"a string": func(r *http.Request) (*http.Response, error) { return reply(r, 200, `{"active":"true"}`), nil },
			"hangs":    func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
			"redirect": func(r *http.Request) (*http.Response, error) {
				res := reply(r, 307, "")
				res.Header.Set("Location", "https://evil.example/introspect")
				return res, nil
			},
		} {
			time.Sleep(3 * time.Second)
			a.set(func() { a.answer = answer })
			if _, err := v.Verify(t.Context(), token); !errors.Is(err, bearer.ErrUnavailable) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// The endpoint is found while the issuer is well, not once its metadata is away, too.
func TestIntrospectionEndpointIsTheIssuers(t *testing.T) {
	k := newKeys(t)
	for name, tt := range map[string]struct {
		endpoint string
		want     error
	}{
		"its own": {issuer + "/introspect", nil}, "elsewhere": {"http://192.0.2.1/introspect", bearer.ErrUnavailable}, "none": {"", bearer.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var away atomic.Bool
				client := &http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
					switch {
					case r.URL.Path == "/introspect":
						return reply(r, 200, `{"active":true}`), nil
					case away.Load() || r.URL.Path == "/v1/revocations":
						return nil, errors.New("away")
					}
					return reply(r, 200, fmt.Sprintf(`{"issuer":%q,"introspection_endpoint":%q}`, issuer, tt.endpoint)), nil
				})}
				f := newAuthority().newFeed(t, policy(bearer.AskIntrospection), func(c *bearer.FeedConfig) {
					c.Client, c.ClientID, c.ClientSecret = client, "c1", "secret"
				})
				follow(t, f)
				time.Sleep(time.Second)
				away.Store(true)
				if _, err := k.clocked(t, f).Verify(t.Context(), k.fresh(t, nil)); !errors.Is(err, tt.want) {
					t.Errorf("error = %v, want %v", err, tt.want)
				}
			})
		})
	}
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A flood of tokens makes neither more questions nor more memory than there is room
// for, and answers that are there make room for others.
func TestVerdictsAreBounded(t *testing.T) {
	const room = 4096
	k := newKeys(t)
	synctest.Test(t, func(t *testing.T) {
		hangs, asked := make(chan struct{}), atomic.Int64{}
		var hanging atomic.Bool
		v := k.asking(t, func(context.Context, string) (bool, error) {
			if asked.Add(1); hanging.Load() {
				<-hangs
			}
			return true, nil
		})
		tokens := make([]string, room+1)
		for i := range tokens {
			tokens[i] = k.fresh(t, members{"jti": fmt.Sprint(i)})
			accepted(t, v, tokens[i])
		}
		hanging.Store(true)
		time.Sleep(3 * time.Second)
		var many sync.WaitGroup
		for _, token := range tokens[:room] {
			many.Go(func() { refused(t, v, token, bearer.ErrUnavailable) })
		}
		synctest.Wait()
		began := time.Now()
		refused(t, v, tokens[room], bearer.ErrUnavailable)
		if took := time.Since(began); took != 0 {
			t.Errorf("waited %s although there is no room", took)
		}
		many.Wait()
		close(hangs)
	})
}
