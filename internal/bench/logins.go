package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"time"
)

const (
	// waiting is how many clients log in at once in a storm, more than any server hashes.
	waiting = 64
	// verifiedRate is how many verified requests a second go on beside it.
	verifiedRate = 500
	hashMiB      = 19
	// hashing is how many times as long as others the rounds are in which hashes are made: a
	// process's first ones cost more, so that many short turns would flatter the server.
	hashing = 3
)

func loginRequest() same { return same{request("POST", "/v1/login", login), 200} }

// logins compares logins with the hash alone, as many at once as the server makes.
func (b *bench) logins(ctx context.Context) error {
	permits := permitsOn(b.cores.server)
	return with(func() (*child, error) { return b.startJotgate(ctx, "logins", noLimits) }, func(c *child) error {
		if _, err := signIn(c.addr, 1); err != nil {
			return err
		}
		var bare []float64
		ours := &measured{addr: c.addr, asks: times(8*permits, loginRequest())}
		for range b.rounds {
			rate, err := rateOf(ctx, b.cores.server, hashing*b.length, "hash", strconv.Itoa(permits))
			if err != nil {
				return err
			}
			bare = append(bare, rate)
			if err := ours.round(ctx, hashing*b.length); err != nil {
				return err
			}
		}
		b.row(fmt.Sprintf("argon2id alone, 19 MiB, t=2, %d at once", permits), fmt.Sprintf("%.1f/s", median(bare)))
		b.add("POST /v1/login", fmt.Sprintf("%.1f/s, p50 %.0f ms", median(ours.rates), median(ours.p50s)), shares(ours.rates, bare), "of argon2id alone", atLeast(0.95))
		return nil
	})
}

// permitsOn returns how many hashes at once jotgate makes on these cores by default.
func permitsOn(cpus []int) int {
	if cpus == nil {
		return runtime.NumCPU()
	}
	return len(cpus)
}

// storms measures verified requests beside as many logins as come, on one core and on two.
func (b *bench) storms(ctx context.Context) error {
	if err := b.alone(ctx); err != nil {
		return err
	}
	if err := b.storm(ctx, "one core", b.cores.server, 5); err != nil {
		return err
	}
	if len(b.cores.all) < 2 {
		b.row("two cores", "not measured: the server cannot be bound to two cores")
		return nil
	}
	return b.storm(ctx, "two cores", b.cores.all[:2], 30)
}

// alone tells what as many requests take where nothing else is done. One that comes by
// itself wakes the server, and costs more than one of many.
func (b *bench) alone(ctx context.Context) error {
	var c *child
	length := hashing * b.length
	if err := with(func() (_ *child, err error) { c, err = b.startHello(ctx); return c, err }, func(c *child) error {
		_, err := pace(ctx, c.addr, verifiedRate, length, times(connections, bareRequest()))
		return err
	}); err != nil {
		return err
	}
	took := c.cmd.ProcessState.UserTime() + c.cmd.ProcessState.SystemTime()
	b.row(fmt.Sprintf("%d requests/s to the bare handler, nothing beside them", verifiedRate),
		fmt.Sprintf("%.0f %% of a core", 100*took.Seconds()/length.Seconds()))
	return nil
}

// stormRounds is what the rounds of a storm came to.
type stormRounds struct {
	p50, p99, most, logins, bare []float64
	idle, peak                   float64 // MiB
}

func (b *bench) storm(ctx context.Context, where string, cpus []int, bound float64) error {
	r := &stormRounds{}
	start := func() (*child, error) { return b.startJotgateOn(ctx, cpus, "storm", noLimits) }
	permits := permitsOn(cpus)
	if err := with(start, func(c *child) (err error) {
		time.Sleep(settling)
		if r.idle, err = c.memory("VmRSS"); err != nil {
			return err
		}
		t, err := signIn(c.addr, 1)
		if err != nil {
			return err
		}
		length := hashing * b.length
		for range b.rounds {
			rate, err := rateOf(ctx, cpus, length, "hash", strconv.Itoa(permits))
			if err != nil {
				return err
			}
			r.bare = append(r.bare, rate)
			if err := r.round(ctx, c, length, t[0].forwardAuth()); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	b.add(fmt.Sprintf("%d verified requests/s beside a storm of logins, %s", verifiedRate, where),
		fmt.Sprintf("p50 %.1f ms, p99 %.1f ms, most %.0f ms", median(r.p50), median(r.p99), median(r.most)), r.p99, milliseconds, atMost(bound))
	b.add("logins meanwhile, "+where, fmt.Sprintf("%.1f/s", median(r.logins)), shares(r.logins, r.bare), "of argon2id alone", atLeast(0.95))
	b.addMemory("memory above idle at most, "+where, fmt.Sprintf("%.0f MiB idle, %.0f MiB at most", r.idle, r.peak),
		[]float64{r.peak - r.idle}, float64(2*permits*hashMiB+64))
	return nil
}

// round keeps the login queue full for a while and sends verified requests meanwhile.
func (r *stormRounds) round(ctx context.Context, c *child, length time.Duration, verified same) error {
	beside, stop := context.WithCancel(ctx)
	defer stop()
	logins := &measured{addr: c.addr, asks: times(waiting, loginRequest())}
	stormed := make(chan error, 1)
	go func() { stormed <- logins.round(beside, length+settling) }()
	held := make(chan float64, 1)
	go func() { held <- c.mostOf(beside) }()
	time.Sleep(settling) // the queue fills
	l, err := pace(ctx, c.addr, verifiedRate, length, times(connections, verified))
	if err != nil {
		stop()
		return errors.Join(err, <-stormed)
	}
	r.p50, r.p99, r.most = append(r.p50, ms(l.p50)), append(r.p99, ms(l.p99)), append(r.most, ms(l.most))
	err = <-stormed
	stop()
	r.peak = max(r.peak, <-held)
	r.logins = append(r.logins, logins.rates...)
	return err
}
