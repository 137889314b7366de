package bearer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/pkg/bearer"
)

func TestFeedVectors(t *testing.T) {
	text, err := os.ReadFile("../../testdata/vectors/feed.json")
	check(t, err)
	var file struct {
		Now   int64 `json:"now"`
		Cases []struct {
			Name    string            `json:"name"`
			Entries []json.RawMessage `json:"entries"`
			Claims  members           `json:"claims"`
			KeyID   string            `json:"kid"`
			Revoked bool              `json:"revoked"`
		} `json:"cases"`
	}
	check(t, json.Unmarshal(text, &file))
	if len(file.Cases) < 30 {
		t.Fatalf("%d cases", len(file.Cases))
	}
	k := newKeys(t)
	clock := func() time.Time { return time.Unix(file.Now, 0) }
	find := func(context.Context, string) (bearer.Key, error) { return k.find(t.Context(), "ES256") }
	for _, tt := range file.Cases {
		t.Run(tt.Name, func(t *testing.T) {
			a := newAuthority()
			for _, e := range tt.Entries {
				a.add(string(e))
			}
			f := a.followed(t, func(c *bearer.FeedConfig) { c.Now = clock })
			v := k.verifier(t, func(c *bearer.Config) { c.Feed, c.Keys, c.Now = f, find, clock })
			c := claims(members{"iat": tt.Claims["iat"], "exp": file.Now + 600})
			if tt.Claims["sid"] == nil {
				c = clientClaims(members{"iat": tt.Claims["iat"], "exp": file.Now + 600, "client_id": tt.Claims["sub"]})
			}
			_, err := v.Verify(t.Context(), k.sign(t, "ES256", header("ES256", members{"kid": tt.KeyID}), merged(c, tt.Claims)))
			if errors.Is(err, bearer.ErrRevoked) != tt.Revoked || (err != nil && !tt.Revoked) {
				t.Errorf("error = %v, want revoked %t", err, tt.Revoked)
			}
		})
	}
}

func TestNewFeedRefuses(t *testing.T) {
	active := func(context.Context, string) (bool, error) { return true, nil }
	for name, c := range map[string]bearer.FeedConfig{
		"no issuer":                  {},
		"issuer that is no URL":      {Issuer: "auth.example.com"},
		"too little staleness":       {Issuer: issuer, MaxStaleness: time.Second},
		"negative staleness":         {Issuer: issuer, MaxStaleness: -time.Second},
		"a day of staleness":         {Issuer: issuer, MaxStaleness: 24 * time.Hour},
		"negative size":              {Issuer: issuer, MaxEntries: -1},
		"policy that is none":        {Issuer: issuer, OnStale: 3},
		"negative policy":            {Issuer: issuer, OnStale: -1},
		"nobody to ask":              {Issuer: issuer, OnStale: bearer.AskIntrospection},
		"two to ask":                 {Issuer: issuer, OnStale: bearer.AskIntrospection, Introspect: active, ClientID: "c", ClientSecret: "s"},
		"a client without a secret":  {Issuer: issuer, OnStale: bearer.AskIntrospection, ClientID: "c"},
		"a secret without a client":  {Issuer: issuer, ClientSecret: "s"},
		"a client without any need":  {Issuer: issuer, ClientID: "c"},
		"two to ask, for no purpose": {Issuer: issuer, Introspect: active, ClientID: "c", ClientSecret: "s"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := bearer.NewFeed(c); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestFeedOfAnotherIssuerIsRefused(t *testing.T) {
	f, err := bearer.NewFeed(bearer.FeedConfig{Issuer: issuer + "/"})
	check(t, err)
	if _, err := bearer.New(t.Context(), bearer.Config{Issuer: issuer, Audience: audience, Keys: newKeys(t).find, Feed: f}); err == nil {
		t.Error("no error")
	}
}

func TestFeedTellsAtOnce(t *testing.T) {
	k := newKeys(t)
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		v, token := k.clocked(t, a.followed(t)), k.fresh(t, nil)
		time.Sleep(7 * time.Second)
		accepted(t, v, token)
		a.add(ended("sid", "another"))
		a.add(ended("sid", "s1"))
		time.Sleep(300 * time.Millisecond)
		refused(t, v, token, bearer.ErrRevoked)
	})
}

func TestBusyFeedIsReadInPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		f := a.followed(t)
		for i := range 1000 {
			time.Sleep(6 * time.Millisecond) // 10,000 in a minute
			a.add(ended("sid", fmt.Sprint(i)))
		}
		time.Sleep(time.Second)
		if f.Size() != 1000 || len(a.seen()) > 30 {
			t.Errorf("%d entries in %d requests", f.Size(), len(a.seen()))
		}
	})
}

func TestIssuerThatDoesNotHoldAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		body, _, _ := a.after("")
		a.set(func() { a.answer = func(r *http.Request) (*http.Response, error) { return reply(r, 200, body), nil } })
		a.followed(t)
		time.Sleep(time.Minute)
		if n := len(a.seen()); n > 60*4+2 {
			t.Errorf("%d requests in a minute", n)
		}
	})
}

func TestFeedIsCompleteAfterItsLastPage(t *testing.T) {
	k := newKeys(t)
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		a.page = 2
		a.add(ended("sid", "s1"), ended("sid", "s2"), ended("sid", "s3"), ended("sid", "s4"), ended("sid", "s5"))
		a.answer = func(r *http.Request) (*http.Response, error) {
			if r.URL.Query().Get("after") == "1-4" {
				return nil, errors.New("cut off")
			}
			body, _, _ := a.after(r.URL.Query().Get("after"))
			return reply(r, 200, body), nil
		}
		f := a.newFeed(t)
		v := k.clocked(t, f)
		follow(t, f)
		time.Sleep(time.Minute)
		if f.Size() != 4 || f.Staleness() != math.MaxInt64 || f.Health() == nil || !strings.Contains(f.Health().Error(), "cut off") {
			t.Errorf("with two pages of three: %d entries, stale for %s, %v", f.Size(), f.Staleness(), f.Health())
		}
		refused(t, v, k.fresh(t, members{"sid": "s4"}), bearer.ErrRevoked)
		soon, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.Ready(soon); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "cut off") {
			t.Errorf("Ready: %v", err)
		}
		a.comeBack()
		check(t, f.Ready(t.Context()))
		if f.Size() != 5 || f.Staleness() != 0 || f.Health() != nil {
			t.Errorf("with all: %d entries, stale for %s, %v", f.Size(), f.Staleness(), f.Health())
		}
		for _, r := range a.seen()[2:] {
			if r.after != "1-4" {
				t.Errorf("asked for what is after %q again", r.after)
			}
			if r.wait != 0 {
				t.Error("waited although there was more, or after an error")
			}
			if r.after == "1-5" {
				break
			}
		}
	})
}

func TestStaleness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		a.lag = 400
		f := a.followed(t)
		if got := f.Staleness(); got != 400*time.Millisecond {
			t.Errorf("at once: %s", got)
		}
		for range 100 {
			time.Sleep(770 * time.Millisecond)
			if got := f.Staleness(); got > 10*time.Second+650*time.Millisecond || f.Health() != nil {
				t.Errorf("while nothing happens: %s, %v", got, f.Health())
			}
		}
		for _, r := range a.seen()[1:] {
			if r.wait != 10 {
				t.Errorf("waits for %d s", r.wait)
			}
		}
		a.goAway()
		before := f.Staleness()
		time.Sleep(15 * time.Second)
		if got := f.Staleness(); got != before+15*time.Second || f.Health() != nil {
			t.Errorf("away for a while: %s more, %v", got-before, f.Health())
		}
		time.Sleep(20 * time.Second)
		if err := f.Health(); err == nil || !strings.Contains(err.Error(), "no route to host") || !strings.Contains(err.Error(), issuer) {
			t.Errorf("away for long: %v", err)
		}
		a.comeBack()
		time.Sleep(5 * time.Second)
		if got := f.Staleness(); got > 6*time.Second || f.Health() != nil {
			t.Errorf("back: %s, %v", got, f.Health())
		}
	})
}

func TestIssuerWhoseOwnKnowledgeIsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		a.lag = 31_000
		f := a.followed(t)
		if f.Health() == nil {
			t.Error("healthy, with an issuer that is 31 s behind")
		}
		a.set(func() { a.lag = math.MaxInt64 })
		time.Sleep(11 * time.Second)
		if got := f.Staleness(); got < 24*time.Hour {
			t.Errorf("staleness = %s", got)
		}
	})
}

func TestOnStale(t *testing.T) {
	k := newKeys(t)
	for name, tt := range map[string]struct {
		policy bearer.OnStale
		want   error
	}{
		"accept": {bearer.AcceptUntilExpiry, nil}, "refuse": {bearer.Refuse, bearer.ErrUnavailable}, "ask": {bearer.AskIntrospection, bearer.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority()
				a.add(ended("sid", "s2"))
				a.goAway()
				f := a.newFeed(t, policy(tt.policy), func(c *bearer.FeedConfig) {
					if tt.policy == bearer.AskIntrospection {
						c.ClientID, c.ClientSecret = "c1", "secret"
					}
				})
				v, good, bad := k.clocked(t, f), k.fresh(t, nil), k.fresh(t, members{"sid": "s2"})
				judge := func(when string, want, wantOfBad error) {
					t.Helper()
					for token, want := range map[string]error{good: want, bad: wantOfBad} {
						if _, err := v.Verify(t.Context(), token); !errors.Is(err, want) || (errors.Is(want, bearer.ErrUnavailable) && errors.Is(err, bearer.ErrInvalidToken)) {
							t.Errorf("%s: error = %v, want %v", when, err, want)
						}
					}
				}
				judge("not started", tt.want, tt.want)
				follow(t, f)
				time.Sleep(time.Minute)
				judge("never reached", tt.want, tt.want)
				a.comeBack()
				check(t, f.Ready(t.Context()))
				judge("complete", nil, bearer.ErrRevoked)
				a.goAway()
				time.Sleep(20 * time.Second)
				judge("away, not stale yet", nil, bearer.ErrRevoked)
				time.Sleep(20 * time.Second)
				judge("stale", tt.want, bearer.ErrRevoked)
				a.comeBack()
				time.Sleep(6 * time.Second)
				judge("back", nil, bearer.ErrRevoked)
			})
		})
	}
}

func TestGuardAnswersUnavailableWhileStale(t *testing.T) {
	k := newKeys(t)
	f := newAuthority().newFeed(t, policy(bearer.Refuse))
	guard := &bearer.Guard{Verifier: k.verifier(t, func(c *bearer.Config) { c.Feed = f })}
	w := httptest.NewRecorder()
	guard.Require(http.NotFoundHandler()).ServeHTTP(w, request("GET", "Authorization: Bearer "+k.sign(t, "ES256", header("ES256", nil), claims(nil))))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("status = %d, Retry-After = %q", w.Code, w.Header().Get("Retry-After"))
	}
	w = httptest.NewRecorder()
	guard.Require(http.NotFoundHandler()).ServeHTTP(w, request("GET", "Authorization: Bearer x"))
	if w.Code != http.StatusUnauthorized {
		t.Errorf("status = %d for what is no token", w.Code)
	}
}

// A database that was restored from a backup has not given out the cursor, and
// answers from the beginning.
func TestRestoredFeedTakesNothingBack(t *testing.T) {
	k := newKeys(t)
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		a.add(ended("sid", "s1"), ended("sid", "s2"))
		v, one, two, three := k.clocked(t, a.followed(t)), k.fresh(t, nil), k.fresh(t, members{"sid": "s2"}), k.fresh(t, members{"sid": "s3"})
		a.set(func() { a.entries = []string{ended("sid", "s3")} })
		time.Sleep(11 * time.Second)
		for _, token := range []string{one, two, three} {
			refused(t, v, token, bearer.ErrRevoked)
		}
	})
}

func TestRunEndsAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		a.add(ended("sid", "s1"))
		f := a.newFeed(t)
		stop := follow(t, f)
		check(t, f.Ready(t.Context()))
		if err := f.Run(t.Context()); err == nil {
			t.Error("runs twice at once")
		}
		stop()
		time.Sleep(time.Minute)
		if f.Health() == nil || f.Size() != 1 {
			t.Errorf("stopped: %v, %d entries", f.Health(), f.Size())
		}
		follow(t, f)
		time.Sleep(time.Second)
		last := a.seen()[len(a.seen())-2]
		if f.Health() != nil || last.after != "1-1" {
			t.Errorf("again: %v, from %q", f.Health(), last.after)
		}
	})
}

func TestManyVerifyWhileTheFeedGrows(t *testing.T) {
	k := newKeys(t)
	a := newAuthority()
	f := a.followed(t, policy(bearer.Refuse))
	v := k.clocked(t, f)
	good := k.fresh(t, members{"sid": "stays"})
	tokens := make([]string, 100)
	for i := range tokens {
		tokens[i] = k.fresh(t, members{"sid": fmt.Sprint(i)})
	}
	var readers sync.WaitGroup
	for part := range 4 {
		readers.Go(func() {
			for _, token := range tokens[part*25 : part*25+25] {
				for {
					_, err := v.Verify(t.Context(), token)
					if errors.Is(err, bearer.ErrRevoked) {
						break
					}
					if err != nil || t.Context().Err() != nil {
						t.Errorf("error = %v", err)
						return
					}
					accepted(t, v, good)
					f.Size()
				}
			}
		})
	}
	for i := range tokens {
		a.add(ended("sid", fmt.Sprint(i)), ended("kid", fmt.Sprint(i)), fmt.Sprintf(`{"sub":"%d","iat_before":1,"exp":%d}`, i%10, in(time.Hour)))
	}
	readers.Wait()
}
