package keyset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// errNotDue ends a change that turns out to be none.
var errNotDue = errors.New("keyset: not due")

// Rotate adds fresh, of whatever algorithm: published from the next Reload on, it
// signs after [Config].PublishAhead, and the key that signs until then retires. It
// returns [ErrPending] while a key waits for its turn already. Reload the sets that
// are to know of it.
func (s *Set) Rotate(ctx context.Context, fresh Fresh) (Info, error) {
	return s.rotate(ctx, fresh, func(line timeline) error {
		if i := line.newest(); i >= 0 && line[i].ActivatesAt.After(s.cfg.Now()) {
			k := line[i]
			return fmt.Errorf("%w: %s (%s) signs from %s", ErrPending, k.KID, k.Algorithm, k.ActivatesAt.Format(time.RFC3339))
		}
		return nil
	})
}

// Due reports whether it is time for the key that signs last to have a successor,
// so that it signs for no longer than every: the successor has PublishAhead to
// become known, and as much is left for whoever asks late. A key whose time has
// not come is not due, so that a clock that jumps makes one key and not many.
func (s *Set) Due(every time.Duration) bool {
	return s.due(s.keys.Load().line, every)
}

func (s *Set) due(line timeline, every time.Duration) bool {
	i := line.newest()
	return i >= 0 && !line[i].ActivatesAt.Add(every-2*s.cfg.PublishAhead).After(s.cfg.Now())
}

// RotateDue is [Set.Rotate] if the set is due by the keys that the database has
// now, and reports whether it was.
func (s *Set) RotateDue(ctx context.Context, fresh Fresh, every time.Duration) (Info, bool, error) {
	info, err := s.rotate(ctx, fresh, func(line timeline) error {
		if !s.due(line, every) {
			return errNotDue
		}
		return nil
	})
	if errors.Is(err, errNotDue) {
		return Info{}, false, nil
	}
	return info, err == nil, err
}

func (s *Set) rotate(ctx context.Context, fresh Fresh, may func(timeline) error) (Info, error) {
	var line timeline
	var added Sealed
	err := s.store.Change(ctx, func(have []Sealed) (_ []Sealed, err error) {
		line = newTimeline(have)
		if err := may(line); err != nil {
			return nil, err
		}
		added, err = s.sealAfter(line, fresh)
		line = newTimeline(append(line, added))
		return []Sealed{added}, err
	})
	if err != nil {
		return Info{}, fmt.Errorf("keyset: rotate: %w", err)
	}
	return s.told(line, added.KID), nil
}

// told is what may be told of the key named kid, which is in line.
func (s *Set) told(line timeline, kid string) Info {
	i := slices.IndexFunc(line, func(k Sealed) bool { return k.KID == kid })
	return line.info(i, s.cfg.Now(), s.cfg.Retain())
}

// Reseal seals every key under the master key that is not, and returns how many
// those were. It returns [ErrWrongMasterKey], and changes nothing, if there is one
// that neither master key opens. Doing it again is harmless.
func (s *Set) Reseal(ctx context.Context) (int, error) {
	var put []Sealed
	err := s.store.Change(ctx, func(have []Sealed) ([]Sealed, error) {
		put = nil
		keys, err := s.open(have)
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			if !k.other {
				continue
			}
			sealed, err := s.vault.seal(k.signer, k.Algorithm)
			if err != nil {
				return nil, err
			}
			k.Private = sealed.Private
			put = append(put, k.Sealed)
		}
		return put, nil
	})
	if err != nil {
		return 0, fmt.Errorf("keyset: reseal: %w", err)
	}
	return len(put), nil
}
