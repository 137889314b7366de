package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"
)

const (
	day = 24 * time.Hour
	// clockLeeway is what clocks may differ by at most, and then some.
	clockLeeway = 32 * time.Second
	// keyWindow is how long an Idempotency-Key brings the same child back.
	keyWindow = 24 * time.Hour
)

// steps sets the clock to and fro.
var steps = []time.Duration{ //nolint:gochecknoglobals // constant
	5 * time.Second, -10 * time.Second, time.Hour, -2 * time.Hour, 3 * time.Hour, -3 * time.Hour, day, -day, -day, day,
}

// stepClock sets the time of day of the running server, forwards and backwards by
// seconds, hours and a day, and at last puts it right.
func (tt *torture) stepClock(ctx context.Context, t *tally) (err error) {
	s, err := tt.newSite(ctx, t, filepath.Join(tt.dir, t.fault))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	s.crowd.ledger.wire.whole = true
	s.crowd.only = []operation{signIn, refresh} // an access token may rightly have expired
	c, err := s.bendNow()
	if err == nil {
		err = s.obeys(c)
	}
	if errors.Is(err, errSteady) {
		t.remark = fmt.Sprintf("not tried: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	round := steps
	if tt.long {
		for _, d := range []time.Duration{time.Second, 30 * time.Second, time.Minute, 10 * time.Minute, 90 * time.Minute, 5 * time.Hour, 23 * time.Hour, day} {
			round = append(round, d, -d, -d, d)
		}
	}
	for i, d := range round {
		if err := s.stepOnce(ctx, c, d, tt.seed+uint64(i)); err != nil {
			return fmt.Errorf("step of %v: %w", d, err)
		}
		t.points++
	}
	err = c.step(-c.offset)
	for _, d := range []time.Duration{3 * time.Hour, day} {
		err = errors.Join(err, s.startAhead(ctx, d))
		t.points++
	}
	s.crowd.compare(ctx, true)
	return err
}

// bendNow makes the clock of the server one that can be set.
func (s *site) bendNow() (c *clock, err error) {
	for range 20 { // a thread may just have asked for the time
		if c, err = bend(s.server.pid()); !errors.Is(err, errSteady) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return c, err
}

// obeys sees that the server shows what c was set to.
func (s *site) obeys(c *clock) error {
	for _, d := range []time.Duration{day, -day} {
		if err := c.step(d); err != nil {
			return err
		}
		resp, err := http.Get(s.crowd.ledger.wire.base + "/healthz") //nolint:noctx // loopback
		if err != nil {
			return err
		}
		shown, err := http.ParseTime(resp.Header.Get("Date"))
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			return err
		}
		if off := shown.Sub(c.now()).Abs(); off > time.Minute {
			return fmt.Errorf("%w: the server is %v off", errSteady, off)
		}
	}
	return nil
}

// startAhead starts the server anew with a clock that is ahead by d, and puts it right.
// What has been ended since is nothing to a server that knows only its own time.
func (s *site) startAhead(ctx context.Context, d time.Duration) error {
	ended, a := s.prepare(ctx, logout)
	s.crowd.ledger.perform(ctx, ended, a)
	s.crowd.ledger.settle(ctx, ended)
	if err := errors.Join(s.server.kill(), s.server.launch()); err != nil {
		return err
	}
	c, err := s.bendNow()
	if err == nil {
		err = errors.Join(c.step(d), s.server.ready(ctx))
	}
	if err != nil {
		return err
	}
	s.crowd.compare(ctx, false)
	err = c.step(-d)
	for _, device := range ended.devices {
		s.crowd.ledger.judgeAccess(ctx, c, ended, device)
	}
	return err
}

// stepOnce has everybody do something, and sets the clock by d while a crowd works.
func (s *site) stepOnce(ctx context.Context, c *clock, d time.Duration, seed uint64) error {
	l := s.crowd.ledger
	var people []*person
	for _, op := range everyOperation {
		p, a := s.prepare(ctx, op)
		l.perform(ctx, p, a)
		l.settle(ctx, p)
		people = append(people, p)
	}
	retried, a := s.prepare(ctx, refresh)
	old := *a.device
	l.perform(ctx, retried, a)
	l.settle(ctx, retried)
	working, enough := context.WithTimeout(ctx, 300*time.Millisecond)
	defer enough()
	wait := s.crowd.drive(working, seed, 2)
	pause(working, 100*time.Millisecond)
	err := c.step(d)
	// At once, and before the server has looked at the clock again.
	for _, p := range people {
		for _, device := range p.devices {
			l.judgeAccess(ctx, c, p, device)
		}
	}
	l.repeat(ctx, retried, a, &old, d)
	wait()
	s.crowd.compare(ctx, false)
	return errors.Join(err, ctx.Err())
}

// judgeAccess sees that an access token is worth what the clock says.
func (l *ledger) judgeAccess(ctx context.Context, c *clock, p *person, d *device) {
	if d.ended {
		l.compareEnded(ctx, p, d)
		return
	}
	issued, expires := span(d.Access)
	now := c.now()
	for _, path := range []string{"/v1/forward-auth", "/v1/me"} {
		got := l.wire.send(ctx, request{method: http.MethodGet, path: path, token: "Bearer " + d.Access})
		in := got.status == http.StatusOK || got.status == http.StatusNoContent
		switch {
		case in && now.After(expires.Add(clockLeeway)):
			l.wire.tally.add(letIn, "%s with a token that expired %v ago, at %s", p.name, now.Sub(expires), path)
		case !in && now.Before(expires) && now.Add(clockLeeway/2).After(issued):
			l.wire.tally.add(lost, "the access token of %s is refused %v before its end at %s: %v", p.name, expires.Sub(now), path, got)
		}
	}
}

// repeat sends a refresh again, with its key, after a step of d: it brings the same
// child, unless the key is too old by now.
func (l *ledger) repeat(ctx context.Context, p *person, a *act, old *device, d time.Duration) {
	got := l.wire.send(ctx, request{method: http.MethodPost, path: "/v1/refresh", key: a.key, body: map[string]string{"refresh_token": old.Refresh}})
	if d >= keyWindow-time.Minute && got.status == http.StatusUnauthorized {
		a.device.ended = true // a spent token ends its session
		return
	}
	pair, err := got.tokens()
	if got.status != http.StatusOK || err != nil || pair.Refresh != a.device.Refresh {
		l.wire.tally.add(lost, "refresh of %s, again after a step of %v, does not bring the same child: %v", p.name, d, got)
		return
	}
	a.device.tokens = pair
}
