package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// everyOperation is what is done under a tracer, one at a time.
var everyOperation = []operation{register, signIn, refresh, logout, change, endOthers} //nolint:gochecknoglobals // constant

// mostWrites bounds the writes of one operation that are looked for.
const mostWrites = 40

// killAtWrite kills the server as it begins each write of each operation.
func (tt *torture) killAtWrite(ctx context.Context, t *tally) (err error) {
	if err := strace(ctx); err != nil {
		return err
	}
	// With one processor the goroutine that writes keeps its thread, and strace
	// counts by thread.
	s, err := tt.newSite(ctx, t, filepath.Join(tt.dir, t.fault), "GOMAXPROCS=1")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	reached := 0
	for i, op := range everyOperation {
		// The short form takes every fifth, and each operation begins elsewhere.
		step := tt.count(5, 1)
		for n := 1 + i%step; n <= mostWrites; n += step {
			killed, err := s.killOne(ctx, op, n)
			if err != nil {
				return fmt.Errorf("%s at write %d: %w", op, n, err)
			}
			if !killed {
				break
			}
			t.points++
			reached = max(reached, n)
		}
	}
	s.crowd.compare(ctx, true)
	t.remark = fmt.Sprintf("up to write %d", reached)
	return nil
}

// killOne does op while the server dies at its nth write, and says whether it did.
func (s *site) killOne(ctx context.Context, op operation, n int) (bool, error) {
	p, a := s.prepare(ctx, op)
	tr, err := attach(s.server.pid(), s.server.dir+".strace", written, fmt.Sprintf("signal=KILL:when=%d", n))
	if err != nil {
		return false, err
	}
	s.crowd.ledger.perform(ctx, p, a)
	killed, within := p.pending != nil, patience
	if killed {
		within = momentForDead
	}
	if err := tr.detach(within); err != nil {
		return false, err
	}
	if killed {
		if err := errors.Join(s.server.kill(), s.server.start(ctx)); err != nil {
			return true, err
		}
	}
	s.crowd.compare(ctx, false)
	return killed, ctx.Err()
}

// prepare makes a person with what op needs: two sessions, one of them rotated.
func (s *site) prepare(ctx context.Context, op operation) (*person, *act) {
	p := newPerson()
	s.crowd.join(p)
	if op == register {
		return p, &act{op: register}
	}
	l := s.crowd.ledger
	for _, first := range []operation{register, signIn, signIn} {
		l.perform(ctx, p, &act{op: first})
		l.settle(ctx, p)
	}
	if len(p.devices) == 0 {
		return p, &act{op: signIn} // has been reported
	}
	l.perform(ctx, p, &act{op: refresh, device: p.devices[0], key: newKey()})
	l.settle(ctx, p)
	return p, newAct(op, p.devices[0])
}
