package bearer

import (
	"math"
	"sync"
	"sync/atomic"
)

// set is what the feed has told of, in memory. Many read it while one writes: its
// readers take no lock, and what one look-up costs does not grow with the set.
type set struct {
	sessions, subjects, keys names
	all                      atomic.Pointer[cut]
	limit                    int64 // of names of one kind, so that none crowds out another
}

// cut ends tokens that were issued before some second.
type cut struct {
	before  int64 // NumericDate; math.MaxInt64 ends all of them
	expires int64 // NumericDate from which on no such token can be valid
}

// later returns the wider of two cuts of one name: an entry never takes back what
// another one ended.
func (c cut) later(other cut) cut {
	return cut{before: max(c.before, other.before), expires: max(c.expires, other.expires)}
}

// names is the cuts of one kind.
type names struct {
	cuts sync.Map     // string -> cut
	size atomic.Int64 // spares the look-up in a kind without entries
}

func (n *names) find(name string) (cut, bool) {
	if n.size.Load() == 0 {
		return cut{}, false
	}
	v, _ := n.cuts.Load(name)
	c, ok := v.(cut)
	return c, ok
}

func (n *names) end(name string, issuedAt int64) bool {
	c, ok := n.find(name)
	return ok && issuedAt < c.before
}

func (n *names) forget(now int64) {
	n.cuts.Range(func(name, v any) bool {
		if c, ok := v.(cut); ok && c.expires <= now {
			n.cuts.Delete(name)
			n.size.Add(-1)
		}
		return true
	})
}

func (s *set) size() int64 {
	n := s.sessions.size.Load() + s.subjects.size.Load() + s.keys.size.Load()
	if s.all.Load() != nil {
		n++
	}
	return n
}

// end reports whether the feed ended a token with these claims under the key kid.
func (s *set) end(c *Claims, kid string) bool {
	issuedAt, session := c.IssuedAt.Unix(), c.SessionID
	if session == "" {
		session = c.ID
	}
	all := s.all.Load()
	return all != nil && issuedAt < all.before ||
		s.sessions.end(session, issuedAt) || s.subjects.end(c.Subject, issuedAt) || s.keys.end(kid, issuedAt)
}

// endsKey reports whether the feed ended all that the key kid signed.
func (s *set) endsKey(kid string) bool { return s.keys.end(kid, 0) }

// add makes the set refuse what e names, unless that cannot be valid any more at
// now. It reports false if there is no room. There is one writer at a time.
func (s *set) add(e entry, now int64) bool {
	c := cut{before: math.MaxInt64, expires: e.expires()}
	if c.expires <= now {
		return true
	}
	if e.IssuedBefore != nil {
		c.before = *e.IssuedBefore
	}
	switch {
	case e.Session != nil:
		c.before = math.MaxInt64
		return s.addTo(&s.sessions, *e.Session, c)
	case e.Subject != nil:
		return s.addTo(&s.subjects, *e.Subject, c)
	case e.Key != nil:
		c.before = math.MaxInt64
		return s.addTo(&s.keys, *e.Key, c)
	case e.All:
		if before := s.all.Load(); before != nil {
			c = c.later(*before)
		}
		s.all.Store(&c)
	}
	return true
}

func (s *set) addTo(kind *names, name string, c cut) bool {
	before, known := kind.find(name)
	switch {
	case known && c.later(before) == before:
		return true
	case known:
		c = c.later(before)
	case kind.size.Load() >= s.limit:
		return false
	}
	kind.cuts.Store(name, c)
	if !known {
		kind.size.Add(1)
	}
	return true
}

// forget drops what cannot be valid at now in any case.
func (s *set) forget(now int64) {
	for _, kind := range []*names{&s.sessions, &s.subjects, &s.keys} {
		kind.forget(now)
	}
	if all := s.all.Load(); all != nil && all.expires <= now {
		s.all.Store(nil)
	}
}
