package bearer_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/pkg/bearer"
)

func TestEntriesLeaveOnceTheyHaveExpired(t *testing.T) {
	k := newKeys(t)
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		before := in(time.Second)
		a.add(ended("sid", "s1"), ended("kid", "k1"), fmt.Sprintf(`{"sub":"u1","iat_before":%d,"exp":%d}`, before, in(10*time.Minute)),
			fmt.Sprintf(`{"all":true,"iat_before":%d,"exp":%d}`, before, in(10*time.Minute)), ended("changed", "u1"), fmt.Sprintf(`{"sid":"s2","exp":%d}`, in(time.Hour)))
		f := a.followed(t)
		if f.Size() != 5 {
			t.Errorf("%d entries", f.Size())
		}
		time.Sleep(11*time.Minute - time.Second)
		token := k.fresh(t, members{"iat": in(-10 * time.Minute), "exp": in(-time.Minute)})
		if f.Size() != 5 {
			t.Errorf("%d entries, while a verifier with a leeway of a minute can accept what they end", f.Size())
		}
		time.Sleep(3 * time.Minute)
		if f.Size() != 1 {
			t.Errorf("%d entries after they expired", f.Size())
		}
		refused(t, k.clocked(t, f), token, bearer.ErrExpired)
		accepted(t, k.clocked(t, f), k.fresh(t, nil))
	})
}

func TestClockThatGoesBack(t *testing.T) {
	k := newKeys(t)
	synctest.Test(t, func(t *testing.T) {
		var c ticking
		clock := func() time.Time { return time.Now().Add(time.Duration(c.at.Load())) }
		a := newAuthority()
		a.add(ended("sid", "s1"))
		token := k.fresh(t, nil)
		f := a.followed(t, func(fc *bearer.FeedConfig) { fc.Now = clock })
		c.step(time.Hour)
		time.Sleep(time.Minute)
		if f.Size() != 0 {
			t.Errorf("%d entries, in an hour", f.Size())
		}
		c.step(-time.Hour)
		time.Sleep(time.Minute)
		refused(t, k.clocked(t, f), token, bearer.ErrRevoked)
	})
}

func TestMaxEntries(t *testing.T) {
	k := newKeys(t)
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		f := a.followed(t, func(c *bearer.FeedConfig) { c.MaxEntries = 3 })
		v, token := k.clocked(t, f), k.fresh(t, members{"sub": "u2"})
		for i := range 10 {
			a.add(fmt.Sprintf(`{"sid":"s%d","exp":%d}`, 10+i, in(5*time.Minute)))
		}
		a.add(fmt.Sprintf(`{"sub":"u2","iat_before":%d,"exp":%d}`, in(time.Second), in(time.Hour)))
		time.Sleep(time.Minute)
		if f.Size() != 4 || f.Health() == nil || !strings.Contains(f.Health().Error(), "MaxEntries") {
			t.Errorf("%d entries, health = %v", f.Size(), f.Health())
		}
		refused(t, v, token, bearer.ErrRevoked) // one kind does not crowd out another
		time.Sleep(8 * time.Minute)
		if f.Health() != nil || f.Size() != 1 {
			t.Errorf("once they have expired: %d entries, health = %v", f.Size(), f.Health())
		}
	})
}

// What ends much comes after what does not fit, on pages of their own.
func TestFullFeedGoesOnWithOtherKinds(t *testing.T) {
	k := newKeys(t)
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		a.page = 2
		f := a.followed(t, func(c *bearer.FeedConfig) { c.MaxEntries = 3 })
		v, token := k.clocked(t, f), k.fresh(t, nil)
		for i := range 9 {
			a.add(fmt.Sprintf(`{"sid":"%d","exp":%d}`, i, in(5*time.Minute)))
		}
		a.add(fmt.Sprintf(`{"sid":"late","exp":%d}`, in(time.Hour)))
		time.Sleep(time.Minute)
		if f.Size() != 3 || f.Health() == nil || !strings.Contains(f.Health().Error(), "MaxEntries") {
			t.Errorf("%d entries, health = %v", f.Size(), f.Health())
		}
		accepted(t, v, token)
		a.add(ended("kid", "ES256"), ended("changed", "u1"))
		a.add(fmt.Sprintf(`{"sub":"u1","iat_before":%d,"exp":%d}`, in(time.Second), in(time.Hour)))
		time.Sleep(6 * time.Second)
		refused(t, v, token, bearer.ErrRevoked)
		if f.Size() != 5 || f.Staleness() < time.Minute {
			t.Errorf("%d entries, %s old", f.Size(), f.Staleness())
		}
		asked := len(a.seen())
		time.Sleep(time.Minute)
		if n := len(a.seen()) - asked; n > 100 {
			t.Errorf("%d requests in a minute", n)
		}
		time.Sleep(12 * time.Minute)
		if f.Health() != nil || f.Size() != 2 {
			t.Errorf("once there is room: %d entries, health = %v", f.Size(), f.Health())
		}
		refused(t, v, k.fresh(t, members{"sid": "late"}), bearer.ErrRevoked)
	})
}
