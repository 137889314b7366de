package ratelimit_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/jotgate/jotgate/internal/ratelimit"
	"github.com/jotgate/jotgate/internal/redistest"
)

func TestMain(m *testing.M) {
	// A pool that was closed while its server was away notices within a second.
	for range 300 {
		if goleak.Find() == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	goleak.VerifyTestMain(m)
}

// clock is a time that stands still until it is moved.
type clock struct{ nanos atomic.Int64 }

func (c *clock) now() time.Time        { return time.Unix(1764131000, c.nanos.Load()) }
func (c *clock) move(by time.Duration) { c.nanos.Add(int64(by)) }

// replica is one process that shares its limits.
type replica struct {
	*ratelimit.Shared
	clock clock
	mu    sync.Mutex
	told  []error
}

func (r *replica) changes() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.told)
}

const pause = time.Hour // of a clock that tests move

// share opens a replica whose patience does not end on a slow machine, unless
// wait says how long it is.
func share(t testing.TB, url string, wait ...time.Duration) *replica {
	t.Helper()
	r := &replica{}
	c := ratelimit.SharedConfig{
		URL: url, Key: []byte("test key"), Wait: time.Minute, Pause: pause, Now: r.clock.now,
		Changed: func(err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.told = append(r.told, err)
		},
	}
	if len(wait) > 0 {
		c.Wait = wait[0]
	}
	var err error
	if r.Shared, err = ratelimit.Open(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *replica) limiter(t testing.TB, l ratelimit.Limit) *ratelimit.Limiter {
	t.Helper()
	limiter, err := r.New("login", l, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return limiter
}

// inEach runs f with limits in memory and in Redis, whose time passes when wait
// is called and not otherwise.
func inEach(t *testing.T, f func(t *testing.T, limiter func(ratelimit.Limit) *ratelimit.Limiter, wait func(time.Duration))) {
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f(t, func(l ratelimit.Limit) *ratelimit.Limiter { return newLimiter(t, l, 1000) }, time.Sleep)
		})
	})
	t.Run("redis", func(t *testing.T) {
		m := miniredis.RunT(t)
		now := time.Unix(1764131000, 123456000)
		m.SetTime(now)
		r := share(t, "redis://"+m.Addr())
		f(t, func(l ratelimit.Limit) *ratelimit.Limiter { return r.limiter(t, l) }, func(d time.Duration) {
			now = now.Add(d)
			m.SetTime(now)
			m.FastForward(d)
		})
		if err := r.Away(); err != nil {
			t.Errorf("memory decided: %v", err)
		}
	})
}

func TestMemoryAndRedisCountAlike(t *testing.T) {
	type step struct {
		wait           time.Duration
		allowed        bool
		remaining      int
		reset, retry   time.Duration
		policy, header string
	}
	const (
		s      = time.Second
		tick   = time.Microsecond
		policy = `"login";q=3;w=60`
	)
	steps := []step{
		{0, true, 2, 20 * s, 0, policy, `"login";r=2;t=20`},
		{0, true, 1, 40 * s, 0, policy, `"login";r=1;t=20`},
		{0, true, 0, 60 * s, 0, policy, `"login";r=0;t=20`},
		{0, false, 0, 60 * s, 20 * s, policy, `"login";r=0;t=20`},
		{0, false, 0, 60 * s, 20 * s, policy, `"login";r=0;t=20`}, // a refused request cost nothing
		{20*s - tick, false, 0, 40*s + tick, tick, policy, `"login";r=0;t=1`},
		{tick, true, 0, 60 * s, 0, policy, `"login";r=0;t=20`},
		{50 * s, true, 1, 30 * s, 0, policy, `"login";r=1;t=10`},
		{30*s - tick, true, 1, 20*s + tick, 0, policy, `"login";r=1;t=1`}, // just short of the full burst
		{20*s + tick, true, 2, 20 * s, 0, policy, `"login";r=2;t=20`},     // exactly when the full burst is back
		{time.Hour, true, 2, 20 * s, 0, policy, `"login";r=2;t=20`},       // idle time earns no more than the burst
	}
	inEach(t, func(t *testing.T, limiter func(ratelimit.Limit) *ratelimit.Limiter, wait func(time.Duration)) {
		l := limiter(perMinute)
		for i, st := range steps {
			wait(st.wait)
			r := take(t, l, "ada")
			if r.Name != "login" || r.Limit != perMinute {
				t.Fatalf("step %d is of another limit: %+v", i, r)
			}
			got := step{st.wait, r.Allowed, r.Remaining, r.ResetAfter, r.RetryAfter, r.Policy(), r.Header()}
			if got != st {
				t.Errorf("step %d:\n got %v\nwant %v", i, got, st)
			}
		}
	})
}

// TestOddLimitsCountAlike compares limits whose interval no clock ticks evenly.
func TestOddLimitsCountAlike(t *testing.T) {
	answers := map[string][]string{}
	for _, limit := range []ratelimit.Limit{
		perMinute,
		{Burst: 1, Period: 90 * time.Second},
		{Burst: 7, Period: time.Minute},
		{Burst: 11, Period: time.Hour},
		{Burst: 30, Period: time.Second},
		{Burst: 1_000_000, Period: time.Minute},
	} {
		interval := limit.Period / time.Duration(limit.Burst)
		waits := []time.Duration{0, 0, 0, interval / 3, 0, interval * 3 / 5, 0, 0, interval * 7 / 5, interval / 7, 0, 0, 0, limit.Period, 0}
		inEach(t, func(t *testing.T, limiter func(ratelimit.Limit) *ratelimit.Limiter, wait func(time.Duration)) {
			l := limiter(limit)
			var got []string
			for range 2 {
				for _, w := range waits {
					wait(w.Round(time.Microsecond))
					r := take(t, l, "ada")
					got = append(got, fmt.Sprint(r.Allowed, r.Remaining, r.Header(), r.Policy(), ratelimit.Seconds(r.RetryAfter)))
				}
			}
			name := fmt.Sprint(limit)
			if answers[name] == nil {
				answers[name] = got
			} else if diff := cmp.Diff(answers[name], got); diff != "" {
				t.Errorf("%v: -memory +redis:\n%s", limit, diff)
			}
		})
	}
}

// TestReplicasShareOneBudget spends one budget from many goroutines of two
// processes. An hour's limit earns nothing back meanwhile.
func TestReplicasShareOneBudget(t *testing.T) {
	server := redistest.Start(t)
	limit := ratelimit.Limit{Burst: 100, Period: 1000 * time.Hour}
	one, two := share(t, server.URL()), share(t, server.SocketURL())
	limiters := []*ratelimit.Limiter{one.limiter(t, limit), two.limiter(t, limit)}
	var wg sync.WaitGroup
	left := make(chan int, 1000)
	for i := range 40 {
		wg.Go(func() {
			for range 5 {
				if r, err := limiters[i%2].Take(t.Context(), "ada"); err != nil || r.Limit != limit {
					t.Errorf("%+v, %v", r, err)
				} else if r.Allowed {
					left <- r.Remaining
				}
			}
		})
	}
	wg.Wait()
	close(left)
	var got, want []int
	for n := range left {
		got, want = append(got, n), append(want, len(want))
	}
	slices.Sort(got)
	if len(got) != limit.Burst || !slices.Equal(got, want) {
		t.Errorf("%d of 200 passed, with these left: %v", len(got), got)
	}
	for _, l := range limiters {
		if r := take(t, l, "ada"); r.Allowed || r.RetryAfter <= 0 || r.RetryAfter > 10*time.Hour {
			t.Errorf("afterwards: %+v", r)
		}
		if r := take(t, l, "bob"); !r.Allowed {
			t.Errorf("another key: %+v", r)
		}
	}
	if one.Alone() != 0 || two.Alone() != 0 || one.Away() != nil {
		t.Errorf("memory decided: %d, %d, %v", one.Alone(), two.Alone(), one.Away())
	}
}

// TestNobodyIsNamedInRedis looks at all that is kept there.
func TestNobodyIsNamedInRedis(t *testing.T) {
	m := miniredis.RunT(t)
	r := share(t, "redis://"+m.Addr()+"/3")
	l := r.limiter(t, perMinute)
	take(t, l, "192.0.2.1")
	take(t, l, "ada@example.com")
	r.Probe(t.Context())
	db := m.DB(3)
	keys := db.Keys()
	if len(keys) != 3 || strings.Contains(m.Dump(), "192.0.2.1") || strings.Contains(m.Dump(), "ada") {
		t.Errorf("Redis holds %s", m.Dump())
	}
	for _, key := range keys {
		if !strings.HasPrefix(key, "jotgate:limit:login:") && !strings.HasPrefix(key, "jotgate:limit:probe:") {
			t.Errorf("counter %q", key)
		}
		if ttl := db.TTL(key); ttl <= 0 || ttl > 20*time.Second {
			t.Errorf("%s stays for %s, want until its burst is back", key, ttl)
		}
	}
	other, err := ratelimit.Open(ratelimit.SharedConfig{
		URL: "redis://" + m.Addr() + "/3", Key: []byte("another"), Wait: time.Minute, Pause: pause, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	})
	o, err := other.New("login", perMinute, 10)
	if err != nil {
		t.Fatal(err)
	}
	if got := take(t, o, "192.0.2.1"); got.Remaining != 2 {
		t.Errorf("an install with another key shares the counter: %+v", got)
	}
}

// TestClockOfRedisSetBack wants no key refused until the clock is where it was.
func TestClockOfRedisSetBack(t *testing.T) {
	m := miniredis.RunT(t)
	now := time.Unix(1764131000, 0)
	m.SetTime(now)
	r := share(t, "redis://"+m.Addr())
	l := r.limiter(t, perMinute)
	allowedOf(t, l, "ada", 4)
	m.SetTime(now.Add(-time.Hour))
	if got := take(t, l, "ada"); !got.Allowed || got.Remaining != 2 || r.Away() != nil {
		t.Errorf("an hour back: %+v, %v", got, r.Away())
	}
}

func TestOpenRefusesBadConfigurations(t *testing.T) {
	good := ratelimit.SharedConfig{URL: "redis://localhost", Key: []byte("k"), Wait: 1, Pause: 1, Now: time.Now}
	for name, change := range map[string]func(*ratelimit.SharedConfig){
		"scheme":      func(c *ratelimit.SharedConfig) { c.URL = "http://u:canary@localhost" },
		"no URL":      func(c *ratelimit.SharedConfig) { c.URL = "" },
		"not a URL":   func(c *ratelimit.SharedConfig) { c.URL = "redis://u:canary@%zz" },
		"database":    func(c *ratelimit.SharedConfig) { c.URL = "redis://u:canary@localhost/canary" },
		"no socket":   func(c *ratelimit.SharedConfig) { c.URL = "unix://canary" },
		"parameter":   func(c *ratelimit.SharedConfig) { c.URL = "redis://localhost?canary=1" },
		"no key":      func(c *ratelimit.SharedConfig) { c.Key = nil },
		"no wait":     func(c *ratelimit.SharedConfig) { c.Wait = 0 },
		"short pause": func(c *ratelimit.SharedConfig) { c.Wait = 2 },
	} {
		c := good
		change(&c)
		if s, err := ratelimit.Open(c); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
	r := share(t, good.URL)
	for _, l := range []ratelimit.Limit{{Burst: 0, Period: time.Minute}, {Burst: 1, Period: time.Microsecond - 1}} {
		if _, err := r.New("login", l, 10); err == nil {
			t.Errorf("%+v is accepted", l)
		}
	}
	var none *ratelimit.Shared
	if l, err := none.New("login", perMinute, 10); err != nil || take(t, l, "ada").Limit != perMinute {
		t.Errorf("a nil Shared: %v", err)
	}
}
