package app

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/internal/config"
	"github.com/jotgate/jotgate/internal/revocation"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/store/storetest"
	"github.com/jotgate/jotgate/internal/user"
)

// TestPruningGoesOn has a table from which nothing can be deleted.
func TestPruningGoesOn(t *testing.T) {
	a := &App{db: storetest.OpenSQLite(t)}
	long := time.Now().Add(-365 * 24 * time.Hour)
	if err := a.db.Users().Create(t.Context(), user.User{ID: "u", Username: "ada"}); err != nil {
		t.Fatal(err)
	}
	if err := a.db.Sessions().Create(t.Context(), session.Session{ID: "s", UserID: "u", Mode: session.Bearer, Generation: 1, ExpiresAt: long, AbsoluteAt: long}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.db.Attempts().Charge(t.Context(), "b", user.Allowance{Burst: 1, Recovery: time.Second}, long); err != nil {
		t.Fatal(err)
	}
	writer := a.db.SQLDB()["writer"]
	if _, err := writer.ExecContext(t.Context(), "CREATE TRIGGER stuck BEFORE DELETE ON sessions BEGIN SELECT RAISE(ABORT, 'stuck'); END"); err != nil {
		t.Fatal(err)
	}
	if err := a.pruneAll(t.Context()); err == nil || !strings.Contains(err.Error(), "stuck") {
		t.Errorf("error = %v", err)
	}
	var left int
	if err := writer.QueryRowContext(t.Context(), "SELECT count(*) FROM password_attempts").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d attempts are left, %v", left, err)
	}
}

// TestWorkThatFailedIsTriedSoon has a database come back between two reloads of the keys.
func TestWorkThatFailedIsTriedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &App{log: slog.New(slog.DiscardHandler)}
		ctx, stop := context.WithCancel(t.Context())
		begin, away := time.Now(), 90*time.Second
		var calls []time.Duration
		a.each(ctx, time.Minute, nil, "reload", func(context.Context) error {
			since := time.Since(begin)
			if since < away {
				return errors.New("away")
			}
			if calls = append(calls, since); len(calls) == 2 {
				stop()
			}
			return nil
		})
		if calls[0] > away+syncEach || calls[1] != calls[0]+time.Minute {
			t.Errorf("well after %s", calls)
		}
	})
}

// TestClockThatIsSetForwardIsNoted holds that other processes can know at once how far
// ahead tokens are dated, and that nothing is written each second.
func TestClockThatIsSetForwardIsNoted(t *testing.T) {
	a := &App{db: storetest.OpenSQLite(t), config: config.Default()}
	a.feed = revocation.NewFeed(a.db.Revocations(), a.retain, time.Now)
	at := time.Now()
	follow := a.follow(func() time.Time { return at })
	for _, tt := range []struct {
		step  time.Duration
		noted bool
	}{{time.Second, false}, {-time.Hour, false}, {time.Hour, true}} {
		at = at.Add(tt.step)
		if err := follow(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := a.db.TokenLives().Latest(t.Context(), time.Now()); err != nil || got.IsZero() == tt.noted || tt.noted && !a.seen().Equal(got) {
			t.Errorf("after a step of %v the latest time is %s, known as %s, %v", tt.step, got, a.seen(), err)
		}
	}
}

// TestFeedIsReadWhateverTheClockDoes has a database that takes no note of a clock that was
// set forward: what ended elsewhere is heard all the same, and the note is made later.
func TestFeedIsReadWhateverTheClockDoes(t *testing.T) {
	a := &App{db: storetest.OpenSQLite(t), config: config.Default()}
	a.feed = revocation.NewFeed(a.db.Revocations(), a.retain, time.Now)
	elsewhere := revocation.NewFeed(a.db.Revocations(), a.retain, time.Now)
	if err := elsewhere.Append(t.Context(), elsewhere.Sessions("S1")); err != nil {
		t.Fatal(err)
	}
	run := func(statement string) {
		t.Helper()
		if _, err := a.db.SQLDB()["writer"].ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	run("CREATE TRIGGER full BEFORE INSERT ON token_lives BEGIN SELECT RAISE(FAIL, 'full'); END")
	at := time.Now()
	follow := a.follow(func() time.Time { return at })
	at = at.Add(time.Hour)
	if err := follow(t.Context()); err == nil || !a.feed.Revoked("S1", "U1", time.Now()) {
		t.Errorf("error %v, heard: %t", err, a.feed.Revoked("S1", "U1", time.Now()))
	}
	run("DROP TRIGGER full")
	if err := follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	if noted, err := a.db.TokenLives().Latest(t.Context(), time.Now()); err != nil || noted.IsZero() {
		t.Errorf("noted %s, %v", noted, err)
	}
}

// TestWhatEndsIsKeptForAClockAhead holds that what ends sessions knows how late the tokens of
// another process are dated.
func TestWhatEndsIsKeptForAClockAhead(t *testing.T) {
	c := config.Default()
	c.DataDir = t.TempDir()
	c.Database.URL = config.NewSecret("sqlite:" + c.DataDir + "/jotgate.db")
	a, err := New(t.Context(), c, Build{Version: "test"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	ahead := time.Now().Add(time.Hour)
	if err := errors.Join(a.db.TokenLives().Seen(t.Context(), c.Token.AccessTTL, ahead), a.noteLife(t.Context())); err != nil {
		t.Fatal(err)
	}
	ends := a.feed.Sessions("S1")
	if len(ends) == 0 {
		t.Fatal("nothing ends a session")
	}
	for _, e := range ends {
		if e.ExpiresAt.Before(ahead.Add(c.Token.AccessTTL)) {
			t.Errorf("what ends a session is kept until %s, where a token may be dated %s", e.ExpiresAt, ahead)
		}
	}
}
