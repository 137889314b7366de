package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/store/storetest"
	"github.com/jotgate/jotgate/internal/user"
)

const (
	idle     = 30 * 24 * time.Hour
	absolute = 90 * 24 * time.Hour
	grace    = 10 * time.Second
)

type service struct {
	*session.Service
	swap session.Swap
	at   time.Time
}

func newService(t *testing.T) *service {
	t.Helper()
	db := storetest.OpenSQLite(t)
	for _, id := range []string{"u", "v"} {
		if err := db.Users().Create(t.Context(), user.User{ID: user.ID(id), Username: user.Username(strings.Repeat(id, 3))}); err != nil {
			t.Fatal(err)
		}
	}
	s := &service{at: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	s.swap = func(ctx context.Context, r session.Rotation) (session.Session, error) {
		o, _, err := db.RotateHolder(ctx, r, func(session.Session, user.User) {})
		return o, err
	}
	s.Service = session.New(session.Config{
		Store: db.Sessions(), Idle: idle, Absolute: absolute, Grace: grace, Now: func() time.Time { return s.at },
	})
	return s
}

func (s *service) open(t *testing.T, userID string) session.Session {
	t.Helper()
	o, err := s.Open(t.Context(), session.Opening{UserID: userID, Mode: session.Bearer})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// rotate presents generation gen of o.
func (s *service) rotate(t *testing.T, o session.Session, gen session.Generation, key string) (session.Rotated, error) {
	t.Helper()
	return s.Rotate(t.Context(), session.Presented{ID: o.ID, UserID: o.UserID, Generation: gen, Mode: session.Bearer, RetryKey: key}, s.swap)
}

func TestParseMode(t *testing.T) {
	for in, want := range map[string]session.Mode{"": session.Bearer, "bearer": session.Bearer, "cookie": session.Cookie, "Cookie": "", "both": ""} {
		if got, err := session.ParseMode(in); got != want || (err == nil) != (want != "") {
			t.Errorf("ParseMode(%q) = %q, %v", in, got, err)
		}
	}
}

// TestParent presents the parent of the current generation, after a while, with
// and without the key that the rotation came with.
func TestParent(t *testing.T) {
	tests := []struct {
		after    time.Duration
		was, is  string
		repeated bool
	}{
		{0, "", "", true},
		{grace, "", "", true},
		{grace + time.Microsecond, "", "", false},
		{grace + time.Microsecond, "k", "", false},
		{grace + time.Microsecond, "", "k", false},
		{grace + time.Microsecond, "k", "l", false},
		{grace + time.Microsecond, "k", "k", true},
		{grace, "k", "l", true},
		{24 * time.Hour, "k", "k", true},
		{24*time.Hour + time.Microsecond, "k", "k", false},
		{-time.Minute, "", "", true}, // of a replica whose clock is behind
		{-time.Minute - time.Microsecond, "", "", false},
		{-time.Hour, "", "", false}, // by a clock that was ahead
		{-time.Hour, "k", "k", true},
		{-time.Hour, "k", "", false},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s,%q,%q", tt.after, tt.was, tt.is), func(t *testing.T) {
			s := newService(t)
			o := s.open(t, "u")
			child, err := s.rotate(t, o, 1, tt.was)
			if err != nil || child.Session.Generation != 2 || child.Repeated {
				t.Fatalf("rotated = %+v, %v", child, err)
			}
			s.at = s.at.Add(tt.after)
			again, err := s.rotate(t, o, 1, tt.is)
			if !tt.repeated {
				if !errors.Is(err, session.ErrReused) {
					t.Errorf("error = %v, want ErrReused", err)
				}
				return
			}
			if err != nil || !again.Repeated || again.Session != child.Session {
				t.Errorf("again = %+v, %v; want %+v", again, err, child.Session)
			}
		})
	}
}

func TestOtherGenerations(t *testing.T) {
	s := newService(t)
	o := s.open(t, "u")
	for gen := range session.Generation(3) {
		if _, err := s.rotate(t, o, gen+1, "k"); err != nil {
			t.Fatal(err)
		}
	}
	for gen, want := range map[session.Generation]error{0: session.ErrReused, 1: session.ErrReused, 2: session.ErrReused, 5: session.ErrAhead, 1 << 53: session.ErrAhead} {
		if _, err := s.rotate(t, o, gen, "k"); !errors.Is(err, want) {
			t.Errorf("generation %d: %v, want %v", gen, err, want)
		}
	}
	if _, err := s.rotate(t, o, 4, ""); err != nil {
		t.Errorf("the current one, afterwards: %v", err)
	}
}

func TestForeignTokens(t *testing.T) {
	s := newService(t)
	o := s.open(t, "u")
	for name, p := range map[string]session.Presented{
		"another user": {ID: o.ID, UserID: "v", Generation: 1, Mode: session.Bearer}, "no such session": {ID: "x", UserID: "u", Generation: 1, Mode: session.Bearer},
		"no id": {UserID: "u", Generation: 1, Mode: session.Bearer},
	} {
		if _, err := s.Rotate(t.Context(), p, s.swap); !errors.Is(err, session.ErrEnded) {
			t.Errorf("%s: %v, want ErrEnded", name, err)
		}
	}
	if _, err := s.Rotate(t.Context(), session.Presented{ID: o.ID, UserID: "u", Generation: 1, Mode: session.Cookie}, s.swap); !errors.Is(err, session.ErrWrongMode) {
		t.Errorf("the other mode: %v, want ErrWrongMode", err)
	}
	if _, err := s.Alive(t.Context(), o.ID, "v"); !errors.Is(err, session.ErrEnded) {
		t.Errorf("alive to another user: %v", err)
	}
	if _, err := s.rotate(t, o, 1, ""); err != nil {
		t.Error(err)
	}
}

func TestEndsOfLife(t *testing.T) {
	s := newService(t)
	unused, busy := s.open(t, "u"), s.open(t, "u")
	s.at = s.at.Add(idle - time.Microsecond)
	if _, err := s.Alive(t.Context(), unused.ID, "u"); err != nil {
		t.Errorf("just before the idle end: %v", err)
	}
	rotated, err := s.rotate(t, busy, 1, "")
	if err != nil {
		t.Fatal(err)
	}
	s.at = s.at.Add(time.Microsecond)
	if _, err := s.Alive(t.Context(), unused.ID, "u"); !errors.Is(err, session.ErrEnded) {
		t.Errorf("at the idle end: %v", err)
	}
	for gen := session.Generation(2); gen < 5; gen++ {
		s.at = s.at.Add(20 * 24 * time.Hour)
		if rotated, err = s.rotate(t, busy, gen, ""); err != nil && s.at.Before(busy.AbsoluteAt) {
			t.Fatal(err)
		}
	}
	if s.at.Before(busy.AbsoluteAt) || !errors.Is(err, session.ErrEnded) {
		t.Errorf("at %s, after the absolute end %s: %+v, %v", s.at, busy.AbsoluteAt, rotated, err)
	}
}

func TestAbsoluteEndCapsTheIdleOne(t *testing.T) {
	s := newService(t)
	o := s.open(t, "u")
	for gen := session.Generation(1); gen < 4; gen++ {
		s.at = s.at.Add(25 * 24 * time.Hour)
		r, err := s.rotate(t, o, gen, "")
		if err != nil {
			t.Fatal(err)
		}
		if want := s.at.Add(idle); want.After(o.AbsoluteAt) != r.Session.ExpiresAt.Equal(o.AbsoluteAt) || r.Session.AbsoluteAt != o.AbsoluteAt {
			t.Errorf("expires %s, absolute %s", r.Session.ExpiresAt, r.Session.AbsoluteAt)
		}
	}
}

func TestListIsNewestUseFirst(t *testing.T) {
	s := newService(t)
	first, second := s.open(t, "u"), s.open(t, "u")
	s.open(t, "v")
	s.at = s.at.Add(time.Second)
	if _, err := s.rotate(t, first, 1, ""); err != nil {
		t.Fatal(err)
	}
	living, err := s.List(t.Context(), "u")
	if err != nil || len(living) != 2 || living[0].ID != first.ID || living[1].ID != second.ID {
		t.Errorf("sessions = %+v, %v", living, err)
	}
	if ended, err := s.End(t.Context(), session.Which{ID: first.ID, UserID: "v"}, session.ReasonLogout); err != nil || len(ended) != 0 {
		t.Errorf("another user ends %v, %v", ended, err)
	}
	if ended, err := s.End(t.Context(), session.Which{}, session.ReasonLogout); err != nil || len(ended) != 0 {
		t.Errorf("nobody's end ends %v, %v", ended, err)
	}
	if ended, err := s.End(t.Context(), session.Which{UserID: "u", Except: second.ID}, session.ReasonLogout); err != nil || len(ended) != 1 || ended[0] != first.ID {
		t.Errorf("all but the second ends %v, %v", ended, err)
	}
}
