package storetest

import (
	"context"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
)

func sessionTests() []test {
	return []test{
		{"what is created is read back", sessionsReadBack},
		{"what is not text is made text", sessionsStrange},
		{"an empty or strange id finds nothing", sessionsNone},
		{"rotation makes the child current", sessionsRotate},
		{"rotation tells whose the session is", sessionsRotateHolder},
		{"the absolute end caps the idle one", sessionsAbsolute},
		{"rotation of any other state is a conflict", sessionsConflict},
		{"of those who rotate one generation one wins", sessionsRotateRace},
		{"the living, newest use first", sessionsLiving},
		{"end selects what Which says", sessionsEnd},
		{"an empty Which selects nothing", sessionsEndNothing},
		{"those unused for longest give way", sessionsEndUnused},
		{"the older ones end in bounds", sessionsEndOlder},
		{"of those who end a session one does", sessionsEndRace},
		{"an ended session does not rotate", sessionsEndRotateRace},
		{"a few retry keys are remembered, of the current generation", sessionsRemember},
		{"prune takes what was over, in bounds", sessionsPrune},
	}
}

func sessionsReadBack(k kit) {
	u := k.user("ada")
	for _, mode := range []session.Mode{session.Bearer, session.Cookie} {
		s := k.session(u, func(s *session.Session) { s.Mode, s.Retry = mode, "key" })
		got, err := k.db.Sessions().ByID(k.Context(), s.ID)
		k.must(err)
		k.equal(got, s)
		held, holder, err := k.db.Holder(k.Context(), s.ID)
		k.must(err)
		k.equal(held, s)
		k.equal(holder, u)
	}
	empty := k.session(u, func(s *session.Session) { s.Device, s.IP, s.UserAgent = "", "", "" })
	got, err := k.db.Sessions().ByID(k.Context(), empty.ID)
	k.must(err)
	k.equal(got, empty)
}

func sessionsStrange(k kit) {
	u := k.user("ada")
	for _, text := range strange() {
		s := k.session(u, func(s *session.Session) { s.Device, s.UserAgent = text, text })
		want := strings.NewReplacer("\x00", "\uFFFD", "\xff\xfe", "\uFFFD").Replace(text)
		got, err := k.db.Sessions().ByID(k.Context(), s.ID)
		k.must(err)
		k.equal([]string{got.Device, got.UserAgent}, []string{want, want})
		held, _, err := k.db.Holder(k.Context(), s.ID)
		k.must(err)
		k.equal(held, got)
	}
}

func sessionsNone(k kit) {
	s := k.session(k.user("ada"))
	for _, id := range append(strange(), "") {
		_, err := k.db.Sessions().ByID(k.Context(), session.ID(id))
		k.wantErr(err, session.ErrNotFound)
		_, _, err = k.db.Holder(k.Context(), session.ID(id))
		k.wantErr(err, session.ErrNotFound)
		r := rotation(s)
		r.ID = session.ID(id)
		_, err = k.rotate(k.Context(), r)
		k.wantErr(err, session.ErrConflict)
		living, err := k.db.Sessions().Living(k.Context(), id, epoch(), 9)
		k.must(err)
		k.equal(len(living), 0)
		if id == "" {
			continue
		}
		for _, w := range []session.Which{{ID: session.ID(id)}, {UserID: id}} {
			ended, err := k.db.Sessions().End(k.Context(), w, session.ReasonLogout, epoch())
			k.must(err)
			k.equal(len(ended), 0)
		}
	}
}

// rotation is the one that would succeed on s a minute after it was opened.
func rotation(s session.Session) session.Rotation {
	at := epoch().Add(time.Minute)
	return session.Rotation{
		ID: s.ID, UserID: s.UserID, Mode: s.Mode, From: s.Generation, Retry: "retry", At: at, IdleUntil: at.Add(time.Hour),
	}
}

func (k kit) rotate(ctx context.Context, r session.Rotation) (session.Session, error) {
	s, _, err := k.db.RotateHolder(ctx, r, func(session.Session, user.User) {})
	return s, err
}

func sessionsRotate(k kit) {
	u := k.user("ada")
	s, other := k.session(u), k.session(u)
	r := rotation(s)
	want := s
	want.Generation, want.LastUsedAt, want.Retry, want.ExpiresAt = 2, r.At, r.Retry, r.IdleUntil
	got, err := k.rotate(k.Context(), r)
	k.must(err)
	k.equal(got, want)
	got, err = k.db.Sessions().ByID(k.Context(), s.ID)
	k.must(err)
	k.equal(got, want)
	got, err = k.db.Sessions().ByID(k.Context(), other.ID)
	k.must(err)
	k.equal(got, other)

	r.From, r.Retry = 2, ""
	got, err = k.rotate(k.Context(), r)
	k.must(err)
	if got.Generation != 3 || got.Retry != "" {
		k.Errorf("generation %d, retry %q; want 3 and none", got.Generation, got.Retry)
	}
}

func sessionsRotateHolder(k kit) {
	k.user("eve")
	u := k.user("ada")
	var ahead session.Session
	var aheadHolder user.User
	got, holder, err := k.db.RotateHolder(k.Context(), rotation(k.session(u)), func(s session.Session, u user.User) { ahead, aheadHolder = s, u })
	k.must(err)
	k.equal(holder, u)
	k.equal(ahead, got)
	k.equal(aheadHolder, holder)

	bare := user.User{ID: user.ID(k.id()), Username: `o"de\te`, Disabled: true, CreatedAt: epoch()}
	k.must(k.db.Users().Create(k.Context(), bare))
	r := rotation(k.session(bare))
	k.must(k.db.InTx(k.Context(), func(ctx context.Context) (err error) {
		_, holder, err = k.db.RotateHolder(ctx, r, func(session.Session, user.User) {})
		return err
	}))
	k.equal(holder, bare)
}

func sessionsAbsolute(k kit) {
	s := k.session(k.user("ada"))
	for i, idle := range []time.Time{s.AbsoluteAt.Add(-time.Microsecond), s.AbsoluteAt, s.AbsoluteAt.Add(time.Microsecond)} {
		r := rotation(s)
		r.From, r.IdleUntil = session.Generation(i+1), idle
		got, err := k.rotate(k.Context(), r)
		k.must(err)
		if want := min(idle.UnixMicro(), s.AbsoluteAt.UnixMicro()); got.ExpiresAt.UnixMicro() != want {
			k.Errorf("idle until %s: expires at %s, absolute end %s", idle, got.ExpiresAt, s.AbsoluteAt)
		}
	}
}

func sessionsConflict(k kit) {
	u, eve := k.user("ada"), k.user("eve")
	s := k.session(u)
	ended := k.session(u)
	_, err := k.db.Sessions().End(k.Context(), session.Which{ID: ended.ID}, session.ReasonLogout, epoch())
	k.must(err)
	for name, edit := range map[string]func(r *session.Rotation){
		"another session":     func(r *session.Rotation) { r.ID = "other" },
		"no session":          func(r *session.Rotation) { r.ID = "" },
		"another user":        func(r *session.Rotation) { r.UserID = string(eve.ID) },
		"no user":             func(r *session.Rotation) { r.UserID = "" },
		"another mode":        func(r *session.Rotation) { r.Mode = session.Cookie },
		"no mode":             func(r *session.Rotation) { r.Mode = "" },
		"a future generation": func(r *session.Rotation) { r.From = 2 },
		"no generation":       func(r *session.Rotation) { r.From = 0 },
		"expired":             func(r *session.Rotation) { r.At = s.ExpiresAt },
		"long expired":        func(r *session.Rotation) { r.At = s.AbsoluteAt },
		"ended":               func(r *session.Rotation) { r.ID = ended.ID },
	} {
		r := rotation(s)
		edit(&r)
		used := func(session.Session, user.User) { k.Errorf("%s: something to work on", name) }
		if _, _, err := k.db.RotateHolder(k.Context(), r, used); count([]error{err}, session.ErrConflict) == 0 {
			k.Errorf("%s: %v, want a conflict", name, err)
		}
	}
	got, err := k.db.Sessions().ByID(k.Context(), s.ID)
	k.must(err)
	k.equal(got, s)
	r := rotation(s)
	r.At = s.ExpiresAt.Add(-time.Microsecond)
	_, err = k.rotate(k.Context(), r)
	k.must(err)
}

func sessionsRotateRace(k kit) {
	s := k.session(k.user("ada"))
	for gen := range session.Generation(5) {
		r := rotation(s)
		r.From = gen + 1
		errs := k.race(racers, func(ctx context.Context, _ int) error {
			_, err := k.rotate(ctx, r)
			return err
		})
		if won, lost := count(errs, nil), count(errs, session.ErrConflict); won != 1 || lost != racers-1 {
			k.Fatalf("%d rotated, %d in conflict: %v", won, lost, errs)
		}
	}
	got, err := k.db.Sessions().ByID(k.Context(), s.ID)
	k.must(err)
	k.equal(got.Generation, session.Generation(6))
}

func sessionsLiving(k kit) {
	u, eve := k.user("ada"), k.user("eve")
	k.session(eve)
	used := func(d time.Duration) func(s *session.Session) {
		return func(s *session.Session) { s.LastUsedAt = epoch().Add(d) }
	}
	second, first, third := k.session(u, used(2)), k.session(u, used(time.Minute)), k.session(u, used(-time.Minute))
	k.session(u, func(s *session.Session) { s.ExpiresAt = epoch() })
	over := k.session(u)
	_, err := k.db.Sessions().End(k.Context(), session.Which{ID: over.ID}, session.ReasonLogout, epoch())
	k.must(err)
	for limit, want := range map[int][]session.ID{
		9: {first.ID, second.ID, third.ID}, 2: {first.ID, second.ID}, 0: {},
	} {
		living, err := k.db.Sessions().Living(k.Context(), string(u.ID), epoch(), limit)
		k.must(err)
		got := make([]session.ID, len(living))
		for i, s := range living {
			got[i] = s.ID
		}
		k.equal(got, want)
	}
}

func sessionsPrune(k kit) {
	u := k.user("ada")
	border := epoch().Add(time.Minute)
	expires := func(at time.Time) session.Session {
		return k.session(u, func(s *session.Session) { s.ExpiresAt = at })
	}
	ended := func(at time.Time) session.Session {
		s := k.session(u)
		_, err := k.db.Sessions().End(k.Context(), session.Which{ID: s.ID}, session.ReasonLogout, at)
		k.must(err)
		return s
	}
	gone := []session.Session{
		expires(border.Add(-2)), expires(border.Add(-3 * time.Second)), expires(border.Add(-time.Microsecond)),
		ended(border.Add(-time.Second)), ended(border.Add(-time.Microsecond)),
	}
	refreshed := expires(border.Add(-time.Hour))
	_, err := k.rotate(k.Context(), session.Rotation{
		ID: refreshed.ID, UserID: refreshed.UserID, Mode: refreshed.Mode, From: refreshed.Generation, Retry: "retry",
		At: border.Add(-2 * time.Hour), IdleUntil: border,
	})
	k.must(err)
	stay := []session.Session{
		expires(border), expires(border.Add(time.Microsecond)), ended(border), ended(border.Add(time.Second)), k.session(u), refreshed,
	}
	var counts []int
	for range 4 {
		n, err := k.db.Sessions().Prune(k.Context(), border, 2)
		k.must(err)
		counts = append(counts, n)
	}
	k.equal(counts, []int{2, 2, 2, 0})
	for _, s := range gone {
		_, err := k.db.Sessions().ByID(k.Context(), s.ID)
		k.wantErr(err, session.ErrNotFound)
	}
	for _, s := range stay {
		_, err := k.db.Sessions().ByID(k.Context(), s.ID)
		k.must(err)
	}
}
