// Package app builds the program from a configuration and runs it. It knows all
// the rooms and decides nothing: what it does is written in the packages it joins.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/client"
	"github.com/jotgate/jotgate/internal/config"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/httpapi"
	"github.com/jotgate/jotgate/internal/keyset"
	"github.com/jotgate/jotgate/internal/oauth"
	"github.com/jotgate/jotgate/internal/oauthapi"
	"github.com/jotgate/jotgate/internal/password"
	"github.com/jotgate/jotgate/internal/ratelimit"
	"github.com/jotgate/jotgate/internal/revocation"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/telemetry"
	"github.com/jotgate/jotgate/internal/token"
	"github.com/jotgate/jotgate/internal/user"
	"github.com/jotgate/jotgate/pkg/bearer"
)

const (
	// leeway is bearer's: how long after exp a token is still accepted.
	leeway = 30 * time.Second
	// acceptedTokens is how many tokens are remembered that were found good, 1.4 KB each.
	acceptedTokens = 32_768
	// limitedKeys bounds the memory of each limit.
	limitedKeys = 100_000
	lanes       = 1
	// redisWait is much for a Redis in the same network and little for a login, and
	// redisPause is how long an outage of it lasts at least.
	redisWait  = 100 * time.Millisecond
	redisPause = time.Second
)

// Build is what the program was built from, and how it starts itself.
type Build struct {
	Version, Commit string
	// Hashes starts a process that hashes passwords ([password.Serve]); nil hashes in this one.
	Hashes func() *exec.Cmd
}

// App is the program, built. Create one with [New] and call [App.Close] at the end.
type App struct {
	Gate      *gate.Gate
	OAuth     *oauth.OAuth
	Keys      *keyset.Set
	Verifier  *bearer.Verifier
	Refresher *token.Refresher
	// API is what the public listener serves, Operations what the other one does.
	API, Operations http.Handler

	config   config.Config
	log      *slog.Logger
	tracing  *telemetry.Tracing // nil if it is off
	db       *store.DB
	hasher   *password.Hasher
	feed     *revocation.Feed
	issuer   *token.Issuer
	shared   *ratelimit.Shared // nil where each process limits by itself
	draining atomic.Bool
	stopping chan struct{} // closed when no more requests are taken
	// asked is what the database last said, and askedRedis what Redis did.
	asked, askedRedis pinged
	pace              Pace
	lives             atomic.Int64  // the longest life of a token, see longestLife
	livedBefore       time.Duration // the shortest one at the start, see accessTTL
	noted             time.Time     // when others could first hear how long tokens live
	scratch           string        // a directory that goes with the program, or nothing
	latest            atomic.Int64  // in microseconds, see seen
}

// pinged is what something last said. Anybody may ask whether the program is
// ready, and each asking of the database takes the one connection that writes.
type pinged struct {
	mu  sync.Mutex
	at  time.Time
	err error
}

// pingEach is how often something is asked at most.
const pingEach = time.Second

func (p *pinged) ask(ctx context.Context, ping func(context.Context) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if since := time.Since(p.at); since < 0 || since >= pingEach {
		p.err = ping(ctx)
		p.at = time.Now()
	}
	return p.err
}

// New opens the database, migrates it, opens the signing keys and builds the
// program around them. Its errors are one line and say what to do. Nothing
// listens and nothing runs in the background before [App.Run].
func New(ctx context.Context, c config.Config, b Build, log *slog.Logger) (*App, error) {
	return NewPaced(ctx, c, b, log, steady())
}

// NewPaced is [New] with keys that move faster, for tests.
func NewPaced(ctx context.Context, c config.Config, b Build, log *slog.Logger, p Pace) (_ *App, err error) {
	a := &App{config: c, log: log, pace: p, stopping: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if c.Traces {
		if a.tracing, err = telemetry.NewTracing(ctx, b.Version, log); err != nil {
			return nil, err
		}
		a.log = a.tracing.Logger(log)
	}
	master, other, err := givenKeys(c)
	if err != nil {
		return nil, err
	}
	if a.db, err = openStore(ctx, c, store.Config{Logger: a.log, Spans: a.tracing.Provider()}); err != nil {
		return nil, err
	}
	if master, err = a.migrate(ctx, master); err != nil {
		return nil, err
	}
	if err := a.openKeys(ctx, master, other); err != nil {
		return nil, err
	}
	a.Refresher = token.NewRefresher(c.PublicURL, master, other)
	if a.shared, err = openShared(c, master, a.log, a.tracing.Provider()); err != nil {
		return nil, err
	}
	metrics := telemetry.NewMetrics(b.Version, b.Commit)
	if err := a.buildGate(ctx, b, metrics); err != nil {
		return nil, err
	}
	if err := a.buildHTTP(ctx, metrics); err != nil {
		return nil, err
	}
	a.measure(metrics)
	return a, nil
}

func (a *App) buildGate(ctx context.Context, b Build, metrics *telemetry.Metrics) error {
	c := a.config
	var err error
	if a.issuer, err = token.NewIssuer(c.PublicURL, c.Token.Audience, a.Keys.Signer); err != nil {
		return err
	}
	a.hasher = password.NewHasher(password.Params{
		MemoryKiB: c.Password.MemoryKiB, Passes: c.Password.Passes, Lanes: lanes,
	}, c.Password.Slots(), c.Password.Queue)
	a.hasher.Command = b.Hashes
	a.hasher.Failed = func(err error) {
		a.log.WarnContext(context.WithoutCancel(ctx), "a process that hashes failed; hashing in this one", slog.Any("error", err))
	}
	a.feed = revocation.NewFeed(a.db.Revocations(), a.retain, time.Now)
	a.feed.KeyRevoked, a.feed.Seen = a.Keys.Reload, a.seen
	if err := a.feed.Sync(ctx); err != nil {
		return err
	}
	limits, err := newLimits(c.RateLimit, a.shared)
	if err != nil {
		return err
	}
	users := user.Config{
		Store: a.db.Users(), Hasher: a.hasher, Policy: password.Policy{MinLength: c.Password.MinLength}, Now: time.Now,
		Allowance: user.Allowance{Burst: c.RateLimit.UserFailures, Recovery: c.RateLimit.UserRecovery},
	}
	if c.RateLimit.Enabled {
		users.Attempts = a.db.Attempts()
	}
	a.Gate = gate.New(gate.Config{
		Users: user.New(users),
		Sessions: session.New(session.Config{
			Store: a.db.Sessions(), Idle: c.Refresh.IdleTTL, Absolute: c.Refresh.AbsoluteTTL, Grace: c.Refresh.Grace, Now: time.Now,
		}),
		Holder: a.db.Holder, RotateHolder: a.db.RotateHolder,
		Ledger: &flow.Ledger{Revocations: a.feed, Audit: a.db.Audit(), InTx: a.db.InTx, Now: time.Now},
		Keys:   apikey.New(a.db.APIKeys(), time.Now),
		Issuer: a.issuer, Refresher: a.Refresher,
		AccessTTL: a.accessTTL, Limits: limits, Metrics: metrics, Closed: c.Registration == "closed",
	})
	return nil
}

func (a *App) buildHTTP(ctx context.Context, metrics *telemetry.Metrics) (err error) {
	c := a.config
	a.Verifier, err = bearer.New(ctx, bearer.Config{
		Issuer: c.PublicURL, Audience: c.Token.Audience, Leeway: leeway, Keys: a.publicKey, Revoked: a.revoked, CacheSize: acceptedTokens,
	})
	if err != nil {
		return err
	}
	if err := a.buildOAuth(ctx); err != nil {
		return err
	}
	proxies, err := parseProxies(c.TrustedProxies)
	if err != nil {
		return err
	}
	api := httpapi.Config{
		Gate: a.Gate, OAuth: a.OAuth, Keys: a.Keys, Revocations: a.feed, Verifier: a.Verifier, PublicURL: c.PublicURL, TrustedOrigins: c.Cookie.TrustedOrigins,
		AllowedOrigins: c.CORS.AllowedOrigins, TrustedProxies: proxies, SampleApp: c.SampleApp(),
		KeysMaxAge: a.pace.KeysMaxAge, Ready: a.ready, Stopping: a.stopping, Metrics: metrics, Log: a.log,
		Spans: a.tracing.Provider(), Now: time.Now,
	}
	a.Operations = httpapi.Operations(api)
	a.API, err = httpapi.New(api)
	return err
}

func (a *App) buildOAuth(ctx context.Context) error {
	c := a.config
	reader, err := bearer.New(ctx, bearer.Config{
		Issuer: c.PublicURL, AnyAudience: true, Leeway: leeway, Keys: a.publicKey, Revoked: a.revoked,
	})
	if err != nil {
		return err
	}
	a.OAuth = oauth.New(oauth.Config{
		Ledger: a.Gate.Ledger, Clients: client.New(a.db.Clients(), c.Token.Audience, time.Now),
		Users: a.Gate.Users, Sessions: a.Gate.Sessions, Issuer: a.issuer, Refresher: a.Refresher,
		AccessTTL: a.accessTTL, Audience: c.Token.Audience, KeyHolder: a.Gate.UserOfKey, Read: oauthapi.Reader(reader),
	})
	return nil
}

// publicKey is where the verifier finds keys: in memory.
func (a *App) publicKey(_ context.Context, kid string) (bearer.Key, error) {
	k, ok := a.Keys.Public(kid)
	if !ok {
		return bearer.Key{}, errors.New("not one of ours")
	}
	return bearer.Key{Algorithm: string(k.Algorithm), Public: k.Key}, nil
}

// revoked has what may be forgotten read again before it refuses a token for it.
func (a *App) revoked(c *bearer.Claims) bool {
	ended := func() bool { return a.feed.Revoked(cmp.Or(c.SessionID, c.ID), c.Subject, c.IssuedAt) }
	return ended() && (!a.recall(c.IssuedAt) || ended())
}

func (a *App) recall(issuedAt time.Time) bool {
	ctx, cancel := context.WithTimeout(context.Background(), syncEach)
	defer cancel()
	err := a.feed.Recall(ctx, issuedAt)
	if err != nil {
		a.log.ErrorContext(ctx, "the clock went back, and what was revoked before cannot be read", slog.Any("err", err))
	}
	return err == nil
}

func parseProxies(texts []string) ([]netip.Prefix, error) {
	proxies := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil {
				return nil, fmt.Errorf("trusted proxy %q is neither an address nor a range", text)
			}
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		proxies[i] = p
	}
	return proxies, nil
}

var errDraining = errors.New("the program is about to stop")

// ready names what the program depends on.
func (a *App) ready(ctx context.Context) []httpapi.Dependency {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	d := []httpapi.Dependency{{Name: "database", Err: a.asked.ask(ctx, a.db.Ping)}}
	if a.shared != nil {
		d = append(d, httpapi.Dependency{Name: "redis", Err: a.askedRedis.ask(ctx, a.probeRedis), Optional: true})
	}
	server := httpapi.Dependency{Name: "server"}
	if a.draining.Load() {
		server.Err = errDraining
	}
	return append(d, server)
}

func (a *App) measure(m *telemetry.Metrics) {
	for name, pool := range a.db.SQLDB() {
		m.RegisterDB(name, pool)
	}
	m.RegisterPool(func() (running, waiting int) { return a.hasher.Running(), a.hasher.Waiting() })
	if a.shared != nil {
		measureShared(m, a.shared)
	}
	m.GaugeFunc("jotgate_revocations", "Entries in the set of what is revoked.", func() float64 { return float64(a.feed.Size()) })
	m.GaugeFunc("jotgate_signing_key_age_seconds", "Time for which the key that signs has signed.", a.keyAge)
	m.GaugeFunc("jotgate_revocations_lag_seconds", "Age of the set of what is revoked.", func() float64 { return a.feed.Lag().Seconds() })
}

// Close stops the hashing workers, closes Redis and the database, takes away what
// [NewScratch] made, and sends the traces that are left.
func (a *App) Close() error {
	if a.hasher != nil {
		a.hasher.Close()
	}
	var errs []error
	if a.shared != nil {
		errs = append(errs, a.shared.Close())
	}
	if a.db != nil {
		errs = append(errs, a.db.Close())
	}
	if a.scratch != "" {
		errs = append(errs, os.RemoveAll(a.scratch))
	}
	return errors.Join(append(errs, a.tracing.Close(context.Background()))...)
}
