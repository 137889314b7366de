package ratelimit_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/ratelimit"
)

// perMinute allows 3 at once and one each 20 seconds.
var perMinute = ratelimit.Limit{Burst: 3, Period: time.Minute}

func newLimiter(t testing.TB, l ratelimit.Limit, maxKeys int) *ratelimit.Limiter {
	t.Helper()
	limiter, err := ratelimit.New("login", l, maxKeys)
	if err != nil {
		t.Fatal(err)
	}
	return limiter
}

func take(t testing.TB, l *ratelimit.Limiter, key string) ratelimit.Result {
	t.Helper()
	r, err := l.Take(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// allowedOf takes n times and returns how many of them were allowed.
func allowedOf(t testing.TB, l *ratelimit.Limiter, key string, n int) int {
	t.Helper()
	allowed := 0
	for range n {
		if take(t, l, key).Allowed {
			allowed++
		}
	}
	return allowed
}

func TestTakeAtTheBoundaries(t *testing.T) {
	type step struct {
		wait      time.Duration
		allowed   bool
		remaining int
		reset     time.Duration
		retry     time.Duration
	}
	const s = time.Second
	steps := []step{
		{0, true, 2, 20 * s, 0},
		{0, true, 1, 40 * s, 0},
		{0, true, 0, 60 * s, 0},
		{0, false, 0, 60 * s, 20 * s},
		{0, false, 0, 60 * s, 20 * s}, // a refused request cost nothing
		{20*s - 1, false, 0, 40*s + 1, 1},
		{1, true, 0, 60 * s, 0},
		{50 * s, true, 1, 30 * s, 0},
		{30*s - 1, true, 1, 20*s + 1, 0}, // one nanosecond short of the full burst
		{20*s + 1, true, 2, 20 * s, 0},   // exactly when the full burst is back
		{time.Hour, true, 2, 20 * s, 0},  // idle time earns no more than the burst
	}
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, perMinute, 10)
		for i, st := range steps {
			time.Sleep(st.wait)
			want := ratelimit.Result{
				Allowed: st.allowed, Name: "login", Limit: perMinute, Remaining: st.remaining,
				ResetAfter: st.reset, RetryAfter: st.retry,
			}
			if diff := cmp.Diff(want, take(t, l, "ada")); diff != "" {
				t.Errorf("step %d (-want +got):\n%s", i, diff)
			}
		}
	})
}

func TestRetryAfterIsNeitherTooShortNorTooLong(t *testing.T) {
	limits := []ratelimit.Limit{
		perMinute,
		{Burst: 1, Period: 90 * time.Second},
		{Burst: 7, Period: time.Minute}, // an interval that is no whole number of nanoseconds
		{Burst: 30, Period: time.Second},
	}
	for _, limit := range limits {
		t.Run(fmt.Sprintf("%d each %s", limit.Burst, limit.Period), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(t, limit, 10)
				if got := allowedOf(t, l, "ada", limit.Burst+5); got != limit.Burst {
					t.Fatalf("allowed %d at once, want %d", got, limit.Burst)
				}
				time.Sleep(take(t, l, "ada").RetryAfter - 1)
				r := take(t, l, "ada")
				if r.Allowed || r.RetryAfter != 1 {
					t.Fatalf("a nanosecond early: %+v", r)
				}
				time.Sleep(r.RetryAfter)
				if got := allowedOf(t, l, "ada", 5); got != 1 {
					t.Errorf("after RetryAfter allowed %d, want 1", got)
				}
			})
		})
	}
}

func TestResetIsExact(t *testing.T) {
	for early, want := range map[time.Duration]int{0: 3, 1: 2} {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiter(t, perMinute, 10)
			allowedOf(t, l, "ada", 3)
			time.Sleep(perMinute.Period - early)
			if got := allowedOf(t, l, "ada", 5); got != want {
				t.Errorf("%v before the reset allowed %d, want %d", early, got, want)
			}
		})
	}
}

func TestOneOfTwoLastRequestsPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, perMinute, 1000)
		for i := range 500 {
			key := strconv.Itoa(i)
			allowedOf(t, l, key, perMinute.Burst-1)
			if got := race(t, l, key, 2); got != 1 {
				t.Fatalf("key %s: %d of two last requests passed", key, got)
			}
		}
	})
}

func TestRaceNeverExceedsTheBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := ratelimit.Limit{Burst: 50, Period: time.Minute}
		l := newLimiter(t, limit, 1000)
		for round := range 50 {
			if got := race(t, l, strconv.Itoa(round), 64); got != limit.Burst {
				t.Fatalf("round %d: %d of 64 passed, want %d", round, got, limit.Burst)
			}
		}
	})
}

// race takes n times at once and returns how many were allowed. In a bubble no
// time passes meanwhile.
func race(t *testing.T, l *ratelimit.Limiter, key string, n int) int {
	t.Helper()
	var allowed atomic.Int64
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range n {
		wg.Go(func() {
			<-start
			r, err := l.Take(t.Context(), key)
			if err != nil {
				t.Error(err)
			}
			if r.Allowed {
				allowed.Add(1)
			}
		})
	}
	close(start)
	wg.Wait()
	return int(allowed.Load())
}

func TestKeysDoNotShare(t *testing.T) {
	l := newLimiter(t, ratelimit.Limit{Burst: 1, Period: time.Hour}, 10)
	if !take(t, l, "ada").Allowed || !take(t, l, "bob").Allowed {
		t.Error("one key used up another's limit")
	}
	if take(t, l, "ada").Allowed {
		t.Error("the second request of a key was allowed")
	}
}

func TestFloodOfKeysStaysBounded(t *testing.T) {
	const keys, flood, bound = 1000, 100_000, 2 << 20 // the flood unbounded takes 20 MiB
	l := newLimiter(t, ratelimit.Limit{Burst: 1, Period: 24 * time.Hour}, keys)
	before := heap()
	take(t, l, "early")
	for i := range flood {
		if i%(keys/2) == 0 {
			take(t, l, "busy")
		}
		take(t, l, strconv.Itoa(i))
	}
	if grown := heap() - before; grown > bound {
		t.Errorf("heap grew by %d bytes, want at most %d", grown, bound)
	}
	if take(t, l, "busy").Allowed {
		t.Error("the flood displaced a key in use")
	}
	if take(t, l, strconv.Itoa(flood-1)).Allowed {
		t.Error("the newest key was forgotten")
	}
	if !take(t, l, "early").Allowed {
		t.Error("the oldest key was kept")
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestNilLimiterAllowsEverything(t *testing.T) {
	var l *ratelimit.Limiter
	if diff := cmp.Diff(ratelimit.Result{Allowed: true}, take(t, l, "ada")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNewRefusesBadLimits(t *testing.T) {
	tests := []struct {
		name  string
		limit ratelimit.Limit
		keys  int
		ok    bool
	}{
		{"one each nanosecond", ratelimit.Limit{Burst: 1, Period: 1}, 1, true},
		{"no burst", ratelimit.Limit{Burst: 0, Period: time.Minute}, 1, false},
		{"negative burst", ratelimit.Limit{Burst: -1, Period: time.Minute}, 1, false},
		{"no period", ratelimit.Limit{Burst: 1}, 1, false},
		{"negative period", ratelimit.Limit{Burst: 1, Period: -time.Minute}, 1, false},
		{"less than a nanosecond each", ratelimit.Limit{Burst: 2, Period: 1}, 1, false},
		{"no keys, which the store takes for no bound", perMinute, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ratelimit.New("login", tt.limit, tt.keys); (err == nil) != tt.ok {
				t.Errorf("New(%+v, %d) = %v, want ok %t", tt.limit, tt.keys, err, tt.ok)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	tests := []struct {
		name   string
		spent  int
		wait   time.Duration
		header string
	}{
		{"first", 0, 0, `"login";r=29;t=2`},
		{"the next comes before the full burst", 9, 0, `"login";r=20;t=2`},
		{"last", 29, 0, `"login";r=0;t=2`},
		{"refused", 30, 0, `"login";r=0;t=2`},
		{"rounded up", 30, 500 * time.Millisecond, `"login";r=0;t=2`},
		{"sooner", 30, 1500 * time.Millisecond, `"login";r=0;t=1`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(t, ratelimit.Limit{Burst: 30, Period: time.Minute}, 10)
				allowedOf(t, l, "ada", tt.spent)
				time.Sleep(tt.wait)
				r := take(t, l, "ada")
				if got := r.Header(); got != tt.header {
					t.Errorf("Header() = %s, want %s", got, tt.header)
				}
				if got, want := r.Policy(), `"login";q=30;w=60`; got != want {
					t.Errorf("Policy() = %s, want %s", got, want)
				}
			})
		})
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]int{
		-time.Minute: 1, 0: 1, 1: 1, time.Second - 1: 1, time.Second: 1, time.Second + 1: 2,
		2 * time.Second: 2, 90*time.Minute + time.Millisecond: 5401, 1<<63 - 1: 9223372037,
	} {
		if got := ratelimit.Seconds(d); got != want {
			t.Errorf("Seconds(%v) = %d, want %d", d, got, want)
		}
	}
}

func TestAddressKey(t *testing.T) {
	tests := []struct{ in, want string }{
		{"192.0.2.1", "192.0.2.1"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"::ffff:192.0.2.1%eth0", "192.0.2.1"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"2001:db8:1:2:ffff::", "2001:db8:1:2::/64"},
		{"2001:db8:1:3::1", "2001:db8:1:3::/64"},
		{"fe80::1%eth0", "fe80::/64"},
		{"fe80::1%eth1", "fe80::/64"},
		{"::1", "::/64"},
	}
	for _, tt := range tests {
		if got := ratelimit.AddressKey(netip.MustParseAddr(tt.in)); got != tt.want {
			t.Errorf("AddressKey(%s) = %s, want %s", tt.in, got, tt.want)
		}
	}
	if got := ratelimit.AddressKey(netip.Addr{}); got == "" || got != ratelimit.AddressKey(netip.Addr{}) {
		t.Errorf("AddressKey(no address) = %q, want one key for all", got)
	}
}

func BenchmarkTake(b *testing.B) {
	l := newLimiter(b, ratelimit.Limit{Burst: 1_000_000, Period: time.Second}, 1000)
	b.ReportAllocs()
	for b.Loop() {
		take(b, l, "ada")
	}
}
