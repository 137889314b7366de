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
	goodTokens = 4000
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
	rand.Read(signature)
	t := tokens{Access: w.signed + "." + base64.RawURLEncoding.EncodeToString(signature)}
	return t.forwardAuth().next()
}

func (invalid) got(status int, body []byte) error { return same{status: 401}.got(status, body) }

// flood compares the requests of many good tokens before and after a flood of
// invalid ones. The server begins each round anew and remembers nothing, which shows
// what a token costs that was forgotten.
func (b *bench) flood(ctx context.Context) error {
	start := func() (*child, error) { return b.startJotgate(ctx, "flood", noLimits, cheapMemory, cheapPasses) }
	r := &floodRounds{bad: badTokens}
	if b.quick {
		r.bad /= 10
	}
	if err := with(start, func(c *child) error { return r.signIn(c.addr) }); err != nil {
		return err
	}
	for range b.rounds {
		if err := with(start, func(c *child) error { r.addr = c.addr; return r.round(ctx) }); err != nil {
			return err
		}
	}
	b.row(fmt.Sprintf("%d good tokens, before a flood", goodTokens), fmt.Sprintf("%.0f/s", median(r.before)))
	b.row(fmt.Sprintf("good tokens beside a flood of %d invalid ones", r.bad), fmt.Sprintf("%.0f/s, and %.0f invalid ones/s", median(r.during), median(r.flooded)))
	b.add("good tokens after the flood", fmt.Sprintf("%.0f/s", median(r.after)), shares(r.after, r.before), "of before", atLeast(0.9))
	b.add("good tokens forgotten in the flood", fmt.Sprintf("once each: new %.0f/s, known %.0f/s, after the flood %.0f/s", median(r.unknown), median(r.known), median(r.flooding)),
		r.forgotten(), "of all", atMost(0.1))
	return nil
}

type floodRounds struct {
	addr, signed                   string
	good                           []same
	bad                            int
	before, during, flooded, after []float64
	unknown, known, flooding       []float64 // rates of asking once with each token
}

func (r *floodRounds) signIn(addr string) error {
	signedIn, err := signIn(addr, goodTokens)
	if err != nil {
		return err
	}
	for _, t := range signedIn {
		r.good = append(r.good, t.forwardAuth())
	}
	r.signed = signedIn[0].Access[:strings.LastIndexByte(signedIn[0].Access, '.')]
	return nil
}

// forgotten returns what share of the tokens had to be verified anew, from how much
// longer they took together.
func (r *floodRounds) forgotten() []float64 {
	all := make([]float64, len(r.known))
	for i := range all {
		all[i] = max(0, (1/r.flooding[i]-1/r.known[i])/(1/r.unknown[i]-1/r.known[i]))
	}
	return all
}

func (r *floodRounds) round(ctx context.Context) error {
	for _, step := range []func() error{
		func() error { return r.pass(ctx, 1, &r.unknown) },
		func() error { return r.pass(ctx, passes, &r.before) },
		func() error { return r.pass(ctx, 1, &r.known) },
		func() error { return r.flood(ctx) },
		func() error { return r.pass(ctx, 1, &r.flooding) },
		func() error { return r.pass(ctx, passes, &r.after) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// pass notes the rate of n requests with each good token. One that is of no interest
// is asked with for a moment before: the first answers of a server are slower.
func (r *floodRounds) pass(ctx context.Context, n int, rates *[]float64) error {
	if _, err := fire(ctx, r.addr, settling, times(connections/2, r.good[0])); err != nil {
		return err
	}
	l, err := pass(ctx, r.addr, r.good, n)
	if err != nil {
		return err
	}
	*rates = append(*rates, l.rate)
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
