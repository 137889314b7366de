package session_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/session"
)

// awayError is a database that does not tell what became of a write.
type awayError struct{ error }

func (awayError) Unavailable() bool { return true }

// untold rotates and says only after a stall, and by an error, that it cannot tell.
func (s *service) untold(stall time.Duration, err error) {
	swap := s.swap
	s.swap = func(ctx context.Context, r session.Rotation) (session.Session, error) {
		_, failed := swap(ctx, r)
		s.at = s.at.Add(stall)
		s.swap = swap
		if failed != nil {
			return session.Session{}, failed
		}
		return session.Session{}, err
	}
}

// TestRotationThatWasNotTold holds that the grace begins when the holder is answered: with
// a database that stalls for as long, it would be over before they can come again.
func TestRotationThatWasNotTold(t *testing.T) {
	away := awayError{errors.New("stalled")}
	for _, tt := range []struct {
		stall, after time.Duration
		err          error
		want         error
	}{
		{grace, 3 * time.Second, away, nil},
		{time.Hour, grace, fmt.Errorf("store: %w", away), nil},
		{grace, grace + time.Microsecond, away, session.ErrReused},
		{grace, 3 * time.Second, context.Canceled, session.ErrReused}, // the holder's own doing
	} {
		t.Run(fmt.Sprint(tt.stall, tt.after, tt.err), func(t *testing.T) {
			s := newService(t)
			o := s.open(t, "u")
			s.untold(tt.stall, tt.err)
			if _, err := s.rotate(t, o, 1, ""); !errors.Is(err, tt.err) {
				t.Fatal(err)
			}
			s.at = s.at.Add(tt.after)
			again, err := s.rotate(t, o, 1, "")
			if !errors.Is(err, tt.want) || err == nil && (!again.Repeated || again.Session.Generation != 2) {
				t.Errorf("again = %+v, %v; want %v", again, err, tt.want)
			}
		})
	}
}

// TestRotationThatWasToldLate has the holder give up before the answer, which says that it
// is done, and come again before or after it. It holds that this brings nothing to life of
// which the child was used.
func TestRotationThatWasToldLate(t *testing.T) {
	for _, tt := range []struct {
		stall, came time.Duration // came is after the answer
		want        error
	}{
		{2 * grace, -time.Second, nil}, // it waited for the first one
		{grace + time.Second, 3 * time.Second, nil},
		{time.Minute, grace, nil},
		{time.Minute, grace + time.Microsecond, session.ErrReused},
		{grace / 2, grace, session.ErrReused}, // there was time
	} {
		t.Run(fmt.Sprint(tt.stall, tt.came), func(t *testing.T) {
			s := newService(t)
			o := s.open(t, "u")
			s.untold(tt.stall, nil)
			if _, err := s.rotate(t, o, 1, ""); err != nil {
				t.Fatal(err)
			}
			s.at = s.at.Add(tt.came)
			again, err := s.rotate(t, o, 1, "")
			if !errors.Is(err, tt.want) || err == nil && (!again.Repeated || again.Session.Generation != 2) {
				t.Fatalf("again = %+v, %v; want %v", again, err, tt.want)
			}
			if _, err := s.rotate(t, o, 2, ""); err != nil {
				t.Fatal(err)
			}
			if _, err := s.rotate(t, o, 1, ""); !errors.Is(err, session.ErrReused) {
				t.Errorf("the parent after its child was used: %v", err)
			}
		})
	}
}

// TestDoubtIsOfOneRotation holds that who has a token that is spent for long gets nothing
// out of a database that is away.
func TestDoubtIsOfOneRotation(t *testing.T) {
	s := newService(t)
	o := s.open(t, "u")
	if _, err := s.rotate(t, o, 1, ""); err != nil {
		t.Fatal(err)
	}
	s.at = s.at.Add(time.Minute)
	swap := s.swap
	s.swap = func(context.Context, session.Rotation) (session.Session, error) {
		return session.Session{}, awayError{errors.New("stalled")}
	}
	if _, err := s.rotate(t, o, 1, ""); err == nil {
		t.Fatal("rotated by a database that is away")
	}
	s.swap = swap
	if _, err := s.rotate(t, o, 1, ""); !errors.Is(err, session.ErrReused) {
		t.Errorf("a token that was spent a minute before the database went away: %v", err)
	}
}

// TestDoubtsThatMeet has a second tab give up before the first one is answered, whose
// write it is that lands.
func TestDoubtsThatMeet(t *testing.T) {
	s := newService(t)
	o := s.open(t, "u")
	swap, away := s.swap, awayError{errors.New("stalled")}
	s.swap = func(ctx context.Context, first session.Rotation) (session.Session, error) {
		s.swap = func(context.Context, session.Rotation) (session.Session, error) { return session.Session{}, away }
		s.at = s.at.Add(time.Second)
		if _, err := s.rotate(t, o, 1, ""); !errors.Is(err, away) {
			t.Error("the second:", err)
		}
		s.at = s.at.Add(grace)
		_, err := swap(ctx, first)
		s.swap = swap
		return session.Session{}, errors.Join(err, away)
	}
	if _, err := s.rotate(t, o, 1, ""); !errors.Is(err, away) {
		t.Fatal("the first:", err)
	}
	s.at = s.at.Add(3 * time.Second)
	if again, err := s.rotate(t, o, 1, ""); err != nil || !again.Repeated {
		t.Errorf("again = %+v, %v", again, err)
	}
}

// TestOldDoubtIsNotResumed has a rotation fail for good, the holder come again an hour
// later and succeed, and somebody present the spent token while the database is away once
// more.
func TestOldDoubtIsNotResumed(t *testing.T) {
	s := newService(t)
	o := s.open(t, "u")
	swap := s.swap
	away := func(context.Context, session.Rotation) (session.Session, error) {
		return session.Session{}, awayError{errors.New("stalled")}
	}
	for _, swap := range []session.Swap{away, swap, away} {
		s.swap = swap
		if _, err := s.rotate(t, o, 1, ""); errors.Is(err, session.ErrReused) {
			t.Fatal(err)
		}
		s.at = s.at.Add(time.Hour)
	}
	s.at = s.at.Add(time.Second - time.Hour)
	s.swap = swap
	if _, err := s.rotate(t, o, 1, ""); !errors.Is(err, session.ErrReused) {
		t.Errorf("a token that was spent an hour before: %v", err)
	}
}

// TestDoubtIsOfOneGeneration holds that the grace of a rotation that was not told is over
// with the next one.
func TestDoubtIsOfOneGeneration(t *testing.T) {
	s := newService(t)
	o := s.open(t, "u")
	s.untold(time.Minute, awayError{errors.New("stalled")})
	if _, err := s.rotate(t, o, 1, ""); err == nil {
		t.Fatal("told")
	}
	s.at = s.at.Add(-time.Second) // of another replica's clock, behind this one's
	if _, err := s.rotate(t, o, 2, ""); err != nil {
		t.Fatal(err)
	}
	s.at = s.at.Add(grace + time.Second)
	if _, err := s.rotate(t, o, 2, ""); !errors.Is(err, session.ErrReused) {
		t.Errorf("the parent after its grace: %v", err)
	}
}

// TestDoubtsAreBounded has more rotations in doubt than are remembered, and others later.
func TestDoubtsAreBounded(t *testing.T) {
	s := newService(t)
	swap := s.swap
	away := func(context.Context, session.Rotation) (session.Session, error) {
		return session.Session{}, awayError{errors.New("stalled")}
	}
	again := func(late time.Duration) error {
		o := s.open(t, "u")
		s.swap = swap
		s.untold(grace, awayError{errors.New("stalled")})
		if _, err := s.rotate(t, o, 1, ""); err == nil {
			t.Fatal("told")
		}
		s.at = s.at.Add(late)
		_, err := s.rotate(t, o, 1, "")
		return err
	}
	s.swap = away
	for i := range 10_000 {
		if _, err := s.rotate(t, session.Session{ID: session.ID(fmt.Sprint(i)), UserID: "u"}, 1, ""); err == nil {
			t.Fatal("rotated by a database that is away")
		}
	}
	s.at = s.at.Add(-grace)
	if err := again(time.Second); !errors.Is(err, session.ErrReused) {
		t.Errorf("one more than are remembered: %v", err)
	}
	s.at = s.at.Add(time.Second)
	if err := again(time.Second); err != nil {
		t.Errorf("after the others' grace: %v", err)
	}
}

// TestSecondDoubt comes again while the database is still away, and the first write lands.
func TestSecondDoubt(t *testing.T) {
	s := newService(t)
	o := s.open(t, "u")
	swap := s.swap
	var pending session.Rotation
	s.swap = func(_ context.Context, r session.Rotation) (session.Session, error) {
		if pending.ID == "" {
			pending = r
		}
		s.at = s.at.Add(grace)
		return session.Session{}, awayError{errors.New("stalled")}
	}
	for range 3 {
		if _, err := s.rotate(t, o, 1, ""); err == nil {
			t.Fatal("rotated by a database that is away")
		}
		s.at = s.at.Add(3 * time.Second)
	}
	if _, err := swap(t.Context(), pending); err != nil {
		t.Fatal(err)
	}
	s.swap = swap
	if again, err := s.rotate(t, o, 1, ""); err != nil || !again.Repeated {
		t.Errorf("again = %+v, %v", again, err)
	}
}
