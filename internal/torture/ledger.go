package main

import (
	"context"
	"crypto/rand"
	"net/http"
	"time"
)

// person is one user with what was acknowledged to them. One goroutine at a time
// acts for a person.
type person struct {
	name, password string
	registered     bool
	devices        []*device
	pending        *act // what has an unknown outcome
}

// device is one session. Its tokens are the newest that were acknowledged.
type device struct {
	tokens

	ended bool
}

// live returns the person's sessions that are not over.
func (p *person) live() []*device {
	var live []*device
	for _, d := range p.devices {
		if !d.ended {
			live = append(live, d)
		}
	}
	return live
}

// endOthers notes that the person's sessions are over, all but one.
func (p *person) endOthers(kept *device) {
	for _, d := range p.devices {
		d.ended = d.ended || d != kept
	}
}

// ledger acts for people and keeps what was acknowledged.
type ledger struct {
	wire *wire
}

func newPerson() *person {
	return &person{name: "p" + newKey(), password: newPassword()}
}

func newKey() string      { return lower(rand.Text())[:16] }
func newPassword() string { return "correct horse " + rand.Text() }

func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// settle repeats what has an unknown outcome until it is known.
func (l *ledger) settle(ctx context.Context, p *person) {
	for end := time.Now().Add(patience); p.pending != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) || ctx.Err() != nil {
			l.wire.tally.add(odd, "%s of %s: no known outcome after %v", p.pending.op, p.name, patience)
			p.pending = nil
			return
		}
		l.perform(ctx, p, p.pending)
	}
}

// sure sends r until its outcome is known.
func (l *ledger) sure(ctx context.Context, r request) answer {
	a := l.wire.send(ctx, r)
	for end := time.Now().Add(patience); a.unknown() && time.Now().Before(end) && ctx.Err() == nil; a = l.wire.send(ctx, r) {
		time.Sleep(20 * time.Millisecond)
	}
	if a.unknown() {
		l.wire.tally.add(odd, "%s %s: not well again: %v", r.method, r.path, a)
	}
	return a
}

// compare looks whether everything that was acknowledged to p holds.
func (l *ledger) compare(ctx context.Context, p *person) {
	if l.settle(ctx, p); !p.registered {
		return
	}
	t := l.wire.tally
	if a := l.sure(ctx, login(p.name, p.password)); a.status != http.StatusOK && !a.unknown() {
		t.add(lost, "%s cannot log in with the last password: %v", p.name, a)
	}
	if a := l.sure(ctx, login(p.name, newPassword())); a.status == http.StatusOK {
		t.add(letIn, "%s logs in with a wrong password", p.name)
	}
	for _, d := range p.devices {
		if d.ended {
			l.compareEnded(ctx, p, d)
			continue
		}
		l.perform(ctx, p, &act{op: refresh, device: d, key: newKey()})
		l.settle(ctx, p)
		if a := l.sure(ctx, me(d)); a.status != http.StatusOK && !a.unknown() && !d.ended {
			t.add(lost, "the newest access token of %s is refused: %v", p.name, a)
		}
	}
}

// compareEnded asks where the database is read, and where only the token is.
func (l *ledger) compareEnded(ctx context.Context, p *person, d *device) {
	for _, path := range []string{"/v1/forward-auth", "/v1/me"} {
		if a := l.sure(ctx, request{method: http.MethodGet, path: path, token: "Bearer " + d.Access}); a.status != http.StatusUnauthorized && !a.unknown() {
			l.wire.tally.add(undone, "an ended session of %s has an access token that works at %s: %v", p.name, path, a)
		}
	}
	if a := l.sure(ctx, request{method: http.MethodPost, path: "/v1/refresh", body: map[string]string{"refresh_token": d.Refresh}}); a.status != http.StatusUnauthorized && !a.unknown() {
		l.wire.tally.add(undone, "an ended session of %s is refreshed: %v", p.name, a)
	}
}

func login(name, password string) request {
	return request{method: http.MethodPost, path: "/v1/login", body: map[string]string{"identifier": name, "password": password}}
}

func me(d *device) request {
	return request{method: http.MethodGet, path: "/v1/me", token: "Bearer " + d.Access}
}
