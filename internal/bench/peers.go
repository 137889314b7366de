package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// peer is a program that signs users in, and how it is asked for the same things.
type peer struct {
	name, notes string
	// prepare makes the program ready to run, and returns the command that serves addr
	// with its data in dir; everything that takes its time only once is kept in cache.
	prepare  func(ctx context.Context, b *bench, p peerPlace) (*exec.Cmd, error)
	me       func(g grant) same
	login    same
	register func(name string) same    // nil if it keeps no users
	refresh  func(g grant) (text same) // nil if it has none
	probe    string                    // a path that answers something to anybody
}

// peerPlace is where a peer runs.
type peerPlace struct{ addr, dir, cache string }

// grant is what a login or a refresh brought, by whatever names.
type grant struct {
	AccessToken  string `json:"access_token"`
	Token        string `json:"token"`
	Access       string `json:"access"`
	RefreshToken string `json:"refresh_token"`
	Refresh      string `json:"refresh"`
	Record       struct {
		ID string `json:"id"`
	} `json:"record"`
}

func (g grant) access() string  { return cmp.Or(g.AccessToken, g.Token, g.Access) }
func (g grant) refresh() string { return cmp.Or(g.RefreshToken, g.Refresh, g.Token) }
func (g grant) header() string  { return "Authorization: Bearer " + g.access() }

// peerRow is what one of them came to; a rate of 0 was not measured.
type peerRow struct {
	Name     string  `json:"name"`
	Notes    string  `json:"notes"`
	Me       float64 `json:"me"`
	Share    float64 `json:"share"`
	P99      float64 `json:"p99_ms"`
	Login    float64 `json:"login"`
	Refresh  float64 `json:"refresh"`
	Register float64 `json:"register"`
	Idle     float64 `json:"idle_mib"`
	After    float64 `json:"after_mib"`
	Start    float64 `json:"start_ms"`
}

// peers measures the others beside the bare handler and jotgate.
func (b *bench) peers(ctx context.Context) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	cache = filepath.Join(cache, "jotgate-bench")
	return with(func() (*child, error) { return b.startHello(ctx) }, func(floor *child) error {
		bare := &measured{addr: floor.addr, asks: times(connections, bareRequest())}
		for _, p := range allPeers() {
			r, err := b.peer(ctx, p, cache, bare)
			if errors.Is(err, errMissing) {
				r = peerRow{Name: p.name, Notes: "not measured: " + err.Error()}
			} else if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			b.peerRows = append(b.peerRows, r)
		}
		b.peerRows = append([]peerRow{{Name: "bare Gin JSON handler", Me: median(bare.rates), Share: 1, P99: median(bare.p99)}}, b.peerRows...)
		fmt.Fprint(b.out, peerTable(b.peerRows))
		return nil
	})
}

// peer measures one of them.
func (b *bench) peer(ctx context.Context, p peer, cache string, bare *measured) (r peerRow, err error) {
	place := peerPlace{dir: filepath.Join(b.dir, "peer-"+strings.ToLower(strings.ReplaceAll(p.name, " ", "-"))), cache: cache}
	if place.addr, err = freeAddr(); err != nil {
		return peerRow{}, err
	}
	if err := errors.Join(os.MkdirAll(place.dir, 0o700), os.MkdirAll(cache, 0o755)); err != nil {
		return peerRow{}, err
	}
	cmd, err := p.prepare(ctx, b, place)
	if err != nil {
		return peerRow{}, err
	}
	r = peerRow{Name: p.name, Notes: p.notes}
	begin := time.Now()
	err = with(func() (*child, error) { return start(cmd, place.addr, b.cores.server) }, func(c *child) error {
		if err := awaitAnswer(c.addr, p.probe); err != nil {
			return err
		}
		r.Start = ms(time.Since(begin))
		time.Sleep(settling)
		if r.Idle, err = c.family(); err != nil {
			return err
		}
		if err := b.askPeer(ctx, p, c.addr, &r, bare); err != nil {
			return err
		}
		r.After, err = c.family()
		return err
	})
	return r, err
}

// awaitAnswer waits until a server answers anything: some listen long before.
func awaitAnswer(addr, path string) error {
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if _, _, err := once(addr, request("GET", path, "")); err == nil || time.Now().After(end) {
			return err
		}
	}
}

// askPeer has the rounds of each kind of request.
func (b *bench) askPeer(ctx context.Context, p peer, addr string, r *peerRow, bare *measured) error {
	if p.register != nil {
		a := p.register("ada")
		status, body, err := once(addr, a.next())
		if err := errors.Join(err, a.got(status, body)); err != nil {
			return err
		}
	}
	grants, err := p.signIn(addr, sessions)
	if err != nil {
		return err
	}
	me := &measured{addr: addr, asks: times(connections, p.me(grants[0]))}
	logins := &measured{addr: addr, asks: times(8, p.login)}
	refreshes, registers := p.refreshes(addr, grants), p.registers(addr)
	first := len(bare.rates)
	for range b.rounds {
		for _, m := range []*measured{bare, me, logins, refreshes, registers} {
			if len(m.asks) == 0 {
				continue
			}
			if err := m.round(ctx, b.length); err != nil {
				return err
			}
		}
	}
	r.Me, r.Share, r.P99 = median(me.rates), median(shares(me.rates, bare.rates[first:])), median(me.p99)
	r.Login, r.Refresh, r.Register = median(logins.rates), median(refreshes.rates), median(registers.rates)
	return nil
}

// refreshes is nobody asking where there is no refresh.
func (p peer) refreshes(addr string, grants []grant) *measured {
	m := &measured{addr: addr}
	if p.refresh == nil {
		return m
	}
	for _, g := range grants {
		m.asks = append(m.asks, &peerRefresh{p, g})
	}
	return m
}

// registers is nobody asking where no users are kept.
func (p peer) registers(addr string) *measured {
	m := &measured{addr: addr}
	if p.register != nil {
		m.asks = times(8, &newcomers{register: p.register})
	}
	return m
}

func (p peer) signIn(addr string, n int) ([]grant, error) {
	all := make([]grant, n)
	for i := range all {
		status, body, err := once(addr, p.login.next())
		if err := errors.Join(err, p.login.got(status, body)); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(body, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// peerRefresh is a client that refreshes with what it got last.
type peerRefresh struct {
	p peer
	g grant
}

func (r *peerRefresh) next() []byte { return r.p.refresh(r.g).next() }

func (r *peerRefresh) got(status int, body []byte) error {
	if err := r.p.refresh(r.g).got(status, body); err != nil {
		return err
	}
	return json.Unmarshal(body, &r.g)
}

// newcomers registers one user after another.
type newcomers struct {
	register func(name string) same
	n        atomic.Int64
}

func (w *newcomers) next() []byte {
	return w.register("user" + strconv.FormatInt(w.n.Add(1), 10)).next()
}

func (w *newcomers) got(status int, body []byte) error { return w.register("").got(status, body) }

// peerTable is the peers as Markdown.
func peerTable(rows []peerRow) string {
	var b strings.Builder
	b.WriteString("| system | current user with a valid token, /s | share of the bare handler | p99, ms | login /s | refresh /s | register /s | memory idle → after, MiB | start, ms | notes |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		memory := "–"
		if r.Idle > 0 {
			memory = fmt.Sprintf("%.0f → %.0f", r.Idle, r.After)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", cell(r.Name), rate(r.Me), fraction(r.Share), rate(r.P99), rate(r.Login),
			rate(r.Refresh), rate(r.Register), memory, rate(r.Start), cell(r.Notes))
	}
	return b.String()
}

func rate(v float64) string {
	switch {
	case v == 0:
		return "–"
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func fraction(v float64) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.3f", v)
}
