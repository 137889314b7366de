package revocation

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"
)

// ErrInvalidCursor is a text that is no cursor.
var ErrInvalidCursor = errors.New("revocation: not a cursor")

// Cursor is a place in the feed of one epoch. The zero Cursor is its beginning.
type Cursor struct{ epoch, seq int64 }

// ParseCursor reads what [Cursor.String] wrote, or returns [ErrInvalidCursor].
func ParseCursor(s string) (Cursor, error) {
	left, right, _ := strings.Cut(s, "-")
	epoch, errEpoch := strconv.ParseInt(left, 10, 64)
	seq, errSeq := strconv.ParseInt(right, 10, 64)
	c := Cursor{epoch, seq}
	if errEpoch != nil || errSeq != nil || epoch < 0 || seq < 0 || c.String() != s {
		return Cursor{}, ErrInvalidCursor
	}
	return c, nil
}

// String returns c as digits and a hyphen.
func (c Cursor) String() string { return fmt.Sprintf("%d-%d", c.epoch, c.seq) }

// Page is a part of the feed.
type Page struct {
	Entries []Entry // not to be changed
	Next    Cursor  // where the next page begins
	More    bool    // there is one at this moment
	Time    time.Time
	Lag     time.Duration // how long before Time the feed was last known to be complete
}

const (
	// clash is how long a cursor that is ahead of this process is waited for: another
	// one may have read the feed a moment earlier.
	clash = 2 * time.Second
	// clashSyncs is how many times the feed is read until such a cursor is known to
	// be none of this database's: the first one may have begun before it was asked.
	clashSyncs = 2
)

// Next returns at most limit entries after the cursor. Where there are none it waits
// for some until wait is over or ctx ends, and its page is then without entries.
// Somebody has to call [Feed.Sync] meanwhile.
//
// A cursor of another epoch, or one that this database never gave out, is
// answered from the beginning: what stood there before was taken back.
func (f *Feed) Next(ctx context.Context, after Cursor, limit int, wait time.Duration) Page {
	p, ahead, tick := f.page(after, limit)
	if ahead {
		wait = max(wait, clash)
		f.Wake()
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	for syncs := 1; len(p.Entries) == 0; syncs++ {
		select {
		case <-tick:
		case <-over.C:
			p, _, _ = f.page(after, limit) // as old as it is by then
			return p
		case <-ctx.Done():
			return p
		}
		if ahead && syncs >= clashSyncs {
			after = Cursor{}
		}
		p, ahead, tick = f.page(after, limit)
		if ahead {
			f.Wake()
		}
	}
	return p
}

// page returns what is there after the cursor, whether the cursor is ahead of what was
// read, and what the next Sync closes.
func (f *Feed) page(after Cursor, limit int) (p Page, ahead bool, tick <-chan struct{}) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	now := f.now()
	p = Page{Next: f.at, Time: now, Lag: now.Sub(f.synced)}
	if after.epoch == f.at.epoch && after.seq > f.at.seq {
		p.Next = after
		return p, true, f.tick
	}
	first := 0
	if after.epoch == f.at.epoch {
		first = sort.Search(len(f.log), func(i int) bool { return f.log[i].Seq > after.seq })
	}
	end := min(first+limit, len(f.log))
	p.Entries, p.More = f.log[first:end], end < len(f.log)
	if p.More {
		p.Next.seq = f.log[end-1].Seq
	}
	return p, false, f.tick
}

// finish lets followers know that the set is complete, and forgets what has
// expired.
func (f *Feed) finish(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.synced = now
	if !ahead(f.latest, now) {
		f.latest = now.Round(0)
	}
	if !ahead(f.dated, now) {
		f.dated = now.Round(0)
	}
	close(f.tick)
	f.tick = make(chan struct{})
	if f.again { // from what has not expired on
		f.again, f.gone = false, now.Add(-f.life())
	}
	if now.Sub(f.forgot).Abs() < forgetEvery {
		return
	}
	f.forgot, f.gone = now, now.Add(-f.life())
	f.trimLocked(now)
	for id, expires := range f.sessions {
		if expires.Before(now) {
			delete(f.sessions, id)
		}
	}
	for id, e := range f.users {
		if e.ExpiresAt.Before(now) {
			delete(f.users, id)
		}
	}
}

// trimLocked drops what has expired from the log, wherever it stands: one entry may
// outlive all that came after it. Readers may still hold the old one, so it is copied and
// not moved within itself.
func (f *Feed) trimLocked(now time.Time) {
	var kept []Entry
	for _, e := range f.log {
		if !e.ExpiresAt.Before(now) {
			kept = append(kept, e)
		}
	}
	f.log = kept
}
