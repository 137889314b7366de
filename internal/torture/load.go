package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// queued is how many logins may wait, as the settings have it.
	queued = 256
	// loadFactor is how much more is offered than can be hashed.
	loadFactor = 10
	// mostWait is how long a login takes at most, with five seconds in the queue.
	mostWait = 10 * time.Second
	// mostMemory bounds what the server has held in memory at once, in MiB: some hundred
	// requests that wait. What is hashed is in other processes.
	mostMemory = 128
)

// defaultCost is that of a hash, as the settings have it.
var defaultCost = []string{"JOTGATE_PASSWORD_MEMORY_KIB=19456", "JOTGATE_PASSWORD_PASSES=2"} //nolint:gochecknoglobals // constant

// offered is what became of logins.
type offered struct {
	in, later, cut atomic.Int64

	mu      sync.Mutex
	slowest time.Duration
}

// offerLogins offers ten times as many logins as can be hashed, as they come and
// not as they are answered. Each is judged or told to come back, in bounded time
// and bounded memory, and whoever has a token does not wait.
func (tt *torture) offerLogins(ctx context.Context, t *tally) (err error) {
	s, err := tt.newSite(ctx, t, filepath.Join(tt.dir, t.fault), defaultCost...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	s.crowd.ledger.wire.whole = true
	p, _ := s.prepare(ctx, refresh)
	rate := s.hashRate(ctx, p)
	var o offered
	var slowest time.Duration
	for range tt.count(1, 3) {
		// The queue is full by then.
		length := max(time.Duration(tt.count(3, 30))*time.Second, 2*queued*time.Second/time.Duration((loadFactor-1)*rate))
		during, enough := context.WithTimeout(ctx, length)
		over := make(chan struct{})
		go func() {
			defer close(over)
			s.offer(during, p, loadFactor*rate, &o)
		}()
		slowest = max(slowest, s.askVerified(during, p))
		enough()
		<-over
		t.points++
		s.crowd.compare(ctx, true)
	}
	s.judgeLoad(&o)
	memory, err := s.server.peak()
	if memory > mostMemory {
		t.add(odd, "the server held %d MiB", memory)
	}
	t.count(int(o.in.Load()), int(o.later.Load()))
	t.remark = fmt.Sprintf("%d logins a second of %d offered, the slowest answer after %.1f s, the slowest verified request after %d ms, %d MiB",
		rate, loadFactor*rate, o.slowest.Seconds(), slowest.Milliseconds(), memory)
	return err
}

// judgeLoad sees that logins went on, that some were told to come back, and that
// none waited long.
func (s *site) judgeLoad(o *offered) {
	if o.in.Load() == 0 || o.later.Load() == 0 || o.cut.Load() > 0 {
		s.tally.add(odd, "%d logins judged, %d told to come back, %d not answered", o.in.Load(), o.later.Load(), o.cut.Load())
	}
	if o.slowest > mostWait {
		s.tally.add(odd, "a login was answered after %v", o.slowest)
	}
}

// hashRate is how many logins the server answers in a second when some ask at once.
func (s *site) hashRate(ctx context.Context, p *person) int {
	var done atomic.Int64
	during, enough := context.WithTimeout(ctx, 2*time.Second)
	defer enough()
	began := time.Now()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for during.Err() == nil {
				if s.crowd.ledger.wire.send(ctx, login(p.name, p.password)).status == http.StatusOK {
					done.Add(1)
				}
			}
		})
	}
	all.Wait()
	return max(int(float64(done.Load())/time.Since(began).Seconds()), 1)
}

// offer sends so many logins a second until ctx ends, and waits for their answers.
func (s *site) offer(ctx context.Context, p *person, rate int, o *offered) {
	var all sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			all.Wait()
			return
		case <-tick.C:
			all.Go(func() { s.offerOne(context.WithoutCancel(ctx), p, i%2 == 0, o) })
		}
	}
}

// offerOne logs in, with the right password or a wrong one.
func (s *site) offerOne(ctx context.Context, p *person, right bool, o *offered) {
	password, want, began := p.password, http.StatusOK, time.Now()
	if !right {
		password, want = newPassword(), http.StatusUnauthorized
	}
	switch s.crowd.ledger.wire.send(ctx, login(p.name, password)).status {
	case want:
		o.in.Add(1)
	case http.StatusOK:
		s.tally.add(letIn, "%s logs in with a wrong password", p.name)
	case http.StatusServiceUnavailable:
		o.later.Add(1)
	default:
		o.cut.Add(1)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.slowest = max(o.slowest, time.Since(began))
}

// peak is how many MiB the server has held at once.
func (s *server) peak() (mib int, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid()))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	_, err = fmt.Sscan(rest, &mib)
	return mib / 1024, err
}
