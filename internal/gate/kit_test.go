package gate_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/keyset"
	"github.com/jotgate/jotgate/internal/password"
	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/revocation"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/storetest"
	"github.com/jotgate/jotgate/internal/telemetry"
	"github.com/jotgate/jotgate/internal/token"
	"github.com/jotgate/jotgate/internal/user"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	issuer    = "https://auth.example.com"
	passOne   = "correct horse battery staple"
	passTwo   = "paper lantern over the river"
	accessTTL = 10 * time.Minute
	idle      = 30 * 24 * time.Hour
	absolute  = 90 * 24 * time.Hour
	grace     = 10 * time.Second
)

// clock is the time in a test, which moves when it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// events is the audit store, which can be made to fail.
type events struct {
	audit.Store
	mu     sync.Mutex
	broken bool
	kinds  []audit.Kind
}

var errBroken = errors.New("the disk is full")

func (e *events) Append(ctx context.Context, ev audit.Event) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.broken {
		return errBroken
	}
	e.kinds = append(e.kinds, ev.Kind)
	return e.Store.Append(ctx, ev)
}

func (e *events) fail(yes bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.broken = yes
}

func (e *events) last() audit.Kind {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.kinds) == 0 {
		return ""
	}
	return e.kinds[len(e.kinds)-1]
}

// world is a gate with everything behind it, on a real database.
type world struct {
	*gate.Gate
	*clock
	db     *store.DB
	feed   *revocation.Feed
	events *events
	reader *token.Refresher
	keys   *keyset.Set
}

func newWorld(tb testing.TB, db *store.DB) *world {
	tb.Helper()
	w := &world{
		clock: &clock{at: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}, db: db, events: &events{Store: db.Audit()},
	}
	master, err := keyset.ParseMasterKey(strings.Repeat("5a", 32))
	if err != nil {
		tb.Fatal(err)
	}
	w.keys = keyset.New(db.Keys(), master, keyset.Config{PublishAhead: time.Minute, Retain: func() time.Duration { return time.Hour }, Now: w.now})
	if err := w.keys.Ensure(tb.Context(), keyset.EdDSA); err != nil {
		tb.Fatal(err)
	}
	minter, err := token.NewIssuer(issuer, issuer, w.keys.Signer)
	if err != nil {
		tb.Fatal(err)
	}
	w.reader = token.NewRefresher(issuer, master)
	hasher := password.NewHasher(password.Params{MemoryKiB: 64, Passes: 1, Lanes: 1}, 2, 256)
	tb.Cleanup(hasher.Close)
	w.feed = revocation.NewFeed(db.Revocations(), func() time.Duration { return accessTTL + 30*time.Second }, w.now)
	w.Gate = gate.New(gate.Config{
		Users: user.New(user.Config{
			Store: db.Users(), Attempts: db.Attempts(), Allowance: user.Allowance{Burst: 10, Recovery: 30 * time.Second},
			Hasher: hasher, Policy: password.Policy{MinLength: 15}, Now: w.now,
		}),
		Sessions: session.New(session.Config{Store: db.Sessions(), Idle: idle, Absolute: absolute, Grace: grace, Now: w.now}),
		Holder:   db.Holder, RotateHolder: db.RotateHolder,
		Ledger: &flow.Ledger{Revocations: w.feed, Audit: w.events, InTx: db.InTx, Now: w.now},
		Keys:   apikey.New(db.APIKeys(), w.now),
		Issuer: minter, Refresher: w.reader, AccessTTL: func() time.Duration { return accessTTL }, Metrics: telemetry.NewMetrics("test", "none"),
	})
	return w
}

func visit() *flow.Visit { return &flow.Visit{AddressKey: "192.0.2.1"} }

func (w *world) register(tb testing.TB, name string) user.User {
	tb.Helper()
	u, err := w.Register(tb.Context(), gate.Registration{Username: name, Password: passOne}, visit())
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

func (w *world) login(tb testing.TB, name, pass string) gate.Tokens {
	tb.Helper()
	t, err := w.Login(tb.Context(), gate.Credentials{Identifier: name, Password: pass, Mode: session.Bearer}, visit())
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// open opens n sessions for u, without a login each, in transactions that a busy machine
// is in time for.
func (w *world) open(tb testing.TB, u user.User, n int) {
	tb.Helper()
	for left := n; left > 0; left -= 200 {
		if err := w.db.InTx(tb.Context(), func(ctx context.Context) error {
			for range min(left, 200) {
				if _, err := w.Sessions.Open(ctx, session.Opening{UserID: string(u.ID), Mode: session.Bearer}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			tb.Fatal(err)
		}
	}
}

func (w *world) refresh(ctx context.Context, raw, key string) (gate.Tokens, error) {
	return w.Refresh(ctx, gate.Refreshing{Token: raw, Mode: session.Bearer, RetryKey: key}, visit())
}

func (w *world) caller(tb testing.TB, t gate.Tokens) gate.Caller {
	tb.Helper()
	who, err := w.Caller(tb.Context(), string(t.Session.ID), string(t.User.ID))
	if err != nil {
		tb.Fatal(err)
	}
	return who
}

// valid reports whether the access token of t would be accepted, by the set in
// memory and by the database.
func (w *world) valid(tb testing.TB, t gate.Tokens) bool {
	tb.Helper()
	issued := t.IssuedAt
	inMemory := !w.feed.Revoked(string(t.Session.ID), string(t.User.ID), issued)
	_, err := w.Caller(tb.Context(), string(t.Session.ID), string(t.User.ID))
	if err != nil && !errors.Is(err, session.ErrEnded) {
		tb.Fatal(err)
	}
	if inMemory && err != nil {
		tb.Errorf("session %s is over in the database and not in memory", t.Session.ID)
	}
	return inMemory && err == nil
}

func onBoth(t *testing.T, f func(t *testing.T, w *world)) {
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); f(t, newWorld(t, storetest.OpenSQLite(t))) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); f(t, newWorld(t, storetest.Open(t, pgtest.DSN(t)))) })
}
