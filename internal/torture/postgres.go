package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2" //nolint:depguard // a run is repeated with its seed
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jotgate/jotgate/internal/pgtest"
)

// hurtPostgres kills a backend of PostgreSQL, which then throws all connections
// away and recovers from its log, and stops all of it for three seconds, in turn.
func (tt *torture) hurtPostgres(ctx context.Context, t *tally) (err error) {
	url, stop, err := pgtest.Start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	key := filepath.Join(tt.dir, "master.key")
	if err := os.WriteFile(key, []byte(base64.StdEncoding.EncodeToString([]byte((newKey()+newKey())))+"\n"), 0o600); err != nil {
		return err
	}
	s, err := tt.newSite(ctx, t, filepath.Join(tt.dir, t.fault), "JOTGATE_DATABASE_URL="+url, "JOTGATE_MASTER_KEY_FILE="+key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	s.crowd.ledger.wire.whole = true
	random := rand.New(rand.NewPCG(tt.seed, 0))
	for t.points < tt.count(4, 60) {
		working, enough := context.WithCancel(ctx)
		wait := s.crowd.drive(working, tt.seed+uint64(t.points), workers)
		pause(ctx, time.Duration(200+random.IntN(400))*time.Millisecond)
		hurt := killBackend
		if t.points%4 == 3 {
			hurt = stallAll
		}
		err := hurt(ctx, random)
		pause(ctx, 200*time.Millisecond)
		enough()
		wait()
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		t.points++
		// A commit that was on its way when its client was told 503 may still come.
		pause(ctx, time.Second)
		s.crowd.compare(ctx, false)
	}
	s.crowd.compare(ctx, true)
	return nil
}

// killBackend kills a process that serves a client.
func killBackend(_ context.Context, random *rand.Rand) error {
	_, children, err := postgresProcesses()
	if err != nil {
		return err
	}
	var serving []int
	for _, pid := range children {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.Contains(string(text), "127.0.0.1(") {
			serving = append(serving, pid)
		}
	}
	if len(serving) == 0 {
		return nil // it still recovers
	}
	return syscall.Kill(serving[random.IntN(len(serving))], syscall.SIGKILL)
}

// stallAll stops every process of PostgreSQL for a while.
func stallAll(ctx context.Context, _ *rand.Rand) error {
	postmaster, children, err := postgresProcesses()
	if err != nil {
		return err
	}
	all := append(children, postmaster)
	for _, pid := range all {
		err = errors.Join(err, tell(pid, syscall.SIGSTOP))
	}
	pause(ctx, 3*time.Second)
	for _, pid := range all {
		err = errors.Join(err, tell(pid, syscall.SIGCONT))
	}
	return err
}

// tell takes a process that is gone for one that obeyed.
func tell(pid int, sig syscall.Signal) error {
	if err := syscall.Kill(pid, sig); !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// postgresProcesses finds the server among our children, and its own.
func postgresProcesses() (postmaster int, children []int, err error) {
	own, err := childrenOf(os.Getpid())
	if err != nil {
		return 0, nil, err
	}
	for _, pid := range own {
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err == nil && strings.TrimSpace(string(name)) == "postgres" {
			children, err := childrenOf(pid)
			return pid, children, err
		}
	}
	return 0, nil, errors.New("no PostgreSQL among the children")
}

func childrenOf(pid int) ([]int, error) {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	var all []int
	for _, list := range lists {
		text, failed := os.ReadFile(list)
		if failed != nil {
			continue // the thread is gone
		}
		for word := range strings.FieldsSeq(string(text)) {
			child, failed := strconv.Atoi(word)
			err = errors.Join(err, failed)
			all = append(all, child)
		}
	}
	return all, err
}
