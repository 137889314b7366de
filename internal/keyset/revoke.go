package keyset

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// RevokedKey is what [Set.Revoke] did.
type RevokedKey struct {
	Key Info
	// Already is true for a key that was revoked before; nothing was changed then.
	Already bool
	// Successor signs from now on in its place, or is nil if the key did not sign.
	Successor *Info
	// Made is true if Successor is a new key, rather than one that was pending.
	Made bool
}

// Revoke takes the key named kid out of use: it signs no more and verifies
// nothing. If it was the one that signs, the next one takes over at once, or spare
// does if there is none: verifiers that do not know it yet must ask for it. That
// is the price of not waiting, and [Set.Rotate] does not pay it. Revoke
// returns [ErrUnknownKey]. Reload the sets that are to know of it.
func (s *Set) Revoke(ctx context.Context, kid string, spare Fresh) (RevokedKey, error) {
	var done RevokedKey
	err := s.store.Change(ctx, func(have []Sealed) ([]Sealed, error) {
		done = RevokedKey{}
		line := newTimeline(have)
		i := slices.IndexFunc(line, func(k Sealed) bool { return k.KID == kid })
		if i < 0 {
			return nil, fmt.Errorf("%w (%q)", ErrUnknownKey, kid)
		}
		if done.Already = !line[i].RevokedAt.IsZero(); done.Already {
			done.Key = s.told(line, kid)
			return nil, nil
		}
		signed := line.signer(s.cfg.Now()) == i
		line[i].RevokedAt = s.now()
		put := []Sealed{line[i]}
		if signed {
			successor, made, err := s.succeed(line, i, spare)
			if err != nil {
				return nil, err
			}
			put = append(put, successor)
			line = replace(line, successor)
			info := s.told(line, successor.KID)
			done.Successor, done.Made = &info, made
		}
		done.Key = s.told(line, kid)
		return put, nil
	})
	if err != nil {
		return RevokedKey{}, fmt.Errorf("keyset: revoke: %w", err)
	}
	return done, nil
}

// succeed returns the key that signs in the place of key i from now on. Its turn
// comes after that of key i by any clock, or key i would not have ended.
func (s *Set) succeed(line timeline, i int, spare Fresh) (successor Sealed, made bool, err error) {
	from := line[i].RevokedAt
	if after := line[i].ActivatesAt.Add(time.Microsecond); after.After(from) {
		from = after
	}
	for _, k := range line[i+1:] {
		if k.RevokedAt.IsZero() {
			k.ActivatesAt = from
			return k, false, nil
		}
	}
	k, err := s.sealAfter(line, spare)
	k.ActivatesAt = from
	return k, true, err
}

// replace returns line with k in the place of the key of that kid, or beside all.
func replace(line timeline, k Sealed) timeline {
	others := slices.DeleteFunc(slices.Clone(line), func(o Sealed) bool { return o.KID == k.KID })
	return newTimeline(append(others, k))
}
