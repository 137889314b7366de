package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"

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

func (t tokens) header() string { return "Authorization: Bearer " + t.Access }

func bareRequest() same { return same{request("GET", "/healthz", ""), 200} }

func (t tokens) forwardAuth() same {
	return same{request("GET", "/v1/forward-auth", "", t.header()), 204}
}

func (t tokens) me() same { return same{request("GET", "/v1/me", "", t.header()), 200} }

// measured is what several rounds of one kind of request came to.
type measured struct {
	addr             string
	asks             []ask
	rates, p50s, p99 []float64
}

func (m *measured) round(ctx context.Context, length time.Duration) error {
	l, err := fire(ctx, m.addr, length, m.asks)
	if err != nil {
		return err
	}
	m.note(l)
	return nil
}

func (m *measured) note(l load) {
	m.rates, m.p50s, m.p99 = append(m.rates, l.rate), append(m.p50s, ms(l.p50)), append(m.p99, ms(l.p99))
}

// perRound is how often those that are compared take turns within a round: a machine that
// others share may be twice as fast in two seconds as in the next two.
const perRound = 10

// compare does rounds of each of them, in turns.
func compare(ctx context.Context, rounds int, length time.Duration, all ...*measured) error {
	for range rounds {
		loads := make([]load, len(all))
		for range perRound {
			for i, m := range all {
				l, err := fire(ctx, m.addr, length/perRound, m.asks)
				if err != nil {
					return err
				}
				loads[i] = loads[i].with(l)
			}
		}
		for i, m := range all {
			m.note(loads[i])
		}
	}
	return nil
}

func (m *measured) String() string {
	return fmt.Sprintf("%.0f/s, p50 %.1f ms, p99 %.1f ms", median(m.rates), median(m.p50s), median(m.p99))
}

// requests compares a verified request with a bare one, round by round.
func (b *bench) requests(ctx context.Context) error {
	return with(func() (*child, error) { return b.startHello(ctx) }, func(floor *child) error {
		return with(func() (*child, error) { return b.startJotgate(ctx, "requests") }, func(c *child) error {
			t, err := signIn(c.addr, 1)
			if err != nil {
				return err
			}
			bare := &measured{addr: floor.addr, asks: times(connections, same{request("GET", "/healthz", "", t[0].header()), 200})}
			auth := &measured{addr: c.addr, asks: times(connections, t[0].forwardAuth())}
			me := &measured{addr: c.addr, asks: times(connections, t[0].me())}
			if err := compare(ctx, b.rounds, b.length, bare, auth, me); err != nil {
				return err
			}
			b.row("bare Gin JSON handler", bare.String())
			b.add("GET /v1/forward-auth, valid token", auth.String(), shares(auth.rates, bare.rates), "of the bare handler", atLeast(0.85))
			b.add("GET /v1/forward-auth, p99", fmt.Sprintf("%.1f ms", median(auth.p99)), shares(auth.p99, bare.p99), "of the bare handler's", atMost(1.5))
			b.add("GET /v1/me, valid token", me.String(), shares(me.rates, bare.rates), "of the bare handler", atLeast(0.35))
			return nil
		})
	})
}

// fresh is how many new tokens a round verifies.
const fresh = 2000

// firstSeen compares the verification of tokens that are new with golang-jwt's alone.
func (b *bench) firstSeen(ctx context.Context) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
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
	for round := range b.rounds {
		texts := make([]string, fresh)
		for i := range texts {
			if texts[i], err = accessToken(key, strconv.Itoa(round*fresh+i)); err != nil {
				return err
			}
		}
		one, err := each(texts, func(text string) error {
			_, err := jwt.Parse(text, func(*jwt.Token) (any, error) { return key.Public(), nil })
			return err
		})
		if err != nil {
			return err
		}
		other, err := each(texts, func(text string) error { _, err := v.Verify(ctx, text); return err })
		if err != nil {
			return err
		}
		bare, ours = append(bare, one), append(ours, other)
	}
	b.row("golang-jwt, verify ES256", fmt.Sprintf("%.0f µs", median(bare)))
	b.add("pkg/bearer, a token seen for the first time", fmt.Sprintf("%.0f µs", median(ours)), shares(ours, bare), "times golang-jwt alone", atMost(1.3))
	return nil
}

// each returns how many microseconds f takes for one of them.
func each(texts []string, f func(string) error) (float64, error) {
	begin := time.Now()
	for _, text := range texts {
		if err := f(text); err != nil {
			return 0, err
		}
	}
	return float64(time.Since(begin).Microseconds()) / float64(len(texts)), nil
}
