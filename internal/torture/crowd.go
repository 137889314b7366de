package main

import (
	"context"
	"math/rand/v2" //nolint:depguard // a run is repeated with its seed
	"sync"
	"time"
)

// crowd is people whom several workers act for.
type crowd struct {
	ledger *ledger
	only   []operation // what they do, if it is not everything
	mu     sync.Mutex
	people []*person
	fresh  []*person // since the last comparison
}

const (
	// most is how many people a worker acts for.
	most = 4
	// mostSessions is how many sessions a person opens by choice; who has none that lives
	// opens another.
	mostSessions = 2 * most
)

func (c *crowd) join(p *person) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.people, c.fresh = append(c.people, p), append(c.fresh, p)
}

// drive starts workers that act until ctx ends or nobody has a known state any
// more, as after the server's death. The function that it returns waits for them.
func (c *crowd) drive(ctx context.Context, seed uint64, workers int) func() {
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() { c.work(ctx, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	return all.Wait
}

func (c *crowd) work(ctx context.Context, random *rand.Rand) {
	var own []*person
	// What a worker began it finishes: a request is cut by the fault, not by us.
	steady := context.WithoutCancel(ctx)
	for ctx.Err() == nil {
		var able []*person
		for _, p := range own {
			if p.pending == nil {
				able = append(able, p)
			}
		}
		switch {
		case len(own) < most:
			p := newPerson()
			own = append(own, p)
			c.join(p)
			c.ledger.perform(steady, p, &act{op: register})
		case len(able) == 0:
			return
		default:
			p := able[random.IntN(len(able))]
			c.ledger.perform(steady, p, c.choose(p, random))
		}
	}
}

// choose takes an act that p can do.
func (c *crowd) choose(p *person, random *rand.Rand) *act {
	able := operations
	if c.only != nil {
		able = c.only
	}
	live := p.live()
	op := able[random.IntN(len(able))]
	if !p.registered {
		return &act{op: register, again: true}
	}
	if len(live) == 0 || op == signIn && len(p.devices) < mostSessions {
		return &act{op: signIn}
	}
	if op == signIn {
		op = refresh
	}
	return newAct(op, live[random.IntN(len(live))])
}

func newAct(op operation, d *device) *act {
	return &act{op: op, device: d, key: newKey(), password: newPassword()}
}

// compare looks at everybody who is new since the last time, or at all.
func (c *crowd) compare(ctx context.Context, everybody bool) {
	people := c.fresh
	if everybody {
		people = c.people
	}
	queue := make(chan *person)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for p := range queue {
				c.ledger.compare(ctx, p)
			}
		})
	}
	for _, p := range people {
		queue <- p
	}
	close(queue)
	all.Wait()
	c.fresh = nil
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
