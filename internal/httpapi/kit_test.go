package httpapi_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/client"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/httpapi"
	"github.com/jotgate/jotgate/internal/keyset"
	"github.com/jotgate/jotgate/internal/oauth"
	"github.com/jotgate/jotgate/internal/oauthapi"
	"github.com/jotgate/jotgate/internal/password"
	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/ratelimit"
	"github.com/jotgate/jotgate/internal/revocation"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/storetest"
	"github.com/jotgate/jotgate/internal/telemetry"
	"github.com/jotgate/jotgate/internal/token"
	"github.com/jotgate/jotgate/internal/user"
	"github.com/jotgate/jotgate/pkg/bearer"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	issuer    = "http://localhost:8080"
	goodPass  = "correct horse battery staple"
	otherPass = "tr0ub4dor and some more words"
	accessTTL = 10 * time.Minute
)

// clock is the time in a test. It stands still unless it is moved.
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

// api is a whole jotgate behind an httptest.Server.
type api struct {
	*testing.T
	*clock
	url   string
	whole http.Handler // behind url
	gate  *gate.Gate
	oauth *oauth.OAuth
	keys  *keyset.Set
	db    *store.DB
	feed  *revocation.Feed
	deaf  *atomic.Bool  // the feed takes nothing
	stop  chan struct{} // closed, it takes no more requests
	log   *bytes.Buffer
	down  error // what /readyz finds of the database
	away  error // and of Redis
}

// options is what a test sets besides the defaults.
type options struct {
	database    string // "" for SQLite
	closed      bool
	noApp       bool // the sample app is off
	limits      func(l *gate.Limits)
	attempts    bool
	trusted     []string
	allowed     []string
	proxies     []netip.Prefix
	alg         keyset.Algorithm
	hashes      password.Params
	queue, work int
	spans       trace.TracerProvider
}

// newAPI starts a jotgate on an empty database.
func newAPI(t *testing.T, set ...func(o *options)) *api {
	t.Helper()
	o := options{alg: keyset.ES256, hashes: password.Params{MemoryKiB: 64, Passes: 1, Lanes: 1}, queue: 64, work: 2}
	for _, f := range set {
		f(&o)
	}
	if o.database == "" {
		o.database = "sqlite:" + filepath.Join(t.TempDir(), "jotgate.db")
	}
	a := &api{T: t, clock: &clock{at: time.Now().UTC().Truncate(time.Second)}, deaf: new(atomic.Bool), log: &bytes.Buffer{}}
	a.db = storetest.Open(t, o.database)
	a.build(o)
	return a
}

func (a *api) build(o options) {
	a.Helper()
	master, err := keyset.ParseMasterKey(strings.Repeat("0f", 32))
	a.must(err)
	a.keys = keyset.New(a.db.Keys(), master, keyset.Config{PublishAhead: 10 * time.Minute, Retain: func() time.Duration { return accessTTL + 30*time.Second }, Now: a.now})
	a.must(a.keys.Ensure(a.Context(), o.alg))
	minter, err := token.NewIssuer(issuer, issuer, a.keys.Signer)
	a.must(err)
	hasher := password.NewHasher(o.hashes, o.work, o.queue)
	a.Cleanup(hasher.Close)
	a.feed, a.stop = revocation.NewFeed(breakable{a.db.Revocations(), a.deaf}, func() time.Duration { return accessTTL + 30*time.Second }, a.now), make(chan struct{})
	users := user.Config{
		Store: a.db.Users(), Hasher: hasher, Policy: password.Policy{MinLength: 15}, Now: a.now,
		Allowance: user.Allowance{Burst: 10, Recovery: 30 * time.Second},
	}
	if o.attempts {
		users.Attempts = a.db.Attempts()
	}
	var limits gate.Limits
	if o.limits != nil {
		o.limits(&limits)
	}
	metrics := telemetry.NewMetrics("test", "none")
	a.gate = gate.New(gate.Config{
		Users: user.New(users),
		Sessions: session.New(session.Config{
			Store: a.db.Sessions(), Idle: 30 * 24 * time.Hour, Absolute: 90 * 24 * time.Hour, Grace: 10 * time.Second, Now: a.now,
		}),
		Holder: a.db.Holder, RotateHolder: a.db.RotateHolder,
		Ledger: &flow.Ledger{Revocations: a.feed, Audit: a.db.Audit(), InTx: a.db.InTx, Now: a.now},
		Keys:   apikey.New(a.db.APIKeys(), a.now),
		Issuer: minter, Refresher: token.NewRefresher(issuer, master),
		AccessTTL: func() time.Duration { return accessTTL }, Limits: limits, Metrics: metrics, Closed: o.closed,
	})
	config := bearer.Config{
		Issuer: issuer, Audience: issuer, Now: a.now,
		Keys: func(_ context.Context, kid string) (bearer.Key, error) {
			k, ok := a.keys.Public(kid)
			if !ok {
				return bearer.Key{}, errors.New("unknown key")
			}
			return bearer.Key{Algorithm: string(k.Algorithm), Public: k.Key}, nil
		},
		Revoked: func(c *bearer.Claims) bool { return a.feed.Revoked(cmp.Or(c.SessionID, c.ID), c.Subject, c.IssuedAt) },
	}
	verifier, err := bearer.New(a.Context(), config)
	a.must(err)
	config.Audience, config.AnyAudience = "", true
	reader, err := bearer.New(a.Context(), config)
	a.must(err)
	a.oauth = oauth.New(oauth.Config{
		Ledger: a.gate.Ledger, Clients: client.New(a.db.Clients(), issuer, a.now), Users: a.gate.Users, Sessions: a.gate.Sessions,
		KeyHolder: a.gate.UserOfKey, Issuer: minter, Refresher: a.gate.Refresher, AccessTTL: func() time.Duration { return accessTTL }, Audience: issuer,
		Read: oauthapi.Reader(reader),
	})
	h, err := httpapi.New(httpapi.Config{
		Gate: a.gate, OAuth: a.oauth, Keys: a.keys, Revocations: a.feed, Stopping: a.stop, Verifier: verifier, PublicURL: issuer, TrustedOrigins: o.trusted, AllowedOrigins: o.allowed,
		TrustedProxies: o.proxies, SampleApp: !o.noApp, Metrics: metrics, Log: slog.New(slog.NewJSONHandler(a.log, nil)), Spans: o.spans, Now: a.now,
		KeysMaxAge: 5 * time.Minute,
		Ready: func(context.Context) []httpapi.Dependency {
			return []httpapi.Dependency{{Name: "database", Err: a.down}, {Name: "redis", Err: a.away, Optional: true}}
		},
	})
	a.must(err)
	srv := httptest.NewServer(h)
	a.Cleanup(srv.Close)
	a.url, a.whole = srv.URL, h
}

// breakable is a feed that can be made to take nothing.
type breakable struct {
	revocation.Store
	deaf *atomic.Bool
}

func (b breakable) Append(ctx context.Context, entries []revocation.Entry) error {
	if b.deaf.Load() {
		return errors.New("the disk is full")
	}
	return b.Store.Append(ctx, entries)
}

func limiter(t *testing.T, name string, burst int, per time.Duration) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.New(name, ratelimit.Limit{Burst: burst, Period: per}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (a *api) must(err error) {
	a.Helper()
	if err != nil {
		a.Fatal(err)
	}
}

// answer is a response that was read.
type answer struct {
	*http.Response
	body []byte
}

// do sends one request and checks the exchange against the OpenAPI document. A
// body that is a string is sent as it is, anything else as JSON. Headers are
// "Name: value".
func (a *api) do(method, path string, body any, headers ...string) answer {
	a.Helper()
	text := encodeBody(a.T, body)
	req, err := http.NewRequestWithContext(a.Context(), method, a.url+path, bytes.NewReader(text))
	a.must(err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Content-Type" {
			req.Header.Del(name)
		}
		req.Header.Add(name, value)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	a.must(err)
	defer func() { a.must(res.Body.Close()) }()
	got, err := io.ReadAll(res.Body)
	a.must(err)
	validateExchange(a.T, req, text, res, got)
	return answer{res, got}
}

func encodeBody(t *testing.T, body any) []byte {
	t.Helper()
	switch b := body.(type) {
	case nil:
		return nil
	case string:
		return []byte(b)
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

type object = map[string]any

// json returns the body as an object.
func (r answer) json(tb testing.TB) object {
	tb.Helper()
	var o object
	if err := json.Unmarshal(r.body, &o); err != nil {
		tb.Fatalf("%s %s: %d, not JSON: %q", r.Request.Method, r.Request.URL.Path, r.StatusCode, r.body)
	}
	return o
}

// at returns the member at a path of names joined by dots.
func (r answer) at(tb testing.TB, path string) any {
	tb.Helper()
	var v any = r.json(tb)
	for name := range strings.SplitSeq(path, ".") {
		o, ok := v.(object)
		if !ok {
			tb.Fatalf("no %s in %s", path, r.body)
		}
		v = o[name]
	}
	return v
}

func (r answer) text(tb testing.TB, path string) string {
	tb.Helper()
	s, ok := r.at(tb, path).(string)
	if !ok {
		tb.Fatalf("%s is no string in %s", path, r.body)
	}
	return s
}

// want fails the test unless the answer has this status and, if it is an error,
// this problem code, and returns the answer.
func (r answer) want(tb testing.TB, status int, code string) answer {
	tb.Helper()
	got := ""
	if r.StatusCode >= 400 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/problem+json") {
		got = r.text(tb, "code")
	}
	if r.StatusCode != status || got != code {
		tb.Fatalf("%s %s = %d %q, want %d %q; body %s", r.Request.Method, r.Request.URL.Path, r.StatusCode, got, status, code, r.body)
	}
	return r
}

// cookies returns the answer's cookies as a request header.
func (r answer) cookies() string {
	var pairs []string
	for _, c := range r.Cookies() {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return "Cookie: " + strings.Join(pairs, "; ")
}

func (a *api) register(name string) answer {
	a.Helper()
	return a.do("POST", "/v1/users", object{"username": name, "email": name + "@example.com", "password": goodPass}).want(a, 201, "")
}

const sameOrigin = "Sec-Fetch-Site: same-origin"

func (a *api) login(name, mode string) answer {
	a.Helper()
	return a.do("POST", "/v1/login", object{"identifier": name, "password": goodPass, "mode": mode}, sameOrigin).want(a, 200, "")
}

func (r answer) bearer(tb testing.TB) string {
	tb.Helper()
	return "Authorization: Bearer " + r.text(tb, "access_token")
}

func onBoth(t *testing.T, f func(t *testing.T, a *api)) {
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); f(t, newAPI(t)) })
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		f(t, newAPI(t, func(o *options) { o.database = pgtest.DSN(t) }))
	})
}
