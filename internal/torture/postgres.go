package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2" //nolint:depguard // a run is repeated with its seed
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jotgate/jotgate/internal/pgtest"
)

// hurtPostgres kills a backend of PostgreSQL, which then throws all connections
// away and recovers from its log, kills all of it and starts it again, and stops
// all of it for three seconds.
func (tt *torture) hurtPostgres(ctx context.Context, t *tally) (err error) {
	cluster, err := pgtest.StartCluster()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Stop()) }()
	s, err := tt.newPostgresSite(ctx, t, cluster.URL())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	random := rand.New(rand.NewPCG(tt.seed, 0))
	ways := []func(context.Context, *pgtest.Cluster, *rand.Rand) error{killBackend, killCluster, killBackend, killCluster, stallAll}
	if !tt.long {
		ways = []func(context.Context, *pgtest.Cluster, *rand.Rand) error{killBackend, killCluster, stallAll}
	}
	for t.points < tt.count(3, 40) {
		working, enough := context.WithCancel(ctx)
		wait := s.crowd.drive(working, tt.seed+uint64(t.points), workers)
		pause(ctx, time.Duration(200+random.IntN(400))*time.Millisecond)
		err := ways[t.points%len(ways)](ctx, cluster, random)
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

// newPostgresSite is a site whose server stays alive, on a database elsewhere.
func (tt *torture) newPostgresSite(ctx context.Context, t *tally, url string, environ ...string) (*site, error) {
	dir := filepath.Join(tt.dir, t.fault)
	key := dir + ".key"
	if err := os.WriteFile(key, []byte(base64.StdEncoding.EncodeToString([]byte((newKey()+newKey())))+"\n"), 0o600); err != nil {
		return nil, err
	}
	s, err := tt.newSite(ctx, t, dir, append(environ, "JOTGATE_DATABASE_URL="+url, "JOTGATE_MASTER_KEY_FILE="+key)...)
	if err != nil {
		return nil, err
	}
	s.crowd.ledger.wire.whole = true
	return s, nil
}

// killBackend kills a process that serves a client.
func killBackend(_ context.Context, cluster *pgtest.Cluster, random *rand.Rand) error {
	var serving []int
	for _, pid := range cluster.Children() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.Contains(string(text), "127.0.0.1(") {
			serving = append(serving, pid)
		}
	}
	if len(serving) == 0 {
		return nil // it still recovers
	}
	return tell(serving[random.IntN(len(serving))], syscall.SIGKILL)
}

// killCluster kills every process and begins again from the log that they wrote.
func killCluster(ctx context.Context, cluster *pgtest.Cluster, random *rand.Rand) error {
	if err := cluster.Kill(); err != nil {
		return err
	}
	pause(ctx, time.Duration(random.IntN(1000))*time.Millisecond)
	return cluster.Restart()
}

// stallAll stops every process of PostgreSQL for a while.
func stallAll(ctx context.Context, cluster *pgtest.Cluster, _ *rand.Rand) (err error) {
	all := append(cluster.Children(), cluster.Pid())
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
