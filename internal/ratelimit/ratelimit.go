// Package ratelimit counts requests per key against a limit, with the generic
// cell rate algorithm: a burst at once, then one each interval, without windows
// at whose edges twice as many pass.
//
// A [Limiter] counts in memory, or in a Redis that many processes share: see
// [Shared]. Nobody who asks one can tell which it is.
//
// It knows keys and no requests: what is counted, and by what, is its caller's.
package ratelimit

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/memstore"
)

// maxSwaps is how often one call may lose the race for its key's counter before
// it is an error. The library's own 10 is too few for a key that many hold.
const maxSwaps = 10_000

// Limit is how much one key may have: Burst at once, and Burst more each Period,
// evenly spread. Burst is at least 1, and Period at least Burst nanoseconds.
type Limit struct {
	Burst  int
	Period time.Duration
}

// interval is the time in which a key earns one request.
func (l Limit) interval() time.Duration { return l.Period / time.Duration(l.Burst) }

// stricter is the limit of a process that counts alone what many counted
// together: half the burst, and half as much in the same time.
func (l Limit) stricter() Limit {
	burst := max(l.Burst/2, 1)
	return Limit{Burst: burst, Period: 2 * l.interval() * time.Duration(burst)}
}

// Result is what became of one request.
type Result struct {
	Allowed   bool
	Name      string // of the limit
	Limit     Limit
	Remaining int // requests the key could make at this instant
	// ResetAfter is when the key has its full burst again.
	ResetAfter time.Duration
	// RetryAfter is when the next request will be allowed; 0 if this one was.
	RetryAfter time.Duration
}

// Limiter counts in memory, for at most so many keys; the key unused for longest
// is forgotten first and has its full burst again. One that [Shared.New] made
// counts there instead, while it can. A nil Limiter allows everything. It is safe
// for concurrent use.
type Limiter struct {
	name   string
	limit  Limit // in memory
	gcra   *throttled.GCRARateLimiterCtx
	shared *counter // nil where nothing is shared
}

// New returns a Limiter for at most maxKeys keys. Clients see name in RateLimit
// headers; it is lower-case letters and hyphens.
func New(name string, l Limit, maxKeys int) (*Limiter, error) {
	if l.Burst < 1 || maxKeys < 1 { // the library checks the rest
		return nil, fmt.Errorf("ratelimit: %s: %d each %s for %d keys is out of range", name, l.Burst, l.Period, maxKeys)
	}
	store, err := memstore.New(maxKeys)
	if err != nil {
		return nil, fmt.Errorf("ratelimit: %s: make store: %w", name, err)
	}
	store.SetTimeNow(steadyClock())
	gcra, err := throttled.NewGCRARateLimiterCtx(throttled.WrapStoreWithContext(store), throttled.RateQuota{
		MaxRate: throttled.PerDuration(l.Burst, l.Period), MaxBurst: l.Burst - 1, // besides the first
	})
	if err != nil {
		return nil, fmt.Errorf("ratelimit: %s: %w", name, err)
	}
	gcra.SetMaxCASAttemptsLimit(maxSwaps)
	return &Limiter{name: name, limit: l, gcra: gcra}, nil
}

// steadyClock returns a clock that goes on evenly when the wall clock is set.
// The store keeps wall times, so a clock set back by an hour would otherwise
// refuse every key in use for an hour.
func steadyClock() func() time.Time {
	start := time.Now() //nolint:forbidigo // only its monotonic reading matters, which no injected clock has
	return func() time.Time { return start.Add(time.Since(start)) }
}

// Take counts one request of key. A request that is not allowed costs nothing.
// A nil Limiter answers a Result that has nothing but Allowed.
func (l *Limiter) Take(ctx context.Context, key string) (Result, error) {
	if l == nil {
		return Result{Allowed: true}, nil
	}
	if l.shared != nil {
		if r, ok := l.shared.take(ctx, key); ok {
			return r, nil
		}
	}
	limited, r, err := l.gcra.RateLimitCtx(ctx, key, 1)
	if err != nil {
		return Result{}, fmt.Errorf("ratelimit: %s: count request: %w", l.name, err)
	}
	return Result{
		Allowed: !limited, Name: l.name, Limit: l.limit, Remaining: r.Remaining,
		ResetAfter: r.ResetAfter, RetryAfter: max(r.RetryAfter, 0),
	}, nil
}

// Policy returns the value of the RateLimit-Policy header
// (draft-ietf-httpapi-ratelimit-headers-10, section 3). r is a Limiter's, not nil's.
func (r Result) Policy() string {
	return fmt.Sprintf("%q;q=%d;w=%d", r.Name, r.Limit.Burst, Seconds(r.Limit.Period))
}

// Header returns the value of the RateLimit header (the same draft, section 4),
// whose t is when there will be one more request, not when all are back. r is a
// Limiter's, not nil's.
func (r Result) Header() string {
	others := time.Duration(r.Limit.Burst - r.Remaining - 1) // spent ones that come back later
	return fmt.Sprintf("%q;r=%d;t=%d", r.Name, r.Remaining, Seconds(r.ResetAfter-others*r.Limit.interval()))
}

// Seconds rounds d up to whole seconds, at least one, as Retry-After wants it
// (RFC 9110, section 10.2.3): who waits that long is not too early.
func Seconds(d time.Duration) int {
	whole := int(d / time.Second)
	if d%time.Second > 0 {
		whole++
	}
	return max(whole, 1)
}

// AddressKey is what requests from a are counted under: the address itself, or
// the /64 that one IPv6 customer has to itself. An IPv4 address written as IPv6
// is the IPv4 address. All requests without an address share one key.
func AddressKey(a netip.Addr) string {
	a = a.Unmap()
	if !a.Is6() {
		return a.String()
	}
	return netip.PrefixFrom(a, 64).Masked().String()
}
