package bearer_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/pkg/bearer"
)

// fetching is a verifier that has the keys from a, with its feed.
func (a *authority) fetching(t *testing.T, f *bearer.Feed) *bearer.Verifier {
	t.Helper()
	v, err := bearer.New(t.Context(), bearer.Config{Issuer: issuer, Audience: audience, Client: &http.Client{Transport: a}, Feed: f})
	check(t, err)
	return v
}

func (a *authority) fetches() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.keyFetches
}

// signedBy is a token under k["ES256"] by another name.
func (k keys) signedBy(t *testing.T, kid string) string {
	t.Helper()
	return k.sign(t, "ES256", header("ES256", members{"kid": kid}), lasting(nil))
}

func TestRevokedKeyMakesRoomForItsSuccessor(t *testing.T) {
	old, next := newKeys(t), newKeys(t)
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		a.jwks = keys{"ES256": old["ES256"], "EdDSA": old["EdDSA"]}.jwks(t)
		f := a.followed(t)
		v := a.fetching(t, f)
		before := old.fresh(t, nil)
		accepted(t, v, before)
		refused(t, v, old.signedBy(t, "unknown"), bearer.ErrInvalidToken) // begins a cool-down
		a.set(func() {
			a.jwks = keys{"ES256-next": next["ES256"]}.jwks(t)
			a.entries = append(a.entries, ended("kid", "ES256"))
		})
		time.Sleep(time.Second)
		n := a.fetches()
		refused(t, v, before, bearer.ErrRevoked)
		if a.fetches() != n {
			t.Error("a token of a key that ended has keys fetched")
		}
		accepted(t, v, next.signedBy(t, "ES256-next"))
		if a.fetches() != n+1 {
			t.Errorf("%d fetches more", a.fetches()-n)
		}
		for i := range 20 { // no flood of fetches
			a.add(ended("kid", fmt.Sprint(i)))
			time.Sleep(100 * time.Millisecond)
			accepted(t, v, next.signedBy(t, "ES256-next"))
			synctest.Wait()
		}
		if a.fetches() != n+1 {
			t.Errorf("%d fetches more, for twenty keys at once", a.fetches()-n)
		}
	})
}

// A replica that has not heard of it still publishes the key, and not the next one.
func TestRevokedKeyThatIsStillPublished(t *testing.T) {
	old, next := newKeys(t), newKeys(t)
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		a.jwks = keys{"ES256": old["ES256"]}.jwks(t)
		f := a.followed(t)
		v := a.fetching(t, f)
		a.add(ended("kid", "ES256"))
		time.Sleep(time.Second)
		refused(t, v, next.signedBy(t, "ES256-next"), bearer.ErrInvalidToken)
		a.set(func() { a.jwks = keys{"ES256-next": next["ES256"]}.jwks(t) })
		time.Sleep(2 * time.Second)
		accepted(t, v, next.signedBy(t, "ES256-next"))
	})
}

// No fetch tells of the end of a key while the issuer's keys cannot be had.
func TestRevokedKeyStaysForgottenWithoutAFetch(t *testing.T) {
	k := newKeys(t)
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		a.jwks = keys{"ES256": k["ES256"], "EdDSA": k["EdDSA"]}.jwks(t)
		f := a.followed(t)
		v := a.fetching(t, f)
		a.set(func() { a.jwks = "" })
		a.add(ended("kid", "ES256"))
		for range 3 {
			time.Sleep(15 * time.Minute)
			if _, err := v.Verify(t.Context(), k.fresh(t, nil)); err == nil {
				t.Error("the key is good again")
			}
			accepted(t, v, k.sign(t, "EdDSA", header("EdDSA", nil), lasting(nil)))
		}
		if f.Size() != 0 {
			t.Errorf("%d entries", f.Size())
		}
	})
}

// Who stole a key can sign tokens when its entry has long expired.
func TestRevokedKeyStaysForgotten(t *testing.T) {
	k := newKeys(t)
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		a.jwks = keys{"ES256": k["ES256"], "EdDSA": k["EdDSA"]}.jwks(t)
		f := a.followed(t)
		early := a.fetching(t, f)
		a.add(ended("kid", "ES256"))
		time.Sleep(time.Second)
		late, n := a.fetching(t, f), a.fetches() // from an issuer that still publishes it
		accepted(t, early, k.sign(t, "EdDSA", header("EdDSA", nil), lasting(nil)))
		synctest.Wait()
		if a.fetches() != n+1 {
			t.Errorf("%d fetches more", a.fetches()-n)
		}
		a.set(func() { a.jwks = "" })
		for range 3 {
			time.Sleep(15 * time.Minute)
			for _, v := range []*bearer.Verifier{early, late} {
				if _, err := v.Verify(t.Context(), k.fresh(t, nil)); err == nil {
					t.Error("the key is good again")
				}
				accepted(t, v, k.sign(t, "EdDSA", header("EdDSA", nil), lasting(nil)))
			}
		}
		if f.Size() != 0 {
			t.Errorf("%d entries", f.Size())
		}
	})
}
