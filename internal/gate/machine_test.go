package gate_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/storetest"
)

// TestStateMachine lets rapid do what clients, users, thieves and clocks do, in
// any order, and compares each answer with a model that is written from the
// contract: what a refresh token is worth follows from the generation that is
// current, when it became so, and the key that it came with.
func TestStateMachine(t *testing.T) {
	for name, open := range map[string]func() *store.DB{
		"sqlite": func() *store.DB { return storetest.OpenSQLite(t) }, "postgres": func() *store.DB { return storetest.Open(t, pgtest.DSN(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, open())
			users := 0
			rapid.Check(t, func(rt *rapid.T) {
				users++
				m := &machine{T: t, rt: rt, w: w, name: fmt.Sprintf("user%d", users), pass: passOne}
				w.register(t, m.name)
				rt.Repeat(map[string]func(*rapid.T){
					"login": m.login, "refresh": m.refresh, "logout": m.logout, "end another": m.endOther, "change password": m.changePassword,
					"clock": m.clock, "": m.check,
				})
			})
		})
	}
}

type machine struct {
	*testing.T
	rt       *rapid.T
	w        *world
	name     string
	pass     string
	sessions []*model
}

// model is what the contract says of one session.
type model struct {
	tokens  gate.Tokens // of the login
	raw     []string    // the refresh token of each generation; raw[0] is generation 1
	rotated time.Time   // when the last generation became current
	keys    []string    // the keys with which that generation was asked for
	idleEnd time.Time
	end     time.Time // absolute
	ended   bool
}

func (s *model) over(now time.Time) bool {
	return s.ended || !now.Before(s.idleEnd) || !now.Before(s.end)
}

// gone is over for so long that there is nothing to end.
func (s *model) gone(now time.Time) bool { return s.ended || s.over(now.Add(-session.Leeway)) }

func (m *machine) login(rt *rapid.T) {
	if len(m.sessions) > 5 {
		rt.Skip("enough sessions")
	}
	t := m.w.login(m.T, m.name, m.pass)
	now := m.w.now()
	m.sessions = append(m.sessions, &model{
		tokens: t, raw: []string{t.Refresh}, rotated: now, idleEnd: now.Add(idle), end: now.Add(absolute),
	})
}

func (m *machine) any(rt *rapid.T) *model {
	if len(m.sessions) == 0 {
		rt.Skip("no session")
	}
	return rapid.SampledFrom(m.sessions).Draw(rt, "session")
}

// refresh presents any generation of any session, with any key or none.
func (m *machine) refresh(rt *rapid.T) {
	s := m.any(rt)
	gen := rapid.SampledFrom([]int{len(s.raw), len(s.raw), len(s.raw) - 1, len(s.raw) - 1, rapid.IntRange(1, len(s.raw)).Draw(rt, "generation")}).Draw(rt, "which")
	gen = max(gen, 1)
	key := rapid.SampledFrom([]string{"", "k1", "k2"}).Draw(rt, "key")
	now, current := m.w.now(), len(s.raw)
	since := now.Sub(s.rotated)
	got, err := m.w.refresh(m.Context(), s.raw[gen-1], key)
	switch {
	case s.over(now):
		m.want(err, gate.ErrInvalidRefresh)
	case gen == current:
		m.want(err, nil)
		s.raw, s.rotated, s.keys, s.idleEnd = append(s.raw, got.Refresh), now, []string{key}, now.Add(idle)
		if slices.Contains(s.raw[:current], got.Refresh) {
			rt.Fatal("a rotation answers a token that there was")
		}
		if got.Session.ID != s.tokens.Session.ID || got.Session.ExpiresAt.After(s.end) {
			rt.Fatalf("session = %+v, absolute end %s", got.Session, s.end)
		}
	case gen == current-1 && (since <= grace || key != "" && slices.Contains(s.keys, key) && since <= 24*time.Hour):
		m.want(err, nil)
		if got.Refresh != s.raw[current-1] {
			rt.Fatal("the parent is answered another child")
		}
		s.keys = append(s.keys, key)
	default:
		m.want(err, session.ErrReused)
		s.ended = true
	}
}

func (m *machine) logout(rt *rapid.T) {
	s := m.any(rt)
	m.want(m.w.Logout(m.Context(), string(s.tokens.Session.ID), string(s.tokens.User.ID), visit()), nil)
	if !s.gone(m.w.now()) {
		s.ended = true
	}
}

// living draws a session that lives, and the caller that holds it.
func (m *machine) living(rt *rapid.T) (*model, gate.Caller) {
	s := m.any(rt)
	if s.over(m.w.now()) {
		rt.Skip("over")
	}
	return s, m.w.caller(m.T, s.tokens)
}

func (m *machine) endOther(rt *rapid.T) {
	_, who := m.living(rt)
	other := m.any(rt)
	err := m.w.EndSession(m.Context(), who, other.tokens.Session.ID, visit())
	if other.gone(m.w.now()) {
		m.want(err, session.ErrNotFound)
		return
	}
	m.want(err, nil)
	other.ended = true
}

func (m *machine) changePassword(rt *rapid.T) {
	s, who := m.living(rt)
	next := passOne
	if m.pass == passOne {
		next = passTwo
	}
	m.want(m.w.ChangePassword(m.Context(), who, m.pass, next, visit()), nil)
	m.pass = next
	for _, other := range m.sessions {
		if other != s && !other.gone(m.w.now()) {
			other.ended = true
		}
	}
}

func (m *machine) clock(rt *rapid.T) {
	m.w.step(rapid.SampledFrom([]time.Duration{
		time.Microsecond, time.Second, grace - time.Second, grace, grace + time.Microsecond, time.Minute, accessTTL + time.Minute,
		23 * time.Hour, 24 * time.Hour, 10 * 24 * time.Hour, idle, -2 * time.Second,
	}).Draw(rt, "step"))
}

// check holds after every step: a session is alive exactly if the model says so.
func (m *machine) check(rt *rapid.T) {
	now := m.w.now()
	for _, s := range m.sessions {
		_, err := m.w.Caller(m.Context(), string(s.tokens.Session.ID), string(s.tokens.User.ID))
		if alive := err == nil; alive == s.over(now) {
			rt.Fatalf("session %s is alive: %t, and the model says over: %t (%v)", s.tokens.Session.ID, alive, s.over(now), err)
		}
		if s.ended && m.w.feed.Revoked(string(s.tokens.Session.ID), string(s.tokens.User.ID), s.tokens.IssuedAt) == false && now.Sub(s.rotated) < accessTTL {
			rt.Fatalf("session %s has ended and its tokens are accepted", s.tokens.Session.ID)
		}
	}
}

func (m *machine) want(err, want error) {
	m.Helper()
	if !errors.Is(err, want) || want == nil && err != nil {
		m.rt.Fatalf("error = %v, want %v", err, want)
	}
}
