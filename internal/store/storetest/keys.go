package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jotgate/jotgate/internal/keyset"
	"github.com/jotgate/jotgate/internal/revocation"
)

func keyTests() []test {
	return []test{
		{"what is put is read back in order", keysReadBack},
		{"a key of that kid is written over", keysOver},
		{"decide puts nothing and fails", keysDecide},
		{"of those who make the first key one does", keysRace},
		{"a change joins the transaction", keysJoin},
	}
}

func sealed(kid string, activates time.Time) keyset.Sealed {
	return keyset.Sealed{KID: kid, Algorithm: keyset.ES256, Private: []byte{0, 0xff, 'k'}, CreatedAt: epoch(), ActivatesAt: activates}
}

// putKeys writes keys and returns what was there before.
func (k kit) putKeys(ctx context.Context, keys ...keyset.Sealed) (before []keyset.Sealed) {
	k.Helper()
	k.must(k.db.Keys().Change(ctx, func(have []keyset.Sealed) ([]keyset.Sealed, error) {
		before = have
		return keys, nil
	}))
	return before
}

func (k kit) allKeys() []keyset.Sealed {
	k.Helper()
	keys, err := k.db.Keys().All(k.Context())
	k.must(err)
	return keys
}

func keysReadBack(k kit) {
	later, sooner, third := sealed("a", epoch().Add(time.Hour)), sealed("b", epoch()), sealed("c", epoch().Add(2*time.Hour))
	sooner.RevokedAt = epoch().Add(time.Minute)
	k.equal(len(k.putKeys(k.Context(), later)), 0)
	k.equal(k.putKeys(k.Context(), sooner, third), []keyset.Sealed{later})
	k.equal(k.allKeys(), []keyset.Sealed{sooner, later, third})
}

func keysOver(k kit) {
	one, two := sealed("a", epoch()), sealed("b", epoch().Add(time.Hour))
	k.putKeys(k.Context(), one, two)
	two.ActivatesAt, two.RevokedAt, two.Private = epoch().Add(time.Minute), epoch().Add(2*time.Minute), []byte{1}
	k.putKeys(k.Context(), two)
	k.equal(k.allKeys(), []keyset.Sealed{one, two})
}

func keysDecide(k kit) {
	boom := errors.New("boom")
	k.putKeys(k.Context())
	k.wantErr(k.db.Keys().Change(k.Context(), func([]keyset.Sealed) ([]keyset.Sealed, error) {
		return []keyset.Sealed{sealed("b", epoch())}, boom
	}), boom)
	k.equal(len(k.allKeys()), 0)
}

func keysRace(k kit) {
	errs := k.race(racers, func(ctx context.Context, i int) error {
		return k.db.Keys().Change(ctx, func(have []keyset.Sealed) ([]keyset.Sealed, error) {
			if len(have) > 0 {
				return nil, nil
			}
			return []keyset.Sealed{sealed(fmt.Sprint(i), epoch())}, nil
		})
	})
	k.equal(count(errs, nil), racers)
	k.equal(len(k.allKeys()), 1)
}

func keysJoin(k kit) {
	boom := errors.New("boom")
	k.wantErr(k.db.InTx(k.Context(), func(ctx context.Context) error {
		k.putKeys(ctx, sealed("a", epoch()))
		return boom
	}), boom)
	k.equal(len(k.allKeys()), 0)
}

func lifeTests() []test {
	return []test{
		{"the longest life that can be about", livesLongest},
		{"the shortest life of those who were seen", livesShortest},
		{"a clock that was ahead by years gives way", livesOfYears},
		{"lives are forgotten when none can be about", livesPrune},
	}
}

// longest is the longest life at d after the epoch, when tokens are accepted for
// a minute more than they live.
func (k kit) longest(d time.Duration) time.Duration {
	k.Helper()
	life, err := k.db.TokenLives().Longest(k.Context(), epoch().Add(d), time.Minute)
	k.must(err)
	return life
}

func (k kit) latest(now time.Time) time.Time {
	k.Helper()
	at, err := k.db.TokenLives().Latest(k.Context(), now)
	k.must(err)
	return at
}

func livesLongest(k kit) {
	lives := k.db.TokenLives()
	k.equal(k.longest(0), time.Duration(0))
	k.equal(k.latest(epoch()), time.Time{})
	k.must(lives.Seen(k.Context(), time.Hour, epoch()))
	k.must(lives.Seen(k.Context(), 10*time.Minute, epoch()))
	k.must(lives.Seen(k.Context(), 10*time.Minute, epoch().Add(2*time.Hour)))
	k.must(lives.Seen(k.Context(), 10*time.Minute, epoch().Add(time.Hour))) // a clock that is behind
	k.equal(k.latest(epoch()), epoch().Add(2*time.Hour))
	k.equal([]time.Duration{
		k.longest(0), k.longest(61*time.Minute - 1000), k.longest(61 * time.Minute),
		k.longest(2*time.Hour + 11*time.Minute - 1000), k.longest(2*time.Hour + 11*time.Minute),
	}, []time.Duration{time.Hour, time.Hour, 10 * time.Minute, 10 * time.Minute, 0})
}

func livesShortest(k kit) {
	lives := k.db.TokenLives()
	shortest := func(since time.Time) time.Duration {
		life, err := lives.Shortest(k.Context(), since)
		k.must(err)
		return life
	}
	k.equal(shortest(epoch()), time.Duration(0))
	k.must(lives.Seen(k.Context(), time.Minute, epoch()))
	k.must(lives.Seen(k.Context(), time.Hour, epoch().Add(time.Minute)))
	k.must(lives.Seen(k.Context(), 10*time.Minute, epoch().Add(time.Minute)))
	k.equal([]time.Duration{shortest(epoch().Add(-time.Second)), shortest(epoch()), shortest(epoch().Add(time.Minute))},
		[]time.Duration{time.Minute, 10 * time.Minute, 0})
}

func livesOfYears(k kit) {
	lives, hour := k.db.TokenLives(), epoch().Add(time.Hour)
	k.must(lives.Seen(k.Context(), time.Hour, epoch().Add(3*365*24*time.Hour)))
	k.must(lives.Seen(k.Context(), time.Minute, hour))
	k.equal(k.latest(epoch()), hour)
	k.must(lives.Seen(k.Context(), time.Hour, epoch()))
	k.equal(k.latest(epoch().Add(9*365*24*time.Hour)), hour)
	k.must(lives.Seen(k.Context(), time.Minute, hour.Add(-revocation.MaxAhead)))
	k.equal(k.latest(epoch()), hour)
}

func livesPrune(k kit) {
	lives := k.db.TokenLives()
	k.must(lives.Seen(k.Context(), time.Hour, epoch()))
	k.must(lives.Seen(k.Context(), 10*time.Minute, epoch()))
	n, err := lives.Prune(k.Context(), epoch().Add(11*time.Minute), 9)
	k.must(err)
	k.equal(n, 1)
	k.equal(k.longest(0), time.Hour)
	n, err = lives.Prune(k.Context(), epoch().Add(2*time.Hour), 9)
	k.must(err)
	k.equal(n, 1)
	k.equal(k.longest(0), time.Duration(0))
}
