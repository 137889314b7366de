package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/revocation"
	"github.com/jotgate/jotgate/internal/user"
)

func attemptTests() []test {
	return []test{
		{"a burst, then one each recovery", attemptsBurst},
		{"buckets are apart, and cleared", attemptsBuckets},
		{"concurrent calls charge no more than the burst", attemptsRace},
		{"a clock that stepped back locks nobody out", attemptsClock},
		{"clocks that are apart give nothing back", attemptsApart},
		{"prune takes whole buckets, in bounds", attemptsPrune},
	}
}

func allowance() user.Allowance { return user.Allowance{Burst: 3, Recovery: time.Minute} }

// charge charges bucket d after the epoch and returns the wait.
func (k kit) charge(bucket string, d time.Duration) time.Duration {
	k.Helper()
	wait, err := k.db.Attempts().Charge(k.Context(), bucket, allowance(), epoch().Add(d))
	k.must(err)
	return wait
}

func attemptsBurst(k kit) {
	var got []time.Duration
	at := []time.Duration{
		0, 0, 0, 0, time.Second, time.Minute - 1, time.Minute, time.Minute, 2*time.Minute + time.Second, 24 * time.Hour,
	}
	for _, d := range at {
		got = append(got, k.charge("b", d))
	}
	k.equal(got, []time.Duration{
		0, 0, 0, time.Minute, time.Minute - time.Second, time.Millisecond, 0, time.Minute, 0, 0,
	})
}

func attemptsBuckets(k kit) {
	for _, bucket := range []string{"a", "b", "c"} {
		for range 3 {
			k.equal(k.charge(bucket, 0), time.Duration(0))
		}
	}
	k.equal(k.charge("a", 0), time.Minute)
	k.must(k.db.Attempts().Clear(k.Context(), "a", "c"))
	k.must(k.db.Attempts().Clear(k.Context(), "nothing"))
	k.equal(k.charge("a", 0), time.Duration(0))
	k.equal(k.charge("c", 0), time.Duration(0))
	k.equal(k.charge("b", 0), time.Minute)
}

func attemptsRace(k kit) {
	waits := make([]time.Duration, 2*racers)
	errs := k.race(len(waits), func(ctx context.Context, i int) (err error) {
		waits[i], err = k.db.Attempts().Charge(ctx, "b", allowance(), epoch())
		return err
	})
	k.equal(count(errs, nil), len(waits))
	charged := 0
	for _, wait := range waits {
		if wait == 0 {
			charged++
		}
	}
	k.equal(charged, allowance().Burst)
}

func attemptsClock(k kit) {
	for range 3 {
		k.charge("b", 24*time.Hour)
	}
	k.equal(k.charge("b", 24*time.Hour), time.Minute)
	k.equal([]time.Duration{k.charge("b", 0), k.charge("b", 0), k.charge("b", time.Minute)}, []time.Duration{0, time.Minute, 0})
}

// attemptsApart has two replicas, of which one is half a minute ahead.
func attemptsApart(k kit) {
	const ahead = 30 * time.Second
	for range 3 {
		k.charge("b", ahead)
	}
	k.equal([]time.Duration{k.charge("b", 0), k.charge("b", ahead), k.charge("b", 0)}, []time.Duration{time.Minute + ahead, time.Minute, time.Minute + ahead})
	k.equal([]time.Duration{k.charge("b", time.Minute), k.charge("b", time.Minute+ahead), k.charge("b", time.Minute+ahead)},
		[]time.Duration{ahead, 0, time.Minute})
}

func attemptsPrune(k kit) {
	for i := range 3 {
		k.charge(fmt.Sprint("old", i), 0)
	}
	for range 3 {
		k.charge("new", time.Minute)
	}
	var counts []int
	for range 3 {
		n, err := k.db.Attempts().Prune(k.Context(), epoch().Add(time.Minute+1000), 2)
		k.must(err)
		counts = append(counts, n)
	}
	k.equal(counts, []int{2, 1, 0})
	k.equal(k.charge("new", time.Minute), time.Minute)
}

func revocationTests() []test {
	return []test{
		{"what is appended is read back in order", revocationsOrder},
		{"no number comes late or twice", revocationsRace},
		{"prune takes what expired but the newest, in bounds, and no number returns", revocationsPrune},
		{"the head is the newest entry, in its epoch", revocationsHead},
		{"the first that has not expired", revocationsUnexpired},
		{"a long list is one step", revocationsMany},
	}
}

func entry(id string, expires time.Time) revocation.Entry {
	return revocation.Entry{Kind: revocation.Session, ID: id, ExpiresAt: expires}
}

func revocationsOrder(k kit) {
	u := revocation.Entry{
		Kind: revocation.User, ID: "u", NotBefore: epoch().Truncate(time.Second), ExpiresAt: epoch().Add(time.Hour),
	}
	k.must(k.db.Revocations().Append(k.Context(), nil))
	k.must(k.db.Revocations().Append(k.Context(), []revocation.Entry{entry("a", epoch()), u}))
	k.must(k.db.Revocations().Append(k.Context(), []revocation.Entry{entry("b", epoch())}))
	got, err := k.db.Revocations().After(k.Context(), 0, 9)
	k.must(err)
	if len(got) != 3 || got[0].Seq <= 0 || got[0].Seq >= got[1].Seq || got[1].Seq >= got[2].Seq {
		k.Fatalf("feed = %+v", got)
	}
	page, err := k.db.Revocations().After(k.Context(), got[0].Seq, 1)
	k.must(err)
	k.equal(page, got[1:2])
	for i := range got {
		got[i].Seq = 0
	}
	k.equal(got, []revocation.Entry{entry("a", epoch()), u, entry("b", epoch())})
}

// revocationsRace follows the feed while others write to it.
func revocationsRace(k kit) {
	ctx, stop := context.WithCancel(k.Context())
	seen := map[string]bool{}
	var after int64
	var follower sync.WaitGroup
	var failed error
	read := func() {
		entries, err := k.db.Revocations().After(k.Context(), after, 1000)
		failed = errors.Join(failed, err)
		for _, e := range entries {
			seen[e.ID], after = true, e.Seq
		}
	}
	follower.Go(func() {
		for ctx.Err() == nil {
			read()
		}
	})
	errs := k.race(racers, func(ctx context.Context, i int) error {
		for j := range 5 {
			if err := k.db.InTx(ctx, func(ctx context.Context) error {
				return k.db.Revocations().Append(ctx, []revocation.Entry{
					entry(fmt.Sprint(i, ".", j, "a"), epoch()), entry(fmt.Sprint(i, ".", j, "b"), epoch()),
				})
			}); err != nil {
				return err
			}
		}
		return nil
	})
	stop()
	follower.Wait()
	read()
	k.must(failed)
	k.equal(count(errs, nil), racers)
	k.equal(len(seen), racers*5*2)
}

func revocationsPrune(k kit) {
	feed := k.db.Revocations()
	k.must(feed.Append(k.Context(), []revocation.Entry{
		entry("a", epoch()), entry("b", epoch().Add(-time.Hour)), entry("c", epoch().Add(-time.Minute)),
		entry("d", epoch().Add(-time.Second)), entry("e", epoch().Add(-time.Second)),
	}))
	before, err := feed.After(k.Context(), 0, 9)
	k.must(err)
	for _, want := range []int{2, 1, 0} {
		n, err := feed.Prune(k.Context(), epoch(), 2)
		k.must(err)
		k.equal(n, want)
	}
	left, err := feed.After(k.Context(), 0, 9)
	k.must(err)
	k.equal(left, []revocation.Entry{before[0], before[4]})
	k.must(feed.Append(k.Context(), []revocation.Entry{entry("f", epoch())}))
	next, err := feed.After(k.Context(), before[4].Seq, 9)
	k.must(err)
	k.equal(len(next), 1)
}

func revocationsHead(k kit) {
	feed := k.db.Revocations()
	head := func() [2]int64 {
		k.Helper()
		epoch, seq, err := feed.Head(k.Context())
		k.must(err)
		return [2]int64{epoch, seq}
	}
	k.equal(head(), [2]int64{1, 0})
	k.must(feed.Append(k.Context(), []revocation.Entry{entry("a", epoch()), entry("b", epoch())}))
	k.equal(head(), [2]int64{1, 2})
	k.must(feed.NextEpoch(k.Context()))
	k.equal(head(), [2]int64{2, 2})
}

func revocationsUnexpired(k kit) {
	feed := k.db.Revocations()
	first := func(t time.Time) int64 {
		seq, err := feed.Unexpired(k.Context(), t)
		k.must(err)
		return seq
	}
	k.equal(first(epoch()), int64(0))
	k.must(feed.Append(k.Context(), []revocation.Entry{
		entry("a", epoch()), entry("late", epoch().Add(2*time.Hour)), entry("early", epoch().Add(time.Hour)),
	}))
	all, err := feed.After(k.Context(), 0, 9)
	k.must(err)
	k.equal(first(epoch()), all[0].Seq)
	k.equal(first(epoch().Add(time.Microsecond)), all[1].Seq)
	k.equal(first(epoch().Add(time.Hour)), all[1].Seq)
	k.equal(first(epoch().Add(3*time.Hour)), int64(0))
}

func revocationsMany(k kit) {
	entries := make([]revocation.Entry, 2500)
	for i := range entries {
		entries[i] = entry(fmt.Sprint(i), epoch())
	}
	k.must(k.db.Revocations().Append(k.Context(), entries))
	got, err := k.db.Revocations().After(k.Context(), 0, 3000)
	k.must(err)
	k.equal(len(got), len(entries))
	for i := range got {
		if got[i].ID != entries[i].ID {
			k.Fatalf("entry %d is %s", i, got[i].ID)
		}
	}
}

func auditTests() []test {
	return []test{{"events are kept and pruned in bounds", auditPrune}}
}

func auditPrune(k kit) {
	for i, text := range strange() {
		k.must(k.db.Audit().Append(k.Context(), audit.Event{
			At: epoch().Add(time.Duration(i) * time.Second), Kind: audit.LoggedIn, UserID: text, SessionID: text, Detail: text,
			Origin: audit.Origin{IP: "192.0.2.1", UserAgent: text, RequestID: text},
		}))
	}
	var counts []int
	for range 4 {
		n, err := k.db.Audit().Prune(k.Context(), epoch().Add(5*time.Second), 2)
		k.must(err)
		counts = append(counts, n)
	}
	k.equal(counts, []int{2, 2, 1, 0})
}
