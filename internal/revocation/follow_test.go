package revocation_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/internal/revocation"
)

// write appends as another process does: nobody here is told.
func (s *table) write(t *testing.T, entries ...revocation.Entry) {
	t.Helper()
	if err := s.Append(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
}

func mustSync(t *testing.T, f *revocation.Feed) {
	t.Helper()
	if err := f.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// syncWhenWanted does what the program does in the background.
func syncWhenWanted(t *testing.T, f *revocation.Feed) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-f.Wanted():
			case <-time.After(time.Second):
			}
			if err := f.Sync(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	return func() { cancel(); running.Wait() }
}

func ids(p revocation.Page) string {
	var all []string
	for _, e := range p.Entries {
		all = append(all, e.ID)
	}
	return strings.Join(all, " ")
}

func TestFollowersReadPageByPage(t *testing.T) {
	f, s, _ := newFeed()
	for i := range 5 {
		s.write(t, f.Sessions(fmt.Sprint(i))...)
	}
	mustSync(t, f)
	var after revocation.Cursor
	for _, want := range []string{"0 1", "2 3", "4"} {
		p := f.Next(t.Context(), after, 2, 0)
		if ids(p) != want || p.More != (want != "4") {
			t.Fatalf("after %s: %q, more %t; want %q", after, ids(p), p.More, want)
		}
		after = p.Next
	}
	if p := f.Next(t.Context(), after, 2, 0); ids(p) != "" || p.Next != after {
		t.Errorf("at the end: %q, next %s after %s", ids(p), p.Next, after)
	}
}

func TestFollowersAreWokenBySync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s, _ := newFeed()
		mustSync(t, f)
		after := f.Next(t.Context(), revocation.Cursor{}, 9, 0).Next
		begin := time.Now()
		var got revocation.Page
		var follower sync.WaitGroup
		follower.Go(func() { got = f.Next(t.Context(), after, 9, 25*time.Second) })
		time.Sleep(time.Second)
		mustSync(t, f) // without news
		time.Sleep(time.Second)
		s.write(t, f.Sessions("a")...)
		mustSync(t, f)
		follower.Wait()
		if ids(got) != "a" || time.Since(begin) != 2*time.Second {
			t.Errorf("%q after %s", ids(got), time.Since(begin))
		}
		begin = time.Now()
		if p := f.Next(t.Context(), got.Next, 9, 7*time.Second); ids(p) != "" || time.Since(begin) != 7*time.Second {
			t.Errorf("%q after %s, want nothing after 7s", ids(p), time.Since(begin))
		}
		begin = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if f.Next(ctx, got.Next, 9, 7*time.Second); time.Since(begin) != time.Second {
			t.Errorf("left after %s, want 1s", time.Since(begin))
		}
	})
}

// A replica that is a moment behind another one must not take the other one's
// cursor for one of another life of the database.
func TestCursorFromAReplicaThatIsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		behind, s, c := newFeed()
		s.write(t, behind.Sessions("a")...)
		mustSync(t, behind)
		ahead := revocation.NewFeed(s, func() time.Duration { return life }, c.now)
		s.write(t, ahead.Sessions("b")...)
		mustSync(t, ahead)
		after := ahead.Next(t.Context(), revocation.Cursor{}, 9, 0).Next
		defer syncWhenWanted(t, behind)()
		if p := behind.Next(t.Context(), after, 9, 0); ids(p) != "" || p.Next != after {
			t.Errorf("%q, next %s after %s", ids(p), p.Next, after)
		}
	})
}

// What has no database to be read from waits no longer than it was told to.
func TestCursorAheadWhileTheDatabaseIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, _ := newFeed()
		mustSync(t, f)
		after, err := revocation.ParseCursor("1-99")
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if p := f.Next(t.Context(), after, 9, 0); p.Next != after || len(p.Entries) > 0 || time.Since(begin) > 5*time.Second {
			t.Errorf("%+v after %s", p, time.Since(begin))
		}
	})
}

// A database that was put back gives numbers out again. Those who have read the
// old ones are told everything once more, and forget nothing.
func TestDatabaseThatWasPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s, c := newFeed()
		s.write(t, f.Sessions("a", "b", "c")...)
		mustSync(t, f)
		after := f.Next(t.Context(), revocation.Cursor{}, 9, 0).Next

		s.mu.Lock()
		s.entries = s.entries[:1]
		s.mu.Unlock()
		s.write(t, f.Sessions("d")...)
		mustSync(t, f)
		for _, id := range []string{"a", "b", "c", "d"} {
			if !f.Revoked(id, "u", c.at) {
				t.Errorf("%s is not revoked", id)
			}
		}
		defer syncWhenWanted(t, f)()
		if p := f.Next(t.Context(), after, 9, 0); ids(p) != "a d" {
			t.Errorf("after a cursor of the other life: %q", ids(p))
		}

		if err := f.NextEpoch(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.write(t, f.Sessions("e", "f", "g")...)
		mustSync(t, f)
		if p := f.Next(t.Context(), after, 9, 0); ids(p) != "a d e f g" {
			t.Errorf("after a cursor of the other epoch: %q", ids(p))
		}
		after = f.Next(t.Context(), revocation.Cursor{}, 9, 0).Next
		if err := f.NextEpoch(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustSync(t, f)
		if p := f.Next(t.Context(), after, 9, 0); ids(p) != "a d e f g" {
			t.Errorf("after an epoch without an entry: %q", ids(p))
		}
	})
}

// TestLogIsNotHeldUp has one entry outlive what came after it.
func TestLogIsNotHeldUp(t *testing.T) {
	f, s, c := newFeed()
	s.write(t, f.Token("a", c.at.Add(1000*time.Hour)))
	s.write(t, f.Sessions("b", "c")...)
	mustSync(t, f)
	c.at = c.at.Add(life + time.Second)
	mustSync(t, f)
	if p := f.Next(t.Context(), revocation.Cursor{}, 9, 0); ids(p) != "a" {
		t.Errorf("the feed has %q, want a", ids(p))
	}
}

func TestLogForgetsWhatHasExpired(t *testing.T) {
	f, s, c := newFeed()
	s.write(t, f.Sessions("a", "b")...)
	mustSync(t, f)
	held := f.Next(t.Context(), revocation.Cursor{}, 9, 0)
	c.at = c.at.Add(life + time.Second)
	s.write(t, f.Sessions("c")...)
	mustSync(t, f)
	if p := f.Next(t.Context(), revocation.Cursor{}, 9, 0); ids(p) != "c" {
		t.Errorf("the feed begins with %q, want c", ids(p))
	}
	if ids(held) != "a b" {
		t.Errorf("a page that was handed out is now %q", ids(held))
	}
}

func TestAllTokensBeforeABorder(t *testing.T) {
	f, s, c := newFeed()
	s.write(t, f.All(c.at))
	mustSync(t, f)
	if !f.Revoked("s", "u", c.at.Add(-time.Second)) || f.Revoked("s", "u", c.at) {
		t.Error("the border is not where it was drawn")
	}
}

// TestKeysAreReadAgain holds that a revoked key is told until it was heard.
func TestKeysAreReadAgain(t *testing.T) {
	f, s, _ := newFeed()
	calls, fail := 0, errors.New("away")
	f.KeyRevoked = func(context.Context) error { calls++; return fail }
	s.write(t, f.Sessions("a")...)
	mustSync(t, f)
	s.write(t, f.Key("k"))
	for range 2 {
		if err := f.Sync(t.Context()); !errors.Is(err, fail) {
			t.Errorf("error = %v", err)
		}
	}
	fail = nil
	mustSync(t, f)
	mustSync(t, f)
	if calls != 3 {
		t.Errorf("%d calls, want 2 that fail and 1", calls)
	}
}

func TestChangedEndsNothing(t *testing.T) {
	f, s, c := newFeed()
	s.write(t, f.Changed("u"))
	mustSync(t, f)
	if f.Revoked("s", "u", c.at) || f.Size() != 0 {
		t.Error("a change of a user revokes something")
	}
	if p := f.Next(t.Context(), revocation.Cursor{}, 9, 0); len(p.Entries) != 1 || p.Entries[0].Kind != revocation.Changed {
		t.Errorf("followers get %+v", p.Entries)
	}
}

func TestParseCursor(t *testing.T) {
	if c, err := revocation.ParseCursor("3-14"); err != nil || c.String() != "3-14" {
		t.Errorf("%s, %v", c, err)
	}
	for _, s := range []string{"", "-", "1", "1-", "-1", "1-2-3", "01-2", "1-+2", "1--2", "-1-2", " 1-2", "1-99999999999999999999", "a-b"} {
		if _, err := revocation.ParseCursor(s); !errors.Is(err, revocation.ErrInvalidCursor) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestAppendedHereIsWanted(t *testing.T) {
	f, _, _ := newFeed()
	f.Apply(nil)
	select {
	case <-f.Wanted():
		t.Error("nothing wants a Sync")
	default:
	}
	for range 3 {
		f.Apply(f.Sessions("a"))
	}
	select {
	case <-f.Wanted():
	default:
		t.Error("no Sync is wanted")
	}
}
