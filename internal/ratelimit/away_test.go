package ratelimit_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/ratelimit"
	"github.com/jotgate/jotgate/internal/redistest"
)

// daily earns nothing back while a test runs; half of it is daily/2.
var daily = ratelimit.Limit{Burst: 10, Period: 1000 * time.Hour}

// half is what is left of daily while Redis is away: half as much, half as often.
var half = ratelimit.Limit{Burst: 5, Period: 1000 * time.Hour}

// wantTold checks that r was told of the ends and beginnings of sharing.
func wantTold(t *testing.T, r *replica, want ...bool) {
	t.Helper()
	got := r.changes()
	if len(got) != len(want) {
		t.Fatalf("told %v, want %d changes", got, len(want))
	}
	for i, err := range got {
		if (err == nil) != want[i] {
			t.Errorf("change %d is %v, want shared: %t", i, err, want[i])
		}
	}
}

func TestAwayIsStricterAndComesBack(t *testing.T) {
	server := redistest.Start(t)
	r := share(t, server.URL())
	l := r.limiter(t, daily)
	if got := take(t, l, "ada"); !got.Allowed || got.Limit != daily {
		t.Fatalf("before: %+v", got)
	}
	server.Stop()
	if got := take(t, l, "ada"); !got.Allowed || got.Limit != half || got.Remaining != 4 || got.Name != "login" {
		t.Errorf("away: %+v", got)
	}
	if got := allowedOf(t, l, "ada", 20); got != 4 {
		t.Errorf("%d more passed while it was away, want 4", got)
	}
	wantTold(t, r, false)
	if r.Away() == nil || r.Alone() != 21 {
		t.Errorf("away %v, alone %d", r.Away(), r.Alone())
	}

	server.Restart()
	if got := take(t, l, "ada"); got.Limit != half {
		t.Errorf("Redis was asked within the pause: %+v", got)
	}
	r.clock.move(pause)
	if got := take(t, l, "ada"); !got.Allowed || got.Limit != daily {
		t.Errorf("back: %+v", got)
	}
	if got := allowedOf(t, l, "ada", 20); got != 9 {
		t.Errorf("%d more passed when it was back, want 9", got)
	}
	wantTold(t, r, false, true)

	server.Stop()
	if allowed := allowedOf(t, l, "ada", 5); allowed != 0 {
		t.Errorf("a second outage gave %d more", allowed)
	}
	wantTold(t, r, false, true, false)
}

// TestDeafRedis is one that takes connections and does not answer.
func TestDeafRedis(t *testing.T) {
	server := redistest.Start(t)
	r := share(t, server.URL(), 500*time.Millisecond)
	l := r.limiter(t, daily)
	take(t, l, "ada")
	server.Pause()
	start := time.Now()
	if got := take(t, l, "ada"); got.Limit != half {
		t.Errorf("deaf: %+v", got)
	}
	if d := time.Since(start); d < 400*time.Millisecond || d > 30*time.Second {
		t.Errorf("it waited for %s, want one wait", d)
	}
	server.Resume()
	for end := time.Now().Add(30 * time.Second); ; {
		r.clock.move(pause) // each probe may time out on a slow machine
		if take(t, l, "bob").Limit == daily {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the shared limit does not come back")
		}
	}
}

// fake speaks as much of Redis's protocol as a test wants.
type fake struct {
	url         string
	connections atomic.Int64
	counts      atomic.Int64
	answer      atomic.Pointer[string] // to a count; nil for none
}

func newFake(t *testing.T) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{url: "redis://" + l.Addr().String()}
	var serving sync.WaitGroup
	var open []net.Conn
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f.connections.Add(1)
			open = append(open, conn)
			serving.Go(func() { f.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		for _, conn := range open {
			conn.Close()
		}
		serving.Wait()
	})
	return f
}

func (f *fake) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		name, err := command(in)
		if err != nil {
			return
		}
		answer := "-ERR unknown command\r\n"
		if strings.HasPrefix(name, "eval") {
			f.counts.Add(1)
			if f.answer.Load() == nil {
				continue
			}
			answer = *f.answer.Load()
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
}

// command reads one command and returns its name.
func command(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "*")))
	var words []string
	for i := 0; i < n && err == nil; i++ {
		if line, err = in.ReadString('\n'); err != nil {
			break
		}
		size, _ := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "$")))
		word := make([]byte, size+2)
		_, err = io.ReadFull(in, word)
		words = append(words, strings.ToLower(string(word[:size])))
	}
	if len(words) == 0 {
		return "", errors.Join(io.ErrUnexpectedEOF, err)
	}
	return words[0], err
}

const counted = "*4\r\n:1\r\n:9\r\n$2\r\n-1\r\n$6\r\n360000\r\n"

func TestNonsenseIsNoAnswer(t *testing.T) {
	f := newFake(t)
	for _, tt := range []struct {
		answer string
		shared bool
	}{
		{counted, true},
		{"*4\r\n:0\r\n:0\r\n$6\r\n360000\r\n$7\r\n3600000\r\n", true},
		{"+OK\r\n", false},
		{":1\r\n", false},
		{"$-1\r\n", false},
		{"*0\r\n", false},
		{"*-1\r\n", false},
		{"*3\r\n:1\r\n:9\r\n$2\r\n-1\r\n", false},
		{"*4\r\n:1\r\n:9\r\n:1\r\n:1\r\n", false},
		{"*4\r\n$1\r\n1\r\n$1\r\n9\r\n$2\r\n-1\r\n$6\r\n360000\r\n", false},
		{"*4\r\n:2\r\n:9\r\n$2\r\n-1\r\n$6\r\n360000\r\n", false},
		{"*4\r\n:-1\r\n:9\r\n$2\r\n-1\r\n$6\r\n360000\r\n", false},
		{"*4\r\n:1\r\n:9\r\n$2\r\n-1\r\n$3\r\nnan\r\n", false},
		{"*4\r\n:1\r\n:9\r\n$2\r\n-1\r\n$2\r\n-9\r\n", false},
		{"*4\r\n:1\r\n:9\r\n$2\r\n-1\r\n$4\r\n1e99\r\n", false},
		{"*4\r\n:1\r\n:9\r\n$2\r\n-1\r\n$1\r\nx\r\n", false},
		{"*4\r\n:0\r\n:0\r\n$4\r\n1e99\r\n$1\r\n1\r\n", false},
		{"-ERR no\r\n", false},
		{"-NOSCRIPT no\r\n", false},
		{"-LOADING no\r\n", false},
		{"-READONLY no\r\n", false},
		{"-OOM no\r\n", false},
		{"-MOVED 1 127.0.0.1:1\r\n", false},
		{"HTTP/1.1 400 Bad Request\r\n\r\n", false},
		{"", false},
	} {
		f.answer.Store(&tt.answer)
		r := share(t, f.url, 5*time.Second)
		if tt.answer == "" {
			r = share(t, f.url, 50*time.Millisecond)
		}
		got := take(t, r.limiter(t, daily), "ada")
		if want := map[bool]ratelimit.Limit{true: daily, false: half}[tt.shared]; got.Limit != want {
			t.Errorf("%q: %+v, want a decision of %+v (%v)", tt.answer, got, want, r.Away())
		}
		wantTold(t, r, make([]bool, map[bool]int{true: 0, false: 1}[tt.shared])...)
	}
}

// TestOneProbeInAPause sends many at once to a Redis that does not answer.
func TestOneProbeInAPause(t *testing.T) {
	f := newFake(t)
	r := share(t, f.url, 50*time.Millisecond)
	l := r.limiter(t, daily)
	flood := func() {
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				for range 10 {
					if _, err := l.Take(t.Context(), "ada"); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}
	take(t, l, "ada")
	if f.counts.Load() != 1 {
		t.Fatalf("asked %d times, want once without a retry", f.counts.Load())
	}
	flood()
	if f.counts.Load() != 1 || f.connections.Load() != 1 {
		t.Errorf("asked %d times on %d connections within the pause", f.counts.Load(), f.connections.Load())
	}
	for range 3 {
		before := f.counts.Load()
		r.clock.move(pause)
		flood()
		if n := f.counts.Load() - before; n != 1 {
			t.Errorf("%d probes after the pause, want one", n)
		}
	}
	answer := counted
	f.answer.Store(&answer)
	r.clock.move(pause - 1)
	if got := take(t, l, "ada"); got.Limit != half {
		t.Errorf("it was back before the pause was over: %+v", got)
	}
	r.clock.move(1)
	for end := time.Now().Add(30 * time.Second); take(t, l, "ada").Limit != daily && time.Now().Before(end); {
		r.clock.move(pause)
	}
	wantTold(t, r, false, true)
}

// TestAClientThatLeavesIsNoOutage is of clients that could otherwise make the
// limits local by giving up early.
func TestAClientThatLeavesIsNoOutage(t *testing.T) {
	r := share(t, redistest.URL(t))
	l := r.limiter(t, daily)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 {
		if got, err := l.Take(ctx, "ada"); err != nil || got.Limit != daily {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if got := take(t, l, "ada"); got.Remaining != 6 || r.Away() != nil {
		t.Errorf("those who left were not counted: %+v, %v", got, r.Away())
	}
}

// TestOutagesDoNotLetMoreIn takes Redis away and back under load. Each start of
// it is an empty one.
func TestOutagesDoNotLetMoreIn(t *testing.T) {
	const outages = 3
	server := redistest.Start(t)
	r := share(t, server.URL(), 5*time.Second)
	l := r.limiter(t, daily)
	var allowed atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				got, err := l.Take(t.Context(), "ada")
				if err != nil {
					t.Error(err)
				}
				if got.Allowed {
					allowed.Add(1)
				}
			}
		})
	}
	until := func(what string, f func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !f(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Error(what)
				return
			}
		}
	}
	for range outages {
		server.Stop()
		until("the outage goes unnoticed", func() bool { return r.Away() != nil })
		server.Restart()
		until("it does not come back", func() bool {
			r.clock.move(pause)
			return r.Away() == nil
		})
	}
	close(stop)
	wg.Wait()
	rest := allowedOf(t, l, "ada", 2*daily.Burst)
	if n, most := int(allowed.Load())+rest, daily.Burst*(outages+1)+half.Burst; n > most || n < daily.Burst {
		t.Errorf("%d passed, want at most %d", n, most)
	}
}
