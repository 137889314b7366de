package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

const (
	// retryWindow is how long an Idempotency-Key brings the same child back.
	retryWindow = 24 * time.Hour
	// clocksApart is what the clocks of replicas may differ by.
	clocksApart = time.Minute
	// listLimit bounds one answer; a user with more sessions sees the newest.
	listLimit = 1000
	// generationOne is what a sign-in starts at.
	generationOne Generation = 1
)

// Config is what a [Service] works with. All fields are needed.
type Config struct {
	Store    Store
	Idle     time.Duration // how long an unused session lives
	Absolute time.Duration // how long any session lives
	// Grace is how long after a rotation the parent brings the same child again, or
	// after this process answered late, or had to say that it does not know of the rotation.
	Grace time.Duration
	Now   func() time.Time // time.Now everywhere but in tests
}

// Service applies the session rules. Create one with [New]; it is safe for
// concurrent use.
type Service struct {
	Config

	doubts doubts
}

// New returns a Service.
func New(c Config) *Service { return &Service{Config: c, doubts: doubts{of: map[ID]doubt{}}} }

// Opening is a sign-in: whose it is and where it comes from.
type Opening struct {
	UserID    string
	Mode      Mode
	Device    string
	IP        string
	UserAgent string
}

// Open starts a session at generation 1. Nothing that a client sends can name it.
func (s *Service) Open(ctx context.Context, o Opening) (Session, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Session{}, fmt.Errorf("session: make an id: %w", err)
	}
	now := s.clock()
	absolute := now.Add(s.Absolute)
	opened := Session{
		ID: ID(id.String()), UserID: o.UserID, Mode: o.Mode, Device: o.Device, IP: o.IP, UserAgent: o.UserAgent,
		CreatedAt: now, LastUsedAt: now, Generation: generationOne,
		ExpiresAt: earlier(now.Add(s.Idle), absolute), AbsoluteAt: absolute,
	}
	if err := s.Store.Create(ctx, opened); err != nil {
		return Session{}, fmt.Errorf("session: open: %w", err)
	}
	return opened, nil
}

// Presented is a refresh token as its holder brings it.
type Presented struct {
	ID         ID
	UserID     string
	Generation Generation
	Mode       Mode   // how it travelled
	RetryKey   string // the Idempotency-Key that came with it, or empty
}

// Rotated is what became of a presented refresh token.
type Rotated struct {
	Session Session
	// Repeated tells that the child had been issued before and is issued again.
	Repeated bool
}

// Rotate exchanges a generation of a session for the next one by means of swap. Concurrent
// callers that hold the same generation get the same child, so two tabs or a
// lost answer sign nobody out, and a session cannot fork. Where the database did not tell
// what became of a rotation, or only after half the grace, or the clock was set meanwhile,
// the grace begins when the holder is answered: they may have given up, and be about to come
// again.
//
// It returns [ErrEnded] for a session that is over, [ErrWrongMode], [ErrAhead]
// for a generation that this database never issued, and [ErrReused] when a
// spent token came back. The session still lives then: ending it, so that the
// end is committed and everybody learns of it, is the calling flow's part.
func (s *Service) Rotate(ctx context.Context, p Presented, swap Swap) (Rotated, error) {
	came := s.instant()
	retry := hashRetryKey(p.ID, p.RetryKey)
	r := Rotation{
		ID: p.ID, UserID: p.UserID, Mode: p.Mode, From: p.Generation, Retry: retry,
		At: came.at, IdleUntil: came.at.Add(s.Idle),
	}
	rotated, err := swap(ctx, r)
	if err == nil {
		if told := s.instant(); told.since(came) > s.Grace/2 || told.at.Before(came.at) {
			s.doubts.note(r, came, told, s.Grace)
		}
		return Rotated{Session: rotated}, nil
	}
	if !errors.Is(err, ErrConflict) {
		if untold(err) {
			s.doubts.note(r, came, s.instant(), s.Grace)
		}
		return Rotated{}, fmt.Errorf("session: rotate: %w", err)
	}
	return s.lost(ctx, p, retry, came)
}

// lost tells why the compare-and-swap for p, which came at that instant, found another state.
func (s *Service) lost(ctx context.Context, p Presented, retry RetryKey, came instant) (Rotated, error) {
	current, err := s.Store.ByID(ctx, p.ID)
	if errors.Is(err, ErrNotFound) {
		return Rotated{}, ErrEnded
	}
	if err != nil {
		return Rotated{}, fmt.Errorf("session: rotate: %w", err)
	}
	switch {
	case current.UserID != p.UserID, current.Over(came.at):
		return Rotated{}, ErrEnded
	case current.Mode != p.Mode:
		return Rotated{}, ErrWrongMode
	case p.Generation > current.Generation:
		return Rotated{}, ErrAhead
	case s.repeats(current, p.Generation, retry, came):
		return Rotated{Session: current, Repeated: true}, s.remember(ctx, current, retry)
	case p.Generation == current.Generation:
		// Only a database that does not hold to its own compare-and-swap gets here.
		return Rotated{}, fmt.Errorf("session: rotate: %w", ErrConflict)
	}
	return Rotated{Session: current}, ErrReused
}

// remember has the key of a repetition bring the child back as that of the rotation does.
func (s *Service) remember(ctx context.Context, current Session, retry RetryKey) error {
	if retry == "" || current.Retry.has(retry) {
		return nil
	}
	if err := s.Store.Remember(ctx, current.ID, current.Generation, retry); err != nil {
		return fmt.Errorf("session: remember a retry: %w", err)
	}
	return nil
}

// repeats reports whether gen, the parent of the current generation, may have
// its child again. That the child was not used follows from its being current:
// using it would have made another generation current.
//
// It may within the grace of the rotation by the clock that came with either, which may be
// two replicas', or one that was set between them. It may as well within the grace of the
// answer, if the rotation was in doubt: no longer by the clock, and no longer by what passes.
// A clock that was set forward during the rotation, and is put right, so prolongs nothing,
// and one that was set back shortens nothing.
func (s *Service) repeats(current Session, gen Generation, retry RetryKey, came instant) bool {
	if gen != current.Generation-1 {
		return false
	}
	since := came.at.Sub(current.LastUsedAt)
	return within(since, s.Grace) || s.doubts.cover(current, came, s.Grace) ||
		current.Retry.has(retry) && since <= retryWindow
}

// within reports whether since is no longer than most. What has not been yet was seen by
// another clock: a replica's, or by this one before it was put right. Clocks that are further
// apart make no spent token good until they meet.
func within(since, most time.Duration) bool { return -clocksApart <= since && since <= most }

// Alive returns the session if it is not over and is the user's, or [ErrEnded].
func (s *Service) Alive(ctx context.Context, id ID, userID string) (Session, error) {
	found, err := s.Store.ByID(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return Session{}, ErrEnded
	}
	if err != nil {
		return Session{}, fmt.Errorf("session: look up: %w", err)
	}
	if !s.Living(found, userID) {
		return Session{}, ErrEnded
	}
	return found, nil
}

// Living reports whether a session that was found is not over and is the user's.
func (s *Service) Living(found Session, userID string) bool {
	return found.UserID == userID && !found.Over(s.clock())
}

// List returns the user's living sessions, newest use first.
func (s *Service) List(ctx context.Context, userID string) ([]Session, error) {
	living, err := s.Store.Living(ctx, userID, s.clock(), listLimit)
	if err != nil {
		return nil, fmt.Errorf("session: list: %w", err)
	}
	return living, nil
}

// End ends the living sessions that w selects and returns their ids.
func (s *Service) End(ctx context.Context, w Which, why Reason) ([]ID, error) {
	ended, err := s.Store.End(ctx, w, why, s.clock())
	if err != nil {
		return nil, fmt.Errorf("session: end: %w", err)
	}
	return ended, nil
}

// clock is the time in the precision that is stored, so that what is read back
// equals what was written.
func (s *Service) clock() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// instant is now.
func (s *Service) instant() instant {
	return instant{s.clock(), time.Now()} //nolint:forbidigo // for what passes, whatever the clock is set to
}

func hashRetryKey(id ID, key string) RetryKey {
	if key == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(string(id) + "\x00" + key))
	return RetryKey(hex.EncodeToString(sum[:]))
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
