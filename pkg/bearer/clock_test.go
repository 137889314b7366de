package bearer_test

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/jotgate/jotgate/pkg/bearer"
)

// suspended is t on a machine that slept for d: its wall clock went on, and its
// monotonic one did not.
func suspended(t time.Time, d time.Duration) time.Time {
	t = t.Add(d)
	(*struct { // as package time has it
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&t)).ext -= int64(d)
	return t
}

func TestStalenessCountsWhileTheMachineIsSuspended(t *testing.T) {
	if now := time.Now(); suspended(now, time.Hour).Sub(now) != 0 {
		t.Fatal("package time keeps its clocks otherwise")
	}
	var slept atomic.Int64
	f := newAuthority().newFeed(t, func(c *bearer.FeedConfig) {
		c.Now = func() time.Time { return suspended(time.Now(), time.Duration(slept.Load())) }
	})
	stop := follow(t, f)
	check(t, f.Ready(t.Context()))
	stop()
	slept.Store(int64(time.Hour))
	if f.Staleness() < time.Hour || f.Health() == nil {
		t.Errorf("staleness = %s, %v", f.Staleness(), f.Health())
	}
}

// A clock that is put back leaves the monotonic one alone.
func TestRememberedTokenIsNotGoodBeforeItWas(t *testing.T) {
	k := newKeys(t)
	var put atomic.Int64
	v := k.verifier(t, func(c *bearer.Config) {
		c.Now = func() time.Time { return suspended(time.Now(), time.Duration(put.Load())) }
	})
	token := k.fresh(t, nil)
	accepted(t, v, token)
	put.Store(int64(-time.Hour))
	refused(t, v, token, bearer.ErrInvalidToken)
	put.Store(0)
	accepted(t, v, token)
}

// A key that the issuer took back while the machine slept is not used unasked.
func TestKeysAgeWhileTheMachineIsSuspended(t *testing.T) {
	k, a := newKeys(t), newAuthority()
	a.jwks = k.jwks(t)
	var slept atomic.Int64
	v, err := bearer.New(t.Context(), bearer.Config{
		Issuer: issuer, Audience: audience, Client: &http.Client{Transport: a},
		Now: func() time.Time { return suspended(time.Now(), time.Duration(slept.Load())) },
	})
	check(t, err)
	refused(t, v, k.signedBy(t, "unknown"), bearer.ErrInvalidToken) // begins a cool-down
	accepted(t, v, k.fresh(t, nil))
	slept.Store(int64(time.Hour))
	a.set(func() { a.jwks = keys{"EdDSA": k["EdDSA"]}.jwks(t) })
	later := members{"iat": in(time.Hour), "auth_time": in(time.Hour), "exp": in(time.Hour + time.Minute)}
	refused(t, v, k.fresh(t, later), bearer.ErrInvalidToken)
	accepted(t, v, k.sign(t, "EdDSA", header("EdDSA", nil), lasting(later)))
}

// TestGenuineTokenDatedAhead holds that of a token which is not valid nothing is told, but for
// one whose only fault is its iat.
func TestGenuineTokenDatedAhead(t *testing.T) {
	k := newKeys(t)
	v := k.verifier(t)
	ahead := func(with members) members {
		return merged(claims(members{"iat": now().Add(time.Hour).Unix(), "exp": now().Add(2 * time.Hour).Unix()}), with)
	}
	genuine := k.sign(t, "ES256", header("ES256", nil), ahead(nil))
	_, err := v.Verify(t.Context(), genuine)
	if early, ok := errors.AsType[*bearer.NotYetError](err); !ok || early.Claims.ID != "j1" || !early.Claims.IssuedAt.Equal(now().Add(time.Hour)) || !errors.Is(err, bearer.ErrInvalidToken) {
		t.Errorf("error = %v", err)
	}
	for name, token := range map[string]string{
		"forged":         newKeys(t).sign(t, "ES256", header("ES256", nil), ahead(nil)),
		"other issuer":   k.sign(t, "ES256", header("ES256", nil), ahead(members{"iss": "https://evil.example"})),
		"other audience": k.sign(t, "ES256", header("ES256", nil), ahead(members{"aud": "x"})),
		"not before":     k.sign(t, "ES256", header("ES256", nil), ahead(members{"nbf": now().Add(time.Hour).Unix()})),
		"no jti":         k.sign(t, "ES256", header("ES256", nil), ahead(members{"jti": nil})),
	} {
		_, err := v.Verify(t.Context(), token)
		if _, told := errors.AsType[*bearer.NotYetError](err); told || !errors.Is(err, bearer.ErrInvalidToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
