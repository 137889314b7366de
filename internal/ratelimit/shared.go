package ratelimit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.opentelemetry.io/otel/trace"
)

// tick is the precision of counters in Redis, whose clock counts microseconds.
// What the script works out is off by less: it uses floating point.
const tick = time.Microsecond

// SharedConfig is what [Open] needs. All but Changed and Spans is needed.
type SharedConfig struct {
	// URL is redis://, rediss:// (TLS) or unix://, with user and password if there are.
	URL string
	// Key hides keys in the names of counters: an address or the id of a user is
	// personal data, and a plain hash of an address is undone by trying all of them.
	// Who shares limits has the same Key.
	Key []byte
	// Wait is how long one request waits for Redis, and Pause how long Redis is left
	// alone when it did not answer in time or as it should. Pause is the longer.
	Wait, Pause time.Duration
	// Changed is told why limits are no longer shared, and nil when they are again.
	Changed func(err error)
	// Spans is where each question to Redis becomes a span; nil makes none.
	Spans trace.TracerProvider
	Now   func() time.Time // time.Now everywhere but in tests
}

// Shared is a Redis, or a Valkey, in which many processes count as one. While it
// is away each of them counts alone against a stricter limit, and asks it once in
// a Pause whether it is back, so that an outage makes no request fail and hardly
// any wait. Create one with [Open]; it is safe for concurrent use.
type Shared struct {
	config SharedConfig
	client *redis.Client
	rate   *redis_rate.Limiter
	alone  atomic.Int64

	mu   sync.Mutex
	away error     // why limits are not shared; nil while they are
	next time.Time // when Redis is asked again, while it is away
}

// Open returns a Shared and asks Redis nothing yet. Its error does not repeat the
// URL, which may hold a password.
func Open(c SharedConfig) (*Shared, error) {
	o, err := redis.ParseURL(c.URL)
	if err != nil || c.Wait <= 0 || c.Wait > c.Pause || len(c.Key) == 0 {
		return nil, errors.New("ratelimit: the URL of Redis must be redis://, rediss:// or unix://, and the wait not longer than the pause")
	}
	logging.Disable() // what goes wrong is in the errors, and a probe each second would fill the log
	o.Protocol, o.DisableIdentity = 2, true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled} // Valkey has none
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = c.Wait, c.Wait, c.Wait, c.Wait
	o.ContextTimeoutEnabled, o.MaxRetries, o.DialerRetries = true, -1, 1 // one wait, not many
	client := redis.NewClient(o)
	if c.Spans != nil {
		// A statement would hold the names of counters.
		if err := redisotel.InstrumentTracing(client, redisotel.WithTracerProvider(c.Spans), redisotel.WithDBStatement(false),
			redisotel.WithCallerEnabled(false), redisotel.WithDialFilter(true)); err != nil {
			return nil, errors.Join(fmt.Errorf("ratelimit: trace Redis: %w", err), client.Close())
		}
	}
	return &Shared{config: c, client: client, rate: redis_rate.NewLimiter(strict{client})}, nil
}

// New returns a Limiter that counts in s, and while s is away against half of l
// in memory, for at most maxKeys keys. That of a nil Shared counts in memory
// alone. Limiters of one name share what they count.
func (s *Shared) New(name string, l Limit, maxKeys int) (*Limiter, error) {
	if s == nil {
		return New(name, l, maxKeys)
	}
	if _, err := New(name, l, maxKeys); err != nil {
		return nil, err
	}
	if l.interval() < tick {
		return nil, fmt.Errorf("ratelimit: %s: %d each %s is more than one each %s, which Redis cannot count", name, l.Burst, l.Period, tick)
	}
	limiter, err := New(name, l.stricter(), maxKeys)
	if err != nil {
		return nil, err
	}
	limiter.shared = &counter{s, name, l}
	return limiter, nil
}

// Alone returns how many requests were counted in this process alone because
// Redis was away.
func (s *Shared) Alone() int64 { return s.alone.Load() }

// Away returns why limits are not shared at the moment, or nil.
func (s *Shared) Away() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.away
}

// Probe counts something of its own, unless Redis is left alone at the moment, to
// find out what Away tells. A ping would be answered by a Redis that refuses to
// write.
func (s *Shared) Probe(ctx context.Context) {
	c := counter{s, "probe", Limit{Burst: 1000, Period: time.Second}}
	c.ask(ctx, "")
}

// Close gives the connections back.
func (s *Shared) Close() error { return s.client.Close() }

// admit reports whether Redis may be asked now, and whether that is the probe
// which may bring it back. There is one in a pause, and it is over before the
// next.
func (s *Shared) admit() (ok, probe bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away == nil {
		return true, false
	}
	now := s.config.Now()
	if now.Before(s.next) {
		return false, false
	}
	s.next = now.Add(s.config.Pause)
	return true, true
}

// settle notes what became of a request that was admitted. Only the probe brings
// Redis back: others that are answered late, among many that are not, would
// make the state flicker.
func (s *Shared) settle(probe bool, err error) {
	s.mu.Lock()
	was := s.away
	switch {
	case err != nil:
		s.away, s.next = err, s.config.Now().Add(s.config.Pause)
	case probe:
		s.away = nil
	}
	changed := (was == nil) != (s.away == nil)
	s.mu.Unlock()
	if changed && s.config.Changed != nil {
		s.config.Changed(err)
	}
}

// counter is one limit in a Shared.
type counter struct {
	*Shared
	name  string
	limit Limit
}

// take counts one request of key, or reports that Redis did not.
func (c *counter) take(ctx context.Context, key string) (Result, bool) {
	r, ok := c.ask(ctx, key)
	if !ok {
		c.alone.Add(1)
	}
	return r, ok
}

func (c *counter) ask(ctx context.Context, key string) (Result, bool) {
	ok, probe := c.admit()
	if !ok {
		return Result{}, false
	}
	// A client that goes away says nothing about Redis.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.config.Wait)
	defer cancel()
	r, err := c.count(ctx, c.counterName(key))
	c.settle(probe, err)
	return r, err == nil
}

// count counts one request in the counter of that name.
func (c *counter) count(ctx context.Context, name string) (Result, error) {
	quota := redis_rate.Limit{Rate: c.limit.Burst, Burst: c.limit.Burst, Period: c.limit.Period}
	r, err := c.rate.Allow(ctx, name, quota)
	if err == nil && r.ResetAfter > 2*c.limit.Period {
		// Redis's clock was set back, or the limit was a longer one when this was
		// counted. The key would be refused until that time.
		if err = c.rate.Reset(ctx, name); err == nil {
			r, err = c.rate.Allow(ctx, name, quota)
		}
	}
	if err != nil {
		return Result{}, fmt.Errorf("ratelimit: count in Redis: %w", err)
	}
	return c.result(r)
}

// result is what memory would have answered.
func (c *counter) result(r *redis_rate.Result) (Result, error) {
	reset, retry := r.ResetAfter.Round(tick), max(r.RetryAfter, 0).Round(tick)
	if r.Allowed < 0 || r.Allowed > 1 || reset < 0 || reset > 2*c.limit.Period || r.RetryAfter < -1 || retry > reset+tick {
		return Result{}, errNonsense
	}
	if r.Allowed == 0 {
		return Result{Name: c.name, Limit: c.limit, ResetAfter: reset, RetryAfter: max(retry, tick)}, nil
	}
	// The script's own remainder is one too few where it falls short of a whole
	// number by less than a tick.
	earned := max(c.limit.Period-r.ResetAfter+tick/2, 0)
	return Result{
		Allowed: true, Name: c.name, Limit: c.limit, ResetAfter: reset,
		Remaining: int(float64(earned) / float64(c.limit.Period) * float64(c.limit.Burst)),
	}, nil
}

// counterName is what key is counted under in Redis.
func (c *counter) counterName(key string) string {
	mac := hmac.New(sha256.New, c.config.Key)
	mac.Write([]byte(key))
	return "jotgate:limit:" + c.name + ":" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}
