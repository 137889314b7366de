package gate_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/user"
)

// TestLogoutWhoseAnswerFromTheDatabaseWasLost is tried again, and then has shut everybody out of
// the session in this process too: nothing was left to do for the second try.
func TestLogoutWhoseAnswerFromTheDatabaseWasLost(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		u := w.register(t, "ada")
		phone, laptop, tablet := w.login(t, "ada", passOne), w.login(t, "ada", passOne), w.login(t, "ada", passOne)
		logout := func() error { return w.Logout(t.Context(), string(laptop.Session.ID), string(u.ID), visit()) }
		revoke := func() error {
			return w.EndSession(t.Context(), w.caller(t, phone), tablet.Session.ID, visit())
		}
		inTx, errLost := w.InTx, errors.New("connection reset by peer")
		lost := func(ctx context.Context, f func(ctx context.Context) error) error {
			return errors.Join(inTx(ctx, f), errLost)
		}
		for _, try := range []struct {
			what  func() error
			again error
		}{{logout, nil}, {revoke, session.ErrNotFound}} {
			w.InTx = lost
			if err := try.what(); !errors.Is(err, errLost) {
				t.Fatal(err)
			}
			w.InTx = inTx
			if err := try.what(); !errors.Is(err, try.again) {
				t.Fatal(err)
			}
		}
		if w.valid(t, laptop) || w.valid(t, tablet) || !w.valid(t, phone) {
			t.Error("not exactly the sessions that were ended are over")
		}
	})
}

// TestRefreshThatTheDatabaseStalled has the client come again when the grace of the
// rotation is over, because the answer that nobody knows took as long. That is no theft.
func TestRefreshThatTheDatabaseStalled(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		w.register(t, "ada")
		phone := w.login(t, "ada", passOne)
		rotate := w.RotateHolder
		w.RotateHolder = func(ctx context.Context, r session.Rotation, use func(session.Session, user.User)) (session.Session, user.User, error) {
			s, u, err := rotate(ctx, r, use)
			w.step(grace)
			return s, u, errors.Join(err, &store.UnavailableError{Err: errors.New("stalled")})
		}
		if _, err := w.refresh(t.Context(), phone.Refresh, ""); err == nil {
			t.Fatal("told")
		}
		w.RotateHolder = rotate
		w.step(3 * time.Second)
		next, err := w.refresh(t.Context(), phone.Refresh, "")
		if err != nil || !w.valid(t, next) {
			t.Fatalf("the retry: %v", err)
		}
		if _, err := w.refresh(t.Context(), next.Refresh, ""); err != nil {
			t.Errorf("its child: %v", err)
		}
	})
}

// TestRefreshThatTheClientGaveUp has the client close its connection while the database is
// at it, and come again when the grace of what was committed is over. That is no theft.
func TestRefreshThatTheClientGaveUp(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		w.register(t, "ada")
		phone := w.login(t, "ada", passOne)
		ctx, cancel := context.WithCancel(t.Context())
		giveUp := func() {
			w.step(grace - 3*time.Second)
			cancel()
		}
		rotate := w.RotateHolder
		if pool := w.db.SQLDB()["postgres"]; pool != nil {
			if _, err := pool.ExecContext(t.Context(), `
CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER stall AFTER UPDATE ON sessions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.generation = 2) EXECUTE FUNCTION stall()`); err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(500*time.Millisecond, giveUp)
		} else {
			w.RotateHolder = func(ctx context.Context, r session.Rotation, use func(session.Session, user.User)) (session.Session, user.User, error) {
				return rotate(ctx, r, func(s session.Session, u user.User) { // beside the commit
					giveUp()
					use(s, u)
				})
			}
		}
		if _, err := w.refresh(ctx, phone.Refresh, ""); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		<-ctx.Done()
		w.RotateHolder = rotate
		for begin := time.Now(); time.Since(begin) < 5*time.Second; time.Sleep(10 * time.Millisecond) {
			if s, err := w.db.Sessions().ByID(t.Context(), phone.Session.ID); err != nil || s.Generation == 2 {
				break
			}
		}
		w.step(4 * time.Second)
		if next, err := w.refresh(t.Context(), phone.Refresh, ""); err != nil || !w.valid(t, next) {
			t.Errorf("again: %v", err)
		}
	})
}

// TestLogoutThatLandsLate is answered by an error, then somebody gives up waiting for the
// database, then it is committed after all. Who tries again is told that it is done, and
// it is so in this process.
func TestLogoutThatLandsLate(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		u := w.register(t, "ada")
		laptop := w.login(t, "ada", passOne)
		logout := func() error { return w.Logout(t.Context(), string(laptop.Session.ID), string(u.ID), visit()) }
		inTx, errLost := w.InTx, errors.New("stalled")
		ran, land, landed := make(chan struct{}), make(chan struct{}), make(chan error)
		w.InTx = func(ctx context.Context, f func(ctx context.Context) error) error {
			go func() {
				landed <- inTx(ctx, func(ctx context.Context) error {
					defer func() { <-land }()
					defer close(ran)
					return f(ctx)
				})
			}()
			<-ran
			return errLost
		}
		if err := logout(); !errors.Is(err, errLost) {
			t.Fatal(err)
		}
		w.InTx = func(context.Context, func(context.Context) error) error { return errLost }
		if err := w.Record(t.Context(), audit.Event{Kind: audit.LoginRefused}); !errors.Is(err, errLost) {
			t.Fatal(err)
		}
		close(land)
		if err := <-landed; err != nil {
			t.Fatal(err)
		}
		w.InTx = inTx
		if err := logout(); err != nil || w.valid(t, laptop) {
			t.Errorf("the second try: %v", err)
		}
	})
}
