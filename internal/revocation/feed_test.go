package revocation_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/revocation"
)

// table is the feed as another process writes it.
type table struct {
	mu      sync.Mutex
	entries []revocation.Entry
	epoch   int64
	err     error
	reads   int
	asked   func() // by whoever asks for the head, if it is not nil
}

func (s *table) Append(_ context.Context, entries []revocation.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		e.Seq = int64(len(s.entries) + 1)
		s.entries = append(s.entries, e)
	}
	return s.err
}

func (s *table) After(_ context.Context, seq int64, limit int) ([]revocation.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	rest := s.entries[min(int(seq), len(s.entries)):]
	return rest[:min(limit, len(rest))], s.err
}

func (s *table) Head(context.Context) (epoch, seq int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked != nil {
		s.asked()
	}
	return s.epoch, int64(len(s.entries)), s.err
}

func (s *table) Unexpired(_ context.Context, t time.Time) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := slices.IndexFunc(s.entries, func(e revocation.Entry) bool { return !e.ExpiresAt.Before(t) })
	return int64(first + 1), s.err
}

func (s *table) NextEpoch(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
	return s.err
}

func (s *table) Prune(context.Context, time.Time, int) (int, error) { return 0, nil }

const life = 10*time.Minute + 30*time.Second

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newFeed() (*revocation.Feed, *table, *clock) {
	s, c := &table{epoch: 1}, &clock{at: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	return revocation.NewFeed(s, func() time.Duration { return life }, c.now), s, c
}

func TestSyncReadsAllPages(t *testing.T) {
	f, s, c := newFeed()
	var entries []revocation.Entry
	for i := range 2500 {
		entries = append(entries, f.Sessions(fmt.Sprint(i))...)
	}
	if err := s.Append(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"0", "999", "1000", "2499"} {
		if !f.Revoked(id, "u", c.at) {
			t.Errorf("session %s is not revoked", id)
		}
	}
	if f.Revoked("2500", "u", c.at) || f.Size() != 2500 {
		t.Errorf("size = %d", f.Size())
	}
	reads := s.reads
	if err := f.Sync(t.Context()); err != nil || s.reads != reads {
		t.Errorf("a Sync without news reads %d pages, %v", s.reads-reads, err)
	}
}

func TestUsersAreRevokedByTime(t *testing.T) {
	f, _, c := newFeed()
	border := c.at.Add(time.Second)
	f.Apply([]revocation.Entry{f.User("u", border)})
	f.Apply([]revocation.Entry{f.User("u", border.Add(-time.Minute))}) // an older one takes nothing back
	for issued, want := range map[time.Time]bool{border.Add(-time.Second): true, border: false, border.Add(time.Second): false} {
		if f.Revoked("s", "u", issued) != want {
			t.Errorf("issued at %s: revoked %t, want %t", issued, !want, want)
		}
	}
	if f.Revoked("s", "v", border.Add(-time.Hour)) {
		t.Error("another user is revoked")
	}
}

func TestEntriesLiveAsLongAsTheTokens(t *testing.T) {
	f, _, c := newFeed()
	f.Apply(f.Sessions("s"))
	f.Apply([]revocation.Entry{f.User("u", c.at.Add(time.Second))})
	c.at = c.at.Add(life - time.Second)
	if err := f.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !f.Revoked("s", "x", c.at) || f.Size() != 2 {
		t.Error("an entry is forgotten while a token lives")
	}
	c.at = c.at.Add(2 * time.Minute)
	if err := f.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f.Size() != 0 {
		t.Errorf("%d entries outlive the tokens", f.Size())
	}
}

func TestClockThatWasAheadLetsNobodyIn(t *testing.T) {
	f, s, c := newFeed()
	if err := s.Append(t.Context(), f.Sessions("ended")); err != nil {
		t.Fatal(err)
	}
	sync := func(step time.Duration) {
		t.Helper()
		c.at = c.at.Add(step)
		if err := f.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	sync(0)
	sync(24 * time.Hour)
	if f.Size() != 0 {
		t.Errorf("a day later the set still holds %d entries", f.Size())
	}
	if f.Revoked("living", "u", c.at.Add(-life)) {
		t.Error("a token that has not expired is refused")
	}
	c.at = c.at.Add(-24 * time.Hour)
	if !f.Revoked("ended", "u", c.at) {
		t.Error("as soon as the clock is right again, the token of an ended session is good")
	}
	for range 2 {
		if err := f.Recall(t.Context(), c.at); err != nil {
			t.Fatal(err)
		}
	}
	if !f.Revoked("ended", "u", c.at) || f.Revoked("living", "u", c.at) {
		t.Error("once the clock is right again, the token of an ended session is good, or that of a living one is not")
	}
	reads := s.reads
	sync(-backWithoutNotice)
	if s.reads != reads {
		t.Error("the clock went back a little, and the whole feed is read again")
	}
}

// What ends once a clock that was ahead was put right is not forgotten until the tokens
// that were dated by that clock have expired, whoever's clock it was.
func TestEndedAfterTheClockWasPutRight(t *testing.T) {
	for name, tt := range map[string]struct {
		ahead time.Duration
		show  func(t *testing.T, f *revocation.Feed, c *clock)
		kept  bool
	}{
		"never":    {time.Hour, func(*testing.T, *revocation.Feed, *clock) {}, false},
		"mine":     {time.Hour, showOwn(time.Hour), true},
		"a day":    {24 * time.Hour, showOwn(24 * time.Hour), true},
		"of years": {time.Hour, showOwn(3 * 365 * 24 * time.Hour), false},
		"another's": {time.Hour, func(_ *testing.T, f *revocation.Feed, c *clock) {
			shown := c.at.Add(time.Hour)
			f.Seen = func() time.Time { return shown }
		}, true},
		"an operator's": {time.Hour, func(_ *testing.T, f *revocation.Feed, c *clock) {
			f.Apply([]revocation.Entry{f.User("v", c.at.Add(time.Hour+time.Second))})
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			f, _, c := newFeed()
			tt.show(t, f, c)
			begin := c.at
			f.Apply(append(f.Sessions("s"), f.Gone("client", c.at.Add(time.Second))))
			again := f.Gone("client", c.at.Add(time.Second))
			for range (tt.ahead + life) / time.Minute {
				c.at = c.at.Add(time.Minute)
				if err := f.Sync(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			issued := begin.Add(tt.ahead)
			if f.Revoked("s", "u", issued) != tt.kept || f.Revoked("t", "client", issued) != tt.kept {
				t.Errorf("tokens of a time that has come are refused: %t, want %t", !tt.kept, tt.kept)
			}
			if again.NotBefore.After(begin.Add(tt.ahead + 3*time.Minute)) {
				t.Errorf("the end of a second client is dated %v ahead", again.NotBefore.Sub(begin))
			}
			c.at = c.at.Add(life)
			if err := f.Sync(t.Context()); err != nil || f.Size() != 0 || f.Ahead() {
				t.Errorf("%d entries outlive the tokens, ahead %t, %v", f.Size(), f.Ahead(), err)
			}
		})
	}
}

// showOwn has the feed read while the clock is ahead, and when it was put right.
func showOwn(d time.Duration) func(t *testing.T, f *revocation.Feed, c *clock) {
	return func(t *testing.T, f *revocation.Feed, c *clock) {
		t.Helper()
		for _, step := range []time.Duration{d, -d} {
			c.at = c.at.Add(step)
			if err := f.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A process that starts reads what is in force, and not what the feed keeps for a clock
// that is put right. That it reads once the clock is.
func TestStartReadsWhatIsInForce(t *testing.T) {
	f, s, c := newFeed()
	var past []revocation.Entry
	for i := range 2500 {
		past = append(past, f.Sessions(fmt.Sprint(i))...)
	}
	c.at = c.at.Add(2 * life)
	if err := s.Append(t.Context(), append(past, f.Sessions("now")...)); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f.Size() != 1 || s.reads != 1 || !f.Revoked("now", "u", c.at) {
		t.Errorf("%d reads for a set of %d; want one for the entry in force", s.reads, f.Size())
	}
	if p := f.Next(t.Context(), revocation.Cursor{}, 9, 0); len(p.Entries) != 1 || p.Next.String() != "1-2501" {
		t.Errorf("followers are told %v and go on from %s", p.Entries, p.Next)
	}
	c.at = c.at.Add(-2 * life)
	if err := f.Sync(t.Context()); err != nil || !f.Revoked("7", "u", c.at) {
		t.Errorf("once the clock is right, the token of an ended session is good, %v", err)
	}
}

// The clock is put right while the feed is read: what was left out by the wrong one is
// read by the next Sync.
func TestClockThatIsPutRightMeanwhile(t *testing.T) {
	f, s, c := newFeed()
	if err := s.Append(t.Context(), f.Sessions("ended", "newest")); err != nil {
		t.Fatal(err)
	}
	c.at = c.at.Add(24 * time.Hour)
	s.asked = func() { c.at, s.asked = c.at.Add(-24*time.Hour), nil }
	for range 2 {
		if err := f.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !f.Revoked("ended", "u", c.at) {
		t.Error("the token of an ended session is good")
	}
}

// Nothing is in force, and what comes is read.
func TestStartWhereAllHasExpired(t *testing.T) {
	f, s, c := newFeed()
	if err := s.Append(t.Context(), f.Sessions("past")); err != nil {
		t.Fatal(err)
	}
	c.at = c.at.Add(2 * life)
	if err := f.Sync(t.Context()); err != nil || f.Size() != 0 || s.reads != 0 {
		t.Errorf("%d reads for a set of %d, %v; want none", s.reads, f.Size(), err)
	}
	if err := s.Append(t.Context(), f.Sessions("now")); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(t.Context()); err != nil || !f.Revoked("now", "u", c.at) {
		t.Errorf("what came after the start is not read, %v", err)
	}
}

// backWithoutNotice is less than what a clock is put right by now and then.
const backWithoutNotice = 500 * time.Millisecond

func TestFailedSyncKeepsTheSetAndShowsItsAge(t *testing.T) {
	f, s, c := newFeed()
	if err := f.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Apply(f.Sessions("s"))
	s.err = errors.New("away")
	c.at = c.at.Add(5 * time.Second)
	if err := f.Sync(t.Context()); !errors.Is(err, s.err) {
		t.Errorf("error = %v", err)
	}
	if !f.Revoked("s", "u", c.at) || f.Lag() != 5*time.Second {
		t.Errorf("revoked = %t, lag = %s", f.Revoked("s", "u", c.at), f.Lag())
	}
	if err := f.Append(t.Context(), f.Sessions("x")); !errors.Is(err, s.err) {
		t.Errorf("Append: %v", err)
	}
	if err := f.Append(t.Context(), nil); err != nil {
		t.Errorf("Append of nothing asks the store: %v", err)
	}
}

func TestReadersAndWritersTogether(t *testing.T) {
	f, s, c := newFeed()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 200 {
				id := fmt.Sprint(i, "-", j)
				if err := f.Append(t.Context(), f.Sessions(id)); err != nil {
					t.Error(err)
				}
				f.Apply(f.Sessions(id))
				if !f.Revoked(id, "u", c.at) {
					t.Errorf("%s is not revoked", id)
				}
				if j%50 == 0 {
					if err := f.Sync(t.Context()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if f.Size() != 1600 || len(s.entries) != 1600 {
		t.Errorf("size = %d, table = %d", f.Size(), len(s.entries))
	}
}
