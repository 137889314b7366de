package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/crypto/argon2"

	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/pkg/bearer"
)

const (
	connections = 64
	sessions    = 32
	user        = `{"username":"ada","password":"correct horse battery staple"}`
	login       = `{"identifier":"ada","password":"correct horse battery staple"}`
)

// signIn registers the user, if need be, and returns n logins.
func signIn(addr string, n int) ([]tokens, error) {
	if status, body, err := once(addr, request("POST", "/v1/users", user)); err != nil || status != 201 && status != 409 {
		return nil, errors.Join(err, fmt.Errorf("register: %d %s", status, body))
	}
	all := make([]tokens, n)
	for i := range all {
		status, body, err := once(addr, request("POST", "/v1/login", login))
		if err != nil || status != 200 {
			return nil, errors.Join(err, fmt.Errorf("login: %d %s", status, body))
		}
		if err := json.Unmarshal(body, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Session struct {
		ID string `json:"id"`
	} `json:"session"`
}

// with starts a server, hands it to f, and stops it.
func with(start func() (*child, error), f func(*child) error) (err error) {
	c, err := start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	return f(c)
}

// measured is what several rounds of one kind of request came to.
type measured struct {
	name     string
	addr     string
	ask      same
	rates    []float64
	p50, p99 []time.Duration
}

func (m *measured) round(ctx context.Context, length time.Duration) error {
	l, err := fire(ctx, m.addr, length, times(connections, m.ask))
	if err != nil {
		return fmt.Errorf("%s: %w", m.name, err)
	}
	m.rates, m.p50, m.p99 = append(m.rates, l.rate), append(m.p50, l.p50), append(m.p99, l.p99)
	return nil
}

// requests compares a verified request with a bare one, round by round.
func (b *bench) requests(ctx context.Context) error {
	return with(func() (*child, error) { return b.startHello(ctx) }, func(floor *child) error {
		return with(func() (*child, error) { return b.startJotgate(ctx, "requests") }, func(c *child) error {
			t, err := signIn(c.addr, 1)
			if err != nil {
				return err
			}
			auth := "Authorization: Bearer " + t[0].Access
			return b.compare(ctx, []*measured{
				{name: "bare Gin JSON handler", addr: floor.addr, ask: same{request("GET", "/healthz", ""), 200}},
				{name: "GET /v1/forward-auth", addr: c.addr, ask: same{request("GET", "/v1/forward-auth", "", auth), 204}},
				{name: "GET /v1/me", addr: c.addr, ask: same{request("GET", "/v1/me", "", auth), 200}},
			})
		})
	})
}

// compare measures all in turn, as often as there are rounds; the first is the floor.
func (b *bench) compare(ctx context.Context, all []*measured) error {
	for range b.rounds {
		for _, m := range all {
			if err := m.round(ctx, b.length); err != nil {
				return err
			}
		}
	}
	floor := median(all[0].rates)
	for _, m := range all {
		b.row(m.name, fmt.Sprintf("%.0f/s, p50 %.1f ms, p99 %.1f ms", median(m.rates), ms(median(m.p50)), ms(median(m.p99))),
			fmt.Sprintf("%.2f of the bare handler", median(m.rates)/floor))
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// firstSeen compares the verification of one token with golang-jwt's alone.
func (b *bench) firstSeen(ctx context.Context) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": "i", "aud": "a", "sub": "s", "sid": "s", "client_id": "c", "jti": "j", "mode": "bearer", "scope": "", "amr": []string{"pwd"},
		"roles": []string{}, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "auth_time": time.Now().Unix(),
	})
	t.Header["typ"], t.Header["kid"] = "at+jwt", "k"
	text, err := t.SignedString(key)
	if err != nil {
		return err
	}
	v, err := bearer.New(ctx, bearer.Config{Issuer: "i", Audience: "a", Keys: func(context.Context, string) (bearer.Key, error) {
		return bearer.Key{Algorithm: "ES256", Public: key.Public()}, nil
	}})
	if err != nil {
		return err
	}
	var bare, ours []float64
	for range b.rounds {
		bare = append(bare, nanoseconds(func() error {
			_, err := jwt.Parse(text, func(*jwt.Token) (any, error) { return key.Public(), nil })
			return err
		}))
		ours = append(ours, nanoseconds(func() error { _, err := v.Verify(ctx, text); return err }))
	}
	b.row("golang-jwt, verify ES256", fmt.Sprintf("%.0f µs", median(bare)/1000), "")
	b.row("pkg/bearer, verify ES256", fmt.Sprintf("%.0f µs", median(ours)/1000), fmt.Sprintf("%.2f times golang-jwt alone", median(ours)/median(bare)))
	return nil
}

func nanoseconds(f func() error) float64 {
	r := testing.Benchmark(func(tb *testing.B) {
		for tb.Loop() {
			if err := f(); err != nil {
				tb.Fatal(err)
			}
		}
	})
	return float64(r.NsPerOp())
}

// logins compares logins with the hash alone: one at a time, both.
func (b *bench) logins(ctx context.Context) error {
	var bare, ours []float64
	err := with(func() (*child, error) { return b.startJotgate(ctx, "logins") }, func(c *child) error {
		if _, err := signIn(c.addr, 1); err != nil {
			return err
		}
		for range b.rounds {
			n, begin := 0, time.Now()
			for time.Since(begin) < b.length {
				argon2.IDKey([]byte("correct horse battery staple"), []byte("0123456789abcdef"), 2, 19*1024, 1, 32)
				n++
			}
			bare = append(bare, float64(n)/time.Since(begin).Seconds())
			l, err := fire(ctx, c.addr, b.length, times(8, same{request("POST", "/v1/login", login), 200}))
			if err != nil {
				return err
			}
			ours = append(ours, l.rate)
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.row("argon2id alone, 19 MiB, t=2, one at a time", fmt.Sprintf("%.1f/s", median(bare)), "")
	b.row("POST /v1/login, one hash at a time", fmt.Sprintf("%.1f/s", median(ours)), fmt.Sprintf("%.2f of argon2id alone", median(ours)/median(bare)))
	return nil
}

// rotating is a client that refreshes, each time with the token that it got.
type rotating struct{ token string }

func (r *rotating) next() []byte {
	return request("POST", "/v1/refresh", `{"refresh_token":"`+r.token+`"}`)
}

func (r *rotating) got(status int, body []byte) error {
	var t tokens
	if err := json.Unmarshal(body, &t); err != nil || status != 200 {
		return fmt.Errorf("refresh: %d %s", status, body)
	}
	r.token = t.Refresh
	return nil
}

func (b *bench) refreshes(ctx context.Context, what string, environ ...string) error {
	var rates []float64
	var p99 []time.Duration
	err := with(func() (*child, error) { return b.startJotgate(ctx, what, environ...) }, func(c *child) error {
		signedIn, err := signIn(c.addr, sessions)
		if err != nil {
			return err
		}
		clients := make([]ask, sessions)
		for i, t := range signedIn {
			clients[i] = &rotating{t.Refresh}
		}
		for range b.rounds {
			l, err := fire(ctx, c.addr, b.length, clients)
			if err != nil {
				return err
			}
			rates, p99 = append(rates, l.rate), append(p99, l.p99)
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.row("POST /v1/refresh, 32 sessions, "+what, fmt.Sprintf("%.0f/s, p99 %.1f ms", median(rates), ms(median(p99))), "")
	return nil
}

func (b *bench) refreshesOnSQLite(ctx context.Context) error { return b.refreshes(ctx, "SQLite") }

func (b *bench) refreshesOnPostgres(ctx context.Context) (err error) {
	url, stop, err := pgtest.Start()
	if err != nil {
		b.row("POST /v1/refresh, 32 sessions, PostgreSQL", "not measured", err.Error())
		return nil
	}
	defer func() { err = errors.Join(err, stop()) }()
	return b.refreshes(ctx, "PostgreSQL", "JOTGATE_DATABASE_URL="+url, "JOTGATE_MASTER_KEY=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
}

// footprint measures the start on a database that is there, the memory of a
// server that nobody asks, and the program's size.
func (b *bench) footprint(ctx context.Context) error {
	var starts []time.Duration
	var memory float64
	for range b.rounds {
		begin := time.Now()
		if err := with(func() (*child, error) { return b.startJotgate(ctx, "requests") }, func(c *child) (err error) {
			starts = append(starts, time.Since(begin))
			time.Sleep(300 * time.Millisecond)
			memory, err = c.resident()
			return err
		}); err != nil {
			return err
		}
	}
	info, err := os.Stat(b.program)
	if err != nil {
		return err
	}
	b.row("start on an existing database, until it listens", fmt.Sprintf("%.0f ms", ms(median(starts))), "")
	b.row("resident memory, idle", fmt.Sprintf("%.0f MiB", memory), "")
	b.row("program", fmt.Sprintf("%.1f MB", float64(info.Size())/1e6), "")
	return nil
}
