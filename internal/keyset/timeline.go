package keyset

import (
	"cmp"
	"slices"
	"time"
)

// timeline is keys in the order in which they start to sign. From it and the
// clock follows what each of them is.
type timeline []Sealed

func newTimeline(keys []Sealed) timeline {
	return slices.SortedFunc(slices.Values(keys), bySigning)
}

// bySigning orders keys by when they start to sign; of two at once, the greater
// kid signs.
func bySigning(a, b Sealed) int {
	return cmp.Or(a.ActivatesAt.Compare(b.ActivatesAt), cmp.Compare(a.KID, b.KID))
}

// counts reports whether key i has its turn. One that was revoked before it came
// has none and ends nobody else's. One that was revoked in its turn has had it: a
// key that was gone by then does not come back.
func (t timeline) counts(i int) bool {
	return t[i].RevokedAt.IsZero() || t[i].RevokedAt.After(t[i].ActivatesAt)
}

// signer returns the index of the key that signs now, or -1. Of those whose time
// has come that is the latest; where none's has, the clock was set back behind
// the first one, which signs all the same. If it was revoked the next one that was
// not signs, be its time by this clock a moment ahead.
func (t timeline) signer(now time.Time) int {
	turn := -1
	for i := range t {
		if !t.counts(i) {
			continue
		}
		if turn >= 0 && t[i].ActivatesAt.After(now) {
			break
		}
		turn = i
	}
	for i := max(turn, 0); i < len(t); i++ {
		if t[i].RevokedAt.IsZero() {
			return i
		}
	}
	return -1
}

// newest returns the index of the last key that may still sign, or -1.
func (t timeline) newest() int {
	for i, k := range slices.Backward(t) {
		if k.RevokedAt.IsZero() {
			return i
		}
	}
	return -1
}

// retires returns when the turn of key i ends, or zero.
func (t timeline) retires(i int) time.Time {
	for next := i + 1; next < len(t); next++ {
		if t.counts(next) {
			return t[next].ActivatesAt
		}
	}
	return time.Time{}
}

// state returns the state of key i.
func (t timeline) state(i int, now time.Time, retain time.Duration) State {
	switch end := t.retires(i); {
	case !t[i].RevokedAt.IsZero():
		return Revoked
	case t[i].ActivatesAt.After(now):
		return Pending
	case end.IsZero() || end.After(now):
		return Active
	case end.Add(retain).After(now):
		return Retiring
	}
	return Gone
}

// published reports whether a key in this state verifies.
func (s State) published() bool { return s != Gone && s != Revoked }

// info tells of key i.
func (t timeline) info(i int, now time.Time, retain time.Duration) Info {
	k := t[i]
	info := Info{
		KID: k.KID, Algorithm: k.Algorithm, State: t.state(i, now, retain),
		CreatedAt: k.CreatedAt, ActivatesAt: k.ActivatesAt, RevokedAt: k.RevokedAt,
	}
	if end := t.retires(i); !end.IsZero() && k.RevokedAt.IsZero() {
		info.RetiresAt, info.GoneAt = end, end.Add(retain)
	}
	return info
}

// infos tells of all keys.
func (t timeline) infos(now time.Time, retain time.Duration) []Info {
	infos := make([]Info, len(t))
	for i := range t {
		infos[i] = t.info(i, now, retain)
	}
	return infos
}
