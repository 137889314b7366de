package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// pace has workers, each on a connection of its own, send requests at a fixed rate,
// whether the ones before are answered or not, and counts how long each took from when
// it was to be sent: a server that keeps the sender waiting is slow to all that were due
// meanwhile.
func pace(ctx context.Context, addr string, rate int, length time.Duration, workers []ask) (load, error) {
	n := int(length.Seconds() * float64(rate))
	due := make(chan time.Time, n) // sending never waits for a connection
	took := make([][]time.Duration, len(workers))
	errs := make([]error, len(workers))
	var wg sync.WaitGroup
	for i, w := range workers {
		wg.Go(func() { took[i], errs[i] = keepUp(addr, due, w) })
	}
	begin := time.Now()
	for i := range n {
		at := begin.Add(time.Duration(i) * time.Second / time.Duration(rate))
		if ctx.Err() != nil {
			break
		}
		time.Sleep(time.Until(at))
		due <- at
	}
	close(due)
	wg.Wait()
	elapsed := time.Since(begin)
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return load{}, err
	}
	var all []time.Duration
	for _, some := range took {
		all = append(all, some...)
	}
	return summary(all).within(elapsed), nil
}

// keepUp sends what is due over one connection until nothing more will be.
func keepUp(addr string, due <-chan time.Time, w ask) (took []time.Duration, err error) {
	c := &client{addr: addr}
	defer func() { err = errors.Join(err, c.close()) }()
	for at := range due {
		status, body, err := c.do(w.next())
		if err != nil {
			return nil, err
		}
		took = append(took, time.Since(at))
		if err := w.got(status, body); err != nil {
			return nil, err
		}
	}
	return took, nil
}
