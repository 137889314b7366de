package main

import (
	"context"
	"net/http"
	"slices"
)

// operation is what a person does.
type operation string

const (
	register  operation = "register"
	signIn    operation = "login"
	refresh   operation = "refresh"
	logout    operation = "logout"
	change    operation = "change password"
	endOthers operation = "end other sessions"
)

// operations are those that people do at random, in about these proportions.
// Registering comes first and once.
var operations = []operation{signIn, signIn, refresh, refresh, refresh, refresh, logout, change, endOthers} //nolint:gochecknoglobals // constant

// act is one operation as it is repeated until its outcome is known.
type act struct {
	op       operation
	device   *device
	key      string // of a refresh
	password string // the new one
	again    bool   // an earlier try has an unknown outcome
}

// perform does a once. Where the outcome is unknown, it is p's pending act.
func (l *ledger) perform(ctx context.Context, p *person, a *act) {
	known := map[operation]func(context.Context, *person, *act) bool{
		register: l.register, signIn: l.login, refresh: l.refresh, logout: l.logout, change: l.change, endOthers: l.endOthers,
	}[a.op](ctx, p, a)
	if known {
		p.pending = nil
		return
	}
	if !a.again {
		l.wire.tally.count(0, 1)
	}
	a.again, p.pending = true, a
}

// judge says whether the outcome is known, and counts it. A status other than
// want is a finding.
func (l *ledger) judge(p *person, a *act, got answer, f finding, want ...int) (known, done bool) {
	if got.unknown() {
		return false, false
	}
	if slices.Contains(want, got.status) {
		l.wire.tally.count(1, 0)
		return true, true
	}
	l.wire.tally.add(f, "%s of %s (again: %v): %v", a.op, p.name, a.again, got)
	return true, false
}

func (l *ledger) register(ctx context.Context, p *person, a *act) bool {
	want := []int{http.StatusCreated}
	if a.again {
		want = append(want, http.StatusConflict)
	}
	got := l.wire.send(ctx, request{method: http.MethodPost, path: "/v1/users", body: map[string]string{"username": p.name, "password": p.password}})
	known, done := l.judge(p, a, got, odd, want...)
	p.registered = p.registered || done
	return known
}

// login makes a new session. One whose outcome is unknown may stay behind, which
// nobody has a token of.
func (l *ledger) login(ctx context.Context, p *person, a *act) bool {
	got := l.wire.send(ctx, login(p.name, p.password))
	known, done := l.judge(p, a, got, lost, http.StatusOK)
	if done {
		pair, err := got.tokens()
		if err != nil {
			l.wire.tally.add(odd, "login of %s: %v", p.name, err)
			return true
		}
		p.devices = append(p.devices, &device{tokens: pair})
	}
	return known
}

// refresh rotates. A repeated one must end in one effect: the child is the next
// generation, and the same key brings the same child again.
func (l *ledger) refresh(ctx context.Context, p *person, a *act) bool {
	r := request{method: http.MethodPost, path: "/v1/refresh", key: a.key, body: map[string]string{"refresh_token": a.device.Refresh}}
	got := l.wire.send(ctx, r)
	known, done := l.judge(p, a, got, lost, http.StatusOK)
	if !done {
		a.device.ended = a.device.ended || known // it has been reported, once
		return known
	}
	pair, err := got.tokens()
	if err != nil || generation(pair.Refresh) != generation(a.device.Refresh)+1 {
		l.wire.tally.add(odd, "refresh of %s: generation %d after %d: %v", p.name, generation(pair.Refresh), generation(a.device.Refresh), err)
	}
	if a.again {
		if repeated := l.sure(ctx, r); !repeated.unknown() {
			twin, err := repeated.tokens()
			if err != nil || twin.Refresh != pair.Refresh {
				l.wire.tally.add(odd, "refresh of %s: two children of one key: %v", p.name, repeated)
			}
		}
	}
	a.device.tokens = pair
	return known
}

func (l *ledger) logout(ctx context.Context, p *person, a *act) bool {
	got := l.wire.send(ctx, request{method: http.MethodPost, path: "/v1/logout", token: "Bearer " + a.device.Access})
	known, done := l.judge(p, a, got, lost, http.StatusNoContent)
	a.device.ended = a.device.ended || done
	if done {
		l.shutOut(ctx, p, a.device)
	}
	return known
}

// shutOut sees that who was told that a session is over cannot use it from then on.
func (l *ledger) shutOut(ctx context.Context, p *person, ended ...*device) {
	for _, d := range ended {
		got := l.wire.send(ctx, request{method: http.MethodGet, path: "/v1/forward-auth", token: "Bearer " + d.Access})
		if d.ended && got.status == http.StatusNoContent {
			l.wire.tally.add(undone, "a session of %s that has just ended is let in: %v", p.name, got)
		}
	}
}

func (l *ledger) endOthers(ctx context.Context, p *person, a *act) bool {
	got := l.wire.send(ctx, request{method: http.MethodDelete, path: "/v1/sessions?except=current", token: "Bearer " + a.device.Access})
	known, done := l.judge(p, a, got, lost, http.StatusNoContent)
	if done {
		p.endOthers(a.device)
		l.shutOut(ctx, p, p.devices...)
	}
	return known
}

func (l *ledger) change(ctx context.Context, p *person, a *act) bool {
	if a.again {
		return l.whichPassword(ctx, p, a)
	}
	got := l.wire.send(ctx, request{
		method: http.MethodPost, path: "/v1/me/password", token: "Bearer " + a.device.Access,
		body: map[string]string{"current_password": p.password, "new_password": a.password},
	})
	known, done := l.judge(p, a, got, lost, http.StatusNoContent)
	if done {
		p.password = a.password
		p.endOthers(a.device)
	}
	return known
}

// whichPassword finds out what became of a change: exactly one of the two is right.
func (l *ledger) whichPassword(ctx context.Context, p *person, a *act) bool {
	before, after := l.wire.send(ctx, login(p.name, p.password)), l.wire.send(ctx, login(p.name, a.password))
	if before.unknown() || after.unknown() {
		return false
	}
	old, changed := before.status == http.StatusOK, after.status == http.StatusOK
	switch {
	case old && changed:
		l.wire.tally.add(letIn, "%s logs in with both passwords", p.name)
	case !old && !changed:
		l.wire.tally.add(lost, "%s logs in with neither password: %v, %v", p.name, before, after)
	}
	if changed {
		p.password = a.password
		p.endOthers(a.device)
	}
	return true
}
