package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2" //nolint:depguard // a run is repeated with its seed
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// loginLimit is how many logins an address has in a minute; half of them while
// Redis is away.
const loginLimit = 20

// outage is one way in which Redis is away, and how that ends.
type outage struct {
	name       string
	begin, end func(ctx context.Context) error
}

// hurtRedis kills the Redis in which limits are counted, stops it, and cuts the
// connections to it, as a whole and at a command. People go on, and limits are
// kept, half as wide while it is away.
func (tt *torture) hurtRedis(ctx context.Context, t *tally) (err error) {
	r, err := newRedis(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.kill(ctx)) }()
	p, err := newProxy(r.addr, readRedis)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	const many = "1000000"
	s, err := tt.newSite(ctx, t, filepath.Join(tt.dir, t.fault), "JOTGATE_RATE_LIMIT_ENABLED=true", "JOTGATE_REDIS_URL=redis://"+p.addr(),
		"JOTGATE_TRUSTED_PROXIES=127.0.0.1", "JOTGATE_RATE_LIMIT_USER_FAILURES="+many, "JOTGATE_RATE_LIMIT_REGISTRATIONS_PER_HOUR="+many,
		"JOTGATE_RATE_LIMIT_REFRESHES_PER_MINUTE="+many, "JOTGATE_RATE_LIMIT_PASSWORD_CHECKS_PER_MINUTE="+many,
		"JOTGATE_RATE_LIMIT_LOGINS_PER_MINUTE="+strconv.Itoa(loginLimit))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	s.crowd.ledger.wire.whole, s.crowd.ledger.wire.spread = true, true
	outages := []outage{
		{"killed", r.kill, r.start},
		{"stalled", r.signal(syscall.SIGSTOP), r.signal(syscall.SIGCONT)},
		{"cut off", func(context.Context) error { p.refuse(true); p.cutAll(); return nil }, func(context.Context) error { p.refuse(false); return nil }},
	}
	random := rand.New(rand.NewPCG(tt.seed, 0))
	s.awaitShared(ctx)
	for t.points < tt.count(4, 60) {
		working, enough := context.WithCancel(ctx)
		wait := s.crowd.drive(working, tt.seed+uint64(t.points), workers)
		pause(ctx, 100*time.Millisecond)
		if i := t.points % 4; i < len(outages) {
			err = s.without(ctx, outages[i])
		} else {
			s.cutCommand(ctx, p, cut{how: manner(t.points / 4 % 3), nth: 1 + random.IntN(20)})
		}
		enough()
		wait()
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		t.points++
		s.crowd.compare(ctx, false)
	}
	s.crowd.compare(ctx, true)
	return nil
}

// without sees that the limit is half as wide during an outage, and whole after it.
func (s *site) without(ctx context.Context, o outage) error {
	if err := o.begin(ctx); err != nil {
		return err
	}
	when := "while Redis is " + o.name
	admitted, earned := s.meetLimit(ctx, when)
	s.judgeLimit(admitted, loginLimit/2, earned, when)
	if err := o.end(ctx); err != nil {
		return err
	}
	s.meetWhole(ctx, "after Redis was "+o.name)
	return nil
}

// cutCommand cuts the connection at one of the crowd's commands.
func (s *site) cutCommand(ctx context.Context, p *proxy, c cut) {
	p.arm(c)
	for end := time.Now().Add(patience); !p.broke() && time.Now().Before(end) && ctx.Err() == nil; {
		pause(ctx, 20*time.Millisecond)
	}
	pause(ctx, 2*lateness)
	if !p.disarm() {
		s.tally.add(odd, "nobody asked Redis %d times", c.nth)
	}
	s.meetWhole(ctx, "after Redis was cut off at a command")
}

// meetWhole sees that an address has the whole limit when it is counted in Redis. One
// that is a little late is away for a second, and then it is tried again.
func (s *site) meetWhole(ctx context.Context, when string) {
	for range 10 {
		s.awaitShared(ctx)
		before := s.countedAlone()
		admitted, earned := s.meetLimit(ctx, when)
		if s.countedAlone() == before {
			s.judgeLimit(admitted, loginLimit, earned, when)
			return
		}
	}
	s.tally.remark = "Redis was late all the time, and not every limit was measured"
}

// countedAlone is how many requests were not counted in Redis.
func (s *site) countedAlone() string {
	text, err := s.server.metrics()
	_, rest, found := strings.Cut(text, "\njotgate_rate_limit_fallbacks_total ")
	if err != nil || !found {
		s.tally.add(odd, "the metrics do not tell how many requests were counted here: %v", err)
	}
	count, _, _ := strings.Cut(rest, "\n")
	return count
}

// meetLimit logs in from one address until it is told to wait.
func (s *site) meetLimit(ctx context.Context, when string) (admitted, earned int) {
	p := s.crowd.ledger.settled(ctx)
	r := login(p.name, p.password)
	r.from = newAddress()
	began := time.Now()
	for range 2 * loginLimit {
		a, header := s.crowd.ledger.wire.roundTrip(ctx, r)
		if a.status == http.StatusOK {
			admitted++
			continue
		}
		if a.status != http.StatusTooManyRequests || header.Get("Retry-After") == "" || !isProblem(header, a) {
			s.tally.add(odd, "login %d of an address %s: %v", admitted+1, when, a)
		}
		break
	}
	s.tally.count(admitted, 0)
	return admitted, int(time.Since(began) / (time.Minute / loginLimit))
}

// judgeLimit compares with the limit, and what was earned since the first login.
func (s *site) judgeLimit(admitted, want, earned int, when string) {
	if admitted > want+earned {
		s.tally.add(letIn, "%d logins of an address %s, not %d", admitted, when, want)
	} else if admitted < want {
		s.tally.add(odd, "%d logins of an address %s, not %d", admitted, when, want)
	}
}

// settled is a new person, who has registered.
func (l *ledger) settled(ctx context.Context) *person {
	p := newPerson()
	l.perform(ctx, p, &act{op: register})
	l.settle(ctx, p)
	return p
}

// awaitShared waits until limits are counted in Redis.
func (s *site) awaitShared(ctx context.Context) {
	for end := time.Now().Add(patience); time.Now().Before(end) && ctx.Err() == nil; pause(ctx, 20*time.Millisecond) {
		if text, err := s.server.metrics(); err == nil && strings.Contains(text, "jotgate_rate_limit_shared 1\n") {
			return
		}
	}
	s.tally.add(odd, "limits are not shared again after %v", patience)
}

// redis is a Redis that is started again at the same address, and forgets.
type redis struct {
	program, addr string
	cmd           *exec.Cmd
}

func newRedis(ctx context.Context) (*redis, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	r := &redis{addr: addr}
	if r.program, err = exec.LookPath("redis-server"); err != nil {
		r.program, err = exec.LookPath("valkey-server")
	}
	return r, errors.Join(err, r.start(ctx))
}

func (r *redis) start(ctx context.Context) error {
	_, port, _ := strings.Cut(r.addr, ":")
	r.cmd = exec.Command(r.program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no") //nolint:noctx // ends by the hand of a fault
	return errors.Join(r.cmd.Start(), ctx.Err())
}

func (r *redis) kill(context.Context) error {
	err := r.cmd.Process.Kill()
	return errors.Join(err, ignoreExit(r.cmd.Wait()))
}

func (r *redis) signal(sig syscall.Signal) func(context.Context) error {
	return func(context.Context) error { return r.cmd.Process.Signal(sig) }
}

// readRedis reads a command: an array of texts, with the length of each before it.
func readRedis() reader {
	return func(in *bufio.Reader) (message, error) {
		m := message{answered: true}
		length := func(mark byte) (int, error) {
			line, err := in.ReadBytes('\n')
			if err != nil {
				return 0, err
			}
			m.text = append(m.text, line...)
			if line[0] != mark {
				return 0, fmt.Errorf("%q is not RESP", line)
			}
			return strconv.Atoi(strings.TrimSpace(string(line[1:])))
		}
		n, err := length('*')
		for ; err == nil && n > 0; n-- {
			var size int
			if size, err = length('$'); err == nil {
				word := make([]byte, size+2)
				_, err = io.ReadFull(in, word)
				m.text = append(m.text, word...)
			}
		}
		return m, err
	}
}
