package main

import (
	"context"
	"errors"
	"math/rand/v2" //nolint:depguard // a run is repeated with its seed
	"os"
	"path/filepath"
	"time"
)

const workers = 6

// site is a server on a database of its own and the people who use it.
type site struct {
	server *server
	crowd  *crowd
	tally  *tally
}

func (tt *torture) newSite(ctx context.Context, t *tally, dir string, environ ...string) (*site, error) {
	srv, err := newServer(tt.program, dir, environ...)
	if err != nil {
		return nil, err
	}
	s := &site{server: srv, tally: t, crowd: &crowd{ledger: &ledger{wire: newWire(srv.addr, t)}}}
	if err := srv.start(ctx); err != nil {
		return nil, errors.Join(err, srv.kill())
	}
	return s, nil
}

// end kills the server, and tells what it said if that is of use.
func (s *site) end() error {
	if s.tally.bad() {
		text, err := os.ReadFile(s.server.dir + ".log")
		if err == nil {
			s.tally.notes = append(s.tally.notes, "the server said last: "+string(tail(text)))
		}
	}
	return s.server.kill()
}

// killAtRandom kills the server under load.
func (tt *torture) killAtRandom(ctx context.Context, t *tally) (err error) {
	s, err := tt.newSite(ctx, t, filepath.Join(tt.dir, t.fault))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	random := rand.New(rand.NewPCG(tt.seed, 0))
	for t.points = range tt.count(12, 300) {
		working, enough := context.WithCancel(ctx)
		wait := s.crowd.drive(working, tt.seed+uint64(t.points), workers)
		pause(ctx, time.Duration(20+random.IntN(400))*time.Millisecond)
		err := s.server.kill()
		enough()
		wait()
		if err := errors.Join(err, ctx.Err(), s.server.start(ctx)); err != nil {
			return err
		}
		s.crowd.compare(ctx, false)
	}
	t.points++
	s.crowd.compare(ctx, true)
	return nil
}
