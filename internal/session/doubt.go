package session

import (
	"errors"
	"sync"
	"time"
)

// maxDoubts bounds what is remembered of rotations whose outcome was not told in time.
const maxDoubts = 10_000

// doubts remembers rotations of which the database did not tell what became of them, or
// told it late, and when their holders were answered. Such a write may land after the grace
// that began with it, and its answer come too late to be waited for.
type doubts struct {
	mu sync.Mutex
	of map[ID]doubt
}

// doubt is of the attempts to rotate one generation, of which each came within the grace of
// what the one before was told, or beside it.
type doubt struct {
	from        Generation
	first, told time.Time
}

// note keeps that whoever asked for r was told at the time told that it was done, or that
// nobody knows. What was told longer than grace ago may be forgotten.
func (d *doubts) note(r Rotation, told time.Time, grace time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known, ok := d.of[r.ID]
	if ok && known.from == r.From && r.At.Sub(known.told) <= grace {
		if r.At.Before(known.first) { // it waited longer than one that came after it
			known.first = r.At
		}
		known.told = told
		d.of[r.ID] = known
		return
	}
	if len(d.of) >= maxDoubts {
		for id, old := range d.of {
			if told.Sub(old.told) > grace {
				delete(d.of, id)
			}
		}
	}
	if ok || len(d.of) < maxDoubts {
		d.of[r.ID] = doubt{r.From, r.At, told}
	}
}

// known returns when the holder of current's parent could know that current had been
// issued: when it was, or when they were last answered that it was, or that nobody knows.
// Only a rotation that was attempted between the two is one of those in doubt.
func (d *doubts) known(current Session) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, issued := d.of[current.ID], current.LastUsedAt
	if at.from != current.Generation-1 || issued.Before(at.first) || issued.After(at.told) {
		return issued
	}
	return at.told
}

// untold reports whether err is of a database that does not tell what became of a write.
func untold(err error) bool {
	var e interface{ Unavailable() bool }
	return errors.As(err, &e) && e.Unavailable()
}
