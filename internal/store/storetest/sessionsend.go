package storetest

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/session"
)

func sessionsEnd(k kit) {
	u, eve := k.user("ada"), k.user("eve")
	a, b, c, hers := k.session(u), k.session(u), k.session(u), k.session(eve)
	now := epoch().Add(time.Second)
	k.session(u, func(s *session.Session) { s.ExpiresAt = now.Add(-session.Leeway) }) // nothing of it is accepted any more
	late := k.session(u, func(s *session.Session) { s.ExpiresAt = now.Add(time.Microsecond - session.Leeway) })
	for _, step := range []struct {
		which session.Which
		want  []session.ID
	}{
		{session.Which{ID: a.ID, UserID: string(eve.ID)}, ids()},
		{session.Which{ID: a.ID, UserID: string(u.ID)}, ids(a)},
		{session.Which{ID: a.ID}, ids()}, // no second time
		{session.Which{ID: late.ID}, ids(late)},
		{session.Which{UserID: string(u.ID), Except: b.ID}, ids(c)},
		{session.Which{UserID: string(u.ID), ID: b.ID, Except: b.ID}, ids()},
		{session.Which{UserID: string(u.ID)}, ids(b)},
		{session.Which{ID: hers.ID}, ids(hers)},
	} {
		got, err := k.db.Sessions().End(k.Context(), step.which, session.ReasonRevoked, now)
		k.must(err)
		slices.Sort(got)
		if !slices.Equal(got, step.want) {
			k.Errorf("End(%+v) = %v, want %v", step.which, got, step.want)
		}
	}
	a.EndedAt = now
	got, err := k.db.Sessions().ByID(k.Context(), a.ID)
	k.must(err)
	k.equal(got, a)
}

func sessionsRemember(k kit) {
	s := k.session(k.user("ada"))
	remember := func(current session.Generation, retry string) string {
		k.must(k.db.Sessions().Remember(k.Context(), s.ID, current, session.RetryKey(retry)))
		got, err := k.db.Sessions().ByID(k.Context(), s.ID)
		k.must(err)
		return string(got.Retry)
	}
	k.equal(remember(s.Generation, "a"), "a")
	k.equal(remember(s.Generation, "b"), "a b")
	k.equal(remember(s.Generation+1, "c"), "a b")
	for range 20 {
		remember(s.Generation, strings.Repeat("d", 64))
	}
	if n := len(remember(s.Generation, "e")); n < 512 || n > 512+65 {
		k.Errorf("%d bytes of retry keys", n)
	}
	_, err := k.db.Sessions().End(k.Context(), session.Which{ID: s.ID}, session.ReasonLogout, epoch())
	k.must(err)
	before, err := k.db.Sessions().ByID(k.Context(), s.ID)
	k.must(err)
	k.equal(remember(s.Generation, "f"), string(before.Retry))
}

func sessionsEndUnused(k kit) {
	u := k.user("ada")
	k.session(k.user("eve"), func(s *session.Session) { s.LastUsedAt = epoch().Add(-time.Hour) })
	used := make([]session.Session, 6)
	for i := range used {
		used[i] = k.session(u, func(s *session.Session) { s.LastUsedAt = epoch().Add(time.Duration(i-9) * time.Minute) })
	}
	for _, want := range [][]session.ID{ids(used[2], used[3]), ids(used[1]), ids()} {
		w := session.Which{UserID: string(u.ID), Except: used[0].ID, Keep: 2, Limit: 2}
		ended, err := k.db.Sessions().End(k.Context(), w, session.ReasonCrowded, epoch().Add(time.Second))
		k.must(err)
		slices.Sort(ended)
		k.equal(ended, want)
	}
}

func sessionsEndNothing(k kit) {
	s := k.session(k.user("ada"))
	for _, w := range []session.Which{{}, {Except: "x"}, {Except: s.ID}} {
		ended, err := k.db.Sessions().End(k.Context(), w, session.ReasonLogout, epoch())
		k.must(err)
		k.equal(len(ended), 0)
	}
	got, err := k.db.Sessions().ByID(k.Context(), s.ID)
	k.must(err)
	k.equal(got, s)
}

func sessionsEndOlder(k kit) {
	u, eve := k.user("ada"), k.user("eve")
	k.session(u, func(s *session.Session) { s.ExpiresAt = epoch() }) // over already
	for range 2 {
		k.session(u)
		k.session(eve)
	}
	newer := k.session(u, func(s *session.Session) { s.CreatedAt = epoch().Add(time.Minute) })
	now := epoch().Add(time.Second)
	for _, want := range []int{3, 1, 0} {
		ended, err := k.db.Sessions().End(k.Context(), session.Which{Before: newer.CreatedAt, Limit: 3}, session.ReasonEpoch, now)
		k.must(err)
		k.equal(len(ended), want)
	}
	got, err := k.db.Sessions().ByID(k.Context(), newer.ID)
	k.must(err)
	k.equal(got, newer)
}

func sessionsEndRace(k kit) {
	u := k.user("ada")
	a, b := k.session(u), k.session(u)
	ended := make([][]session.ID, racers)
	errs := k.race(racers, func(ctx context.Context, i int) (err error) {
		w := session.Which{UserID: string(u.ID)}
		if i%2 == 0 {
			w = session.Which{ID: a.ID}
		}
		ended[i], err = k.db.Sessions().End(ctx, w, session.ReasonLogout, epoch())
		return err
	})
	k.equal(count(errs, nil), racers)
	all := slices.Concat(ended...)
	slices.Sort(all)
	k.equal(all, ids(a, b))
}

// sessionsEndRotateRace: whoever comes first, no rotation succeeds after the end.
func sessionsEndRotateRace(k kit) {
	u := k.user("ada")
	for range 5 {
		s := k.session(u)
		errs := k.race(2, func(ctx context.Context, i int) error {
			if i == 0 {
				_, err := k.db.Sessions().End(ctx, session.Which{ID: s.ID}, session.ReasonLogout, epoch().Add(time.Minute))
				return err
			}
			_, err := k.rotate(ctx, rotation(s))
			return err
		})
		k.must(errs[0])
		if errs[1] != nil {
			k.wantErr(errs[1], session.ErrConflict)
		}
		r := rotation(s)
		for _, r.From = range []session.Generation{1, 2} {
			_, err := k.rotate(k.Context(), r)
			k.wantErr(err, session.ErrConflict)
		}
	}
}
