package bearer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// OnStale says what becomes of a token that is valid otherwise while the feed is
// stale. What the feed ended before is refused in any case.
type OnStale int

const (
	// AcceptUntilExpiry accepts it, as a verifier without a feed does.
	AcceptUntilExpiry OnStale = iota
	// Refuse answers [ErrUnavailable], which a [Guard] turns into a 503: a 401 would
	// sign people out.
	Refuse
	// AskIntrospection asks the issuer about it (RFC 7662), and is [ErrUnavailable] if
	// the issuer does not tell within 2 s.
	AskIntrospection
)

// FeedConfig is how a [Feed] is followed. Issuer is needed.
type FeedConfig struct {
	// Issuer is jotgate's public URL, that of [Config].
	Issuer string
	// Client makes the requests, each within bounds of its own: its Timeout does not
	// count, and redirects are not followed. Nil stands for one of its own. A Transport
	// is as for [Config].
	Client *http.Client
	// MaxStaleness is how old the knowledge of the feed may be before OnStale counts.
	// Zero stands for 30 s; less than 2 s is refused, as the feed would be stale
	// between two answers, and a day or more, as no token lives that long. The shorter
	// it is, the more often the issuer is asked while nothing happens: three times in
	// it, and every 25 s at least.
	MaxStaleness time.Duration
	// OnStale is what to do then.
	OnStale OnStale
	// Introspect reports whether token is active, for AskIntrospection. It is called
	// 32 times at once at most and has 2 s.
	Introspect func(ctx context.Context, token string) (active bool, err error)
	// ClientID and ClientSecret are for AskIntrospection without Introspect: of a
	// client of the issuer's whose audience the tokens are for.
	ClientID, ClientSecret string
	// MaxEntries bounds the memory: a feed with more entries of one kind alive goes
	// stale until some have expired. Those of other kinds count meanwhile. Zero stands
	// for 1,000,000.
	MaxEntries int
	// Now is the clock. Nil stands for time.Now.
	Now func() time.Time
}

const (
	defaultStaleness, minStaleness = 30 * time.Second, 2 * time.Second
	defaultEntries                 = 1_000_000
)

// Feed follows an issuer's revocation feed, so that a [Verifier] refuses within a
// second what ended before it expired. Create one with [NewFeed], call [Feed.Run] in
// a goroutine, and hand it to [New] as Config.Feed. It is safe for concurrent use.
//
// What the feed tells can only refuse a token, and is kept until no token can be
// valid that it refuses, whatever becomes of the connection. A feed knows how
// old its knowledge is: [Feed.Staleness] is a metric, as is [Feed.Size], and
// [Feed.Health] a check.
type Feed struct {
	issuer  string
	url     string
	client  *http.Client
	max     time.Duration
	onStale OnStale
	asker   *asker // nil if nobody is to be asked
	now     func() time.Time
	set     set

	running sync.Mutex // held by Run; guards cursor, missed and forgot
	cursor  string
	missed  *string // the first cursor after which there was no room for all
	forgot  int64   // when the set was last walked, Unix time

	complete atomic.Pointer[time.Time] // what happened before is known
	ready    chan struct{}             // closed once complete is there

	mu      sync.Mutex
	failed  error // what became of the last request
	onKey   []func(kid string)
	settled sync.Once // closes ready
}

// NewFeed returns a Feed that knows nothing yet, and is stale. It makes no request.
func NewFeed(c FeedConfig) (*Feed, error) {
	issuer, err := parseIssuer(c.Issuer)
	if err != nil {
		return nil, err
	}
	if c.MaxStaleness == 0 {
		c.MaxStaleness = defaultStaleness
	}
	if c.MaxEntries == 0 {
		c.MaxEntries = defaultEntries
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // where none is injected
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	f := &Feed{
		issuer: c.Issuer, client: unhurried(c.Client), max: c.MaxStaleness, onStale: c.OnStale, now: c.Now,
		set: set{limit: int64(c.MaxEntries)}, ready: make(chan struct{}),
	}
	f.url = strings.TrimSuffix(c.Issuer, "/") + "/v1/revocations"
	if c.OnStale == AskIntrospection {
		f.asker = newAsker(c, issuer)
	}
	return f, nil
}

func (c *FeedConfig) check() error {
	switch own, builtIn := c.Introspect != nil, c.ClientID != "" || c.ClientSecret != ""; {
	case c.MaxStaleness < minStaleness || c.MaxStaleness >= maxLife:
		return fmt.Errorf("bearer: MaxStaleness of %s is not within %s and a day", c.MaxStaleness, minStaleness)
	case c.MaxEntries < 0:
		return fmt.Errorf("bearer: MaxEntries of %d is negative", c.MaxEntries)
	case c.OnStale < AcceptUntilExpiry || c.OnStale > AskIntrospection:
		return fmt.Errorf("bearer: OnStale of %d is none", c.OnStale)
	case own && builtIn:
		return errors.New("bearer: Introspect and ClientID exclude each other")
	case builtIn && (c.ClientID == "" || c.ClientSecret == ""):
		return errors.New("bearer: ClientID and ClientSecret need each other")
	case c.OnStale == AskIntrospection && !own && !builtIn:
		return errors.New("bearer: AskIntrospection needs Introspect, or ClientID and ClientSecret")
	}
	return nil
}

// parseIssuer returns an issuer that is an http or https URL.
func parseIssuer(text string) (*url.URL, error) {
	issuer, err := url.Parse(text)
	if err != nil || issuer.Host == "" || (issuer.Scheme != "https" && issuer.Scheme != "http") {
		return nil, errors.New("bearer: Issuer is not an http or https URL")
	}
	return issuer, nil
}

// unhurried is clientOf without a time-out, which would end a long poll.
func unhurried(given *http.Client) *http.Client {
	client := clientOf(given)
	client.Timeout = 0
	return client
}

// Ready waits until all that is in the feed is known for the first time. A service
// that is not to start with a stale feed calls it, with a ctx that ends, after it
// has started Run.
func (f *Feed) Ready(ctx context.Context) error {
	select {
	case <-f.ready:
		return nil
	case <-ctx.Done():
	}
	if f.complete.Load() != nil {
		return nil
	}
	return fmt.Errorf("%w: %w", f.Health(), context.Cause(ctx))
}

// Staleness returns how long ago the set was last known to be complete, by the
// issuer's reckoning until it answered and by this machine's from then on. It is
// the greatest Duration before the first time. It is meant for a gauge.
func (f *Feed) Staleness() time.Duration {
	asOf := f.complete.Load()
	if asOf == nil {
		return math.MaxInt64
	}
	return max(elapsed(*asOf, f.now()), 0)
}

// elapsed is how long before now t was, by the clock that says more: the monotonic one
// is not set, but stands still while the machine is suspended.
func elapsed(t, now time.Time) time.Duration {
	return max(now.Sub(t), now.Round(0).Sub(t.Round(0)))
}

// Size returns how many entries are kept, for a gauge. Those that expired leave
// within a minute or two.
func (f *Feed) Size() int { return int(f.set.size()) }

// Health returns nil while [Feed.Staleness] is at most MaxStaleness, or says since
// when the feed is not complete and what became of the last request. It is meant
// for a check: with AcceptUntilExpiry a service works without the feed, so that
// such a check had better warn than take it out of service.
func (f *Feed) Health() error {
	staleness := f.Staleness()
	if staleness <= f.max {
		return nil
	}
	f.mu.Lock()
	failed := f.failed
	f.mu.Unlock()
	if failed == nil {
		failed = errors.New("no answer is known to be complete")
	}
	asOf := f.complete.Load()
	if asOf == nil {
		return fmt.Errorf("bearer: the revocation feed of %s was never read: %w", f.issuer, failed)
	}
	return fmt.Errorf("bearer: the revocation feed of %s is known up to %s, %s ago: %w",
		f.issuer, asOf.UTC().Format(time.RFC3339), staleness.Round(time.Second), failed)
}

// check refuses a token that is valid otherwise, if the feed ended it or cannot
// tell and is not to be without.
func (f *Feed) check(ctx context.Context, token, kid string, c *Claims) error {
	if f.set.end(c, kid) {
		return ErrRevoked
	}
	if f.onStale == AcceptUntilExpiry {
		return nil
	}
	stale := f.Health()
	switch {
	case stale == nil:
		return nil
	case f.onStale == AskIntrospection:
		return f.asker.ask(ctx, token)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, stale)
}
