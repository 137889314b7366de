package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
)

const (
	goodTokens = 1000
	badTokens  = 100_000
	// passes through the good tokens make one rate.
	passes = 10
)

// turns is a worker that asks once with each of its tokens, some times over.
type turns struct {
	asks []same
	left int
}

func (t *turns) next() []byte {
	if t.left == 0 {
		return nil
	}
	t.left--
	return t.asks[t.left%len(t.asks)].next()
}

func (t *turns) got(status int, body []byte) error { return t.asks[0].got(status, body) }

// pass has the good tokens presented n times each, split among half the connections.
func pass(ctx context.Context, addr string, good []same, n int) (load, error) {
	const workers = connections / 2
	var all []ask
	for i := range workers {
		mine := good[i*len(good)/workers : (i+1)*len(good)/workers]
		all = append(all, &turns{asks: mine, left: n * len(mine)})
	}
	return drive(ctx, addr, all)
}

// invalid is a worker of those that present together so many tokens, each with a
// signature of its own that is wrong.
type invalid struct {
	signed string // what the signature would be of
	left   *atomic.Int64
}

func (w invalid) next() []byte {
	if w.left.Add(-1) < 0 {
		return nil
	}
	signature := make([]byte, 64)
	rand.Read(signature) //nolint:errcheck // never fails
	t := tokens{Access: w.signed + "." + base64.RawURLEncoding.EncodeToString(signature)}
	return t.forwardAuth().next()
}

func (invalid) got(status int, body []byte) error { return same{status: 401}.got(status, body) }

// flood compares the requests of many good tokens before and after a flood of
// invalid ones. If these took the place of good ones in what is remembered, the first
// pass after it would cost a signature each.
func (b *bench) flood(ctx context.Context) error {
	start := func() (*child, error) { return b.startJotgate(ctx, "flood", noLimits, cheapMemory, cheapPasses) }
	return with(start, func(c *child) error {
		signedIn, err := signIn(c.addr, goodTokens)
		if err != nil {
			return err
		}
		var good []same
		for _, t := range signedIn {
			good = append(good, t.forwardAuth())
		}
		signed := signedIn[0].Access[:strings.LastIndexByte(signedIn[0].Access, '.')]
		r := &floodRounds{addr: c.addr, good: good, signed: signed, bad: badTokens}
		if b.quick {
			r.bad /= 10
		}
		for range b.rounds {
			if err := r.round(ctx); err != nil {
				return err
			}
		}
		b.row(fmt.Sprintf("%d good tokens, before", goodTokens), fmt.Sprintf("%.0f/s", median(r.before)))
		b.row(fmt.Sprintf("the same beside a flood of %d invalid ones", r.bad), fmt.Sprintf("%.0f/s, and %.0f invalid ones/s", median(r.during), median(r.flooded)))
		b.add("the same after the flood", fmt.Sprintf("%.0f/s", median(r.after)), shares(r.after, r.before), "of before", atLeast(0.9))
		b.add("the first time after the flood", fmt.Sprintf("%.0f/s", median(r.firstAfter)), shares(r.firstAfter, r.firstBefore), "of one time before", atLeast(0.9))
		return nil
	})
}

type floodRounds struct {
	addr, signed                                            string
	good                                                    []same
	bad                                                     int
	firstBefore, before, during, flooded, firstAfter, after []float64
}

func (r *floodRounds) round(ctx context.Context) error {
	if _, err := pass(ctx, r.addr, r.good, 1); err != nil { // all are remembered from here on
		return err
	}
	steps := []struct {
		passes int
		rates  *[]float64
	}{{passes, &r.before}, {1, &r.firstBefore}, {0, nil}, {1, &r.firstAfter}, {passes, &r.after}}
	for _, s := range steps {
		if s.passes == 0 {
			if err := r.flood(ctx); err != nil {
				return err
			}
			continue
		}
		l, err := pass(ctx, r.addr, r.good, s.passes)
		if err != nil {
			return err
		}
		*s.rates = append(*s.rates, l.rate)
	}
	return nil
}

// flood presents the invalid tokens on half the connections, and good ones on the
// others for as long as that takes.
func (r *floodRounds) flood(ctx context.Context) error {
	var left atomic.Int64
	left.Store(int64(r.bad))
	beside, stop := context.WithCancel(ctx)
	defer stop()
	type result struct {
		l   load
		err error
	}
	good := make(chan result, 1)
	go func() {
		l, err := drive(beside, r.addr, times(connections/2, r.good[0]))
		good <- result{l, err}
	}()
	bad, err := drive(ctx, r.addr, times(connections/2, invalid{r.signed, &left}))
	stop()
	g := <-good
	if err != nil {
		return err
	}
	r.during, r.flooded = append(r.during, g.l.rate), append(r.flooded, bad.rate)
	return g.err
}
