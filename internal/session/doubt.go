package session

import (
	"errors"
	"sync"
	"time"
)

// maxDoubts bounds what is remembered of rotations whose outcome was not told in time.
const maxDoubts = 10_000

// doubts remembers rotations of which the database did not tell what became of them, or
// told it late or while the clock was set, and when their holders were answered. Such a
// write may land after the grace that began with it, and its answer come too late to be
// waited for.
type doubts struct {
	mu sync.Mutex
	of map[ID]doubt
}

// doubt is of the attempts to rotate one generation, of which each came within the grace of
// what the one before was told, or beside it.
type doubt struct {
	from Generation
	// first is the earliest time of an attempt, and last the latest one that the clock
	// showed then or with an answer.
	first, last time.Time
	told        instant
}

// instant is a moment by the clock, which may be set at any time, and by what passes, which
// may stand still while the machine sleeps.
type instant struct{ at, passed time.Time }

// since returns how long ago other was, by that of the two which says more.
func (i instant) since(other instant) time.Duration {
	return max(i.at.Sub(other.at), i.passed.Sub(other.passed))
}

// note keeps that whoever came for r was told at the instant told that it was done, or that
// nobody knows. What was told longer than grace ago may be forgotten.
func (d *doubts) note(r Rotation, came, told instant, grace time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	noted := doubt{from: r.From, first: r.At, last: later(r.At, told.at), told: told}
	known, ok := d.of[r.ID]
	if ok && known.from == r.From && came.since(known.told) <= grace {
		// One may have waited longer than one that came after it.
		noted.first, noted.last = earlier(known.first, noted.first), later(known.last, noted.last)
	}
	if !ok && len(d.of) >= maxDoubts {
		for id, old := range d.of {
			if told.since(old.told) > grace {
				delete(d.of, id)
			}
		}
	}
	if ok || len(d.of) < maxDoubts {
		d.of[r.ID] = noted
	}
}

// cover reports whether current was issued in a rotation that was in doubt, and the holder
// of its parent, who comes at that instant, was answered no longer than grace ago. Only what
// was attempted between the first attempt and the last answer is one of those in doubt.
func (d *doubts) cover(current Session, came instant, grace time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	of, issued := d.of[current.ID], current.LastUsedAt
	return of.from == current.Generation-1 && !issued.Before(of.first) && !issued.After(of.last) && came.since(of.told) <= grace
}

// untold reports whether err is of a database that does not tell what became of a write.
func untold(err error) bool {
	var e interface{ Unavailable() bool }
	return errors.As(err, &e) && e.Unavailable()
}
