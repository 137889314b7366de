package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
)

// injected is a system call that fails with an errno.
type injected struct {
	calls, errno string
	most         int // of the calls of one operation
}

// allInjected are tried at each call of each operation, once and from there on.
var allInjected = []injected{ //nolint:gochecknoglobals // constant
	{"pwrite64", "EIO", 16},
	{"pwrite64", "ENOSPC", 16},
	{"pwrite64", "EROFS", 2},
	{"fsync,fdatasync", "EIO", 3},
	{"fsync,fdatasync", "ENOSPC", 3},
	{"openat", "EMFILE", 2},
	{"openat", "EIO", 2},
	{"accept4", "EMFILE", 3},
	{"pread64", "EIO", 4},
}

// failure is one call of one operation that fails, or all from there on.
type failure struct {
	injected

	op   operation
	when string // as strace counts
}

func failures() (all []failure) {
	for _, in := range allInjected {
		for _, op := range everyOperation {
			for n := range in.most {
				all = append(all, failure{in, op, strconv.Itoa(n + 1)}, failure{in, op, strconv.Itoa(n+1) + "+"})
			}
		}
	}
	return all
}

// failCalls makes system calls of a server fail that lives on, and is well again
// without being started.
func (tt *torture) failCalls(ctx context.Context, t *tally) (err error) {
	if err := strace(ctx); err != nil {
		return err
	}
	s, err := tt.newSite(ctx, t, filepath.Join(tt.dir, t.fault), "GOMAXPROCS=1")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	s.crowd.ledger.wire.whole = true
	hurt := 0
	for i, p := range failures() {
		if i%tt.count(11, 1) != 0 {
			continue
		}
		met, err := s.failOne(ctx, p.injected, p.op, p.when)
		if err != nil {
			return fmt.Errorf("%s %s at %s of %s: %w", p.calls, p.errno, p.when, p.op, err)
		}
		t.points++
		if met {
			hurt++
		}
	}
	s.crowd.compare(ctx, true)
	t.remark = fmt.Sprintf("%d of the points met a call", hurt)
	return nil
}

// failOne does op while the calls fail, and says whether any did.
func (s *site) failOne(ctx context.Context, in injected, op operation, when string) (bool, error) {
	p, a := s.prepare(ctx, op)
	if in.calls == "accept4" {
		s.crowd.ledger.wire.client.CloseIdleConnections()
	}
	tr, err := attach(s.server.pid(), s.server.dir+".strace", in.calls, "error="+in.errno+":when="+when)
	if err != nil {
		return false, errors.Join(err, s.server.ending())
	}
	if in.calls == "accept4" {
		defer tr.detachAfter(detachSoon).Stop() // nobody is answered as long as nothing is accepted
	}
	s.crowd.ledger.perform(ctx, p, a)
	if err := tr.detach(patience); err != nil {
		return false, err
	}
	met, err := tr.met()
	if err != nil {
		return false, err
	}
	if s.server.dead() {
		s.tally.add(odd, "%s %s at %s of %s: the server died", in.calls, in.errno, when, op)
		if err := s.server.start(ctx); err != nil {
			return false, err
		}
	}
	s.crowd.compare(ctx, false)
	return met, ctx.Err()
}
