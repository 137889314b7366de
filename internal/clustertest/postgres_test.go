package clustertest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"

	"github.com/jotgate/jotgate/internal/pgtest"
)

// postgres is one server. Processes die here and the machine does not, so it need
// not wait for the disk.
type postgres struct {
	bin, dir string
	who      *syscall.Credential
	addr     string
	process  *process
}

// newPostgres returns a server that has no data yet.
func newPostgres(t *testing.T) *postgres {
	t.Helper()
	p := &postgres{addr: freeAddr(t)}
	p.bin, p.who = pgtest.Programs(t)
	dir, err := os.MkdirTemp("", "jotgate-cluster-") //nolint:usetesting // the server's account cannot look into t.TempDir
	check(t, err)
	t.Cleanup(func() { check(t, os.RemoveAll(dir)) })
	if p.who != nil {
		check(t, os.Chown(dir, int(p.who.Uid), int(p.who.Gid)))
	}
	p.dir = filepath.Join(dir, "data")
	return p
}

// startPrimary starts a server with an empty database.
func startPrimary(t *testing.T) *postgres {
	t.Helper()
	p := newPostgres(t)
	p.tool(t, "initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
	p.start(t)
	return p
}

// startStandby starts a server that follows p, and has p acknowledge nothing
// before the standby has it: without that a failover loses what was acknowledged
// last, whatever a program before the database does.
func (p *postgres) startStandby(t *testing.T) *postgres {
	t.Helper()
	s := newPostgres(t)
	host, port, _ := strings.Cut(p.addr, ":")
	s.tool(t, "pg_basebackup", "--host="+host, "--port="+port, "--username=postgres", "--write-recovery-conf",
		"--wal-method=stream", "--checkpoint=fast", "--no-sync")
	s.start(t)
	p.exec(t, "ALTER SYSTEM SET synchronous_standby_names = '*'")
	p.exec(t, "SELECT pg_reload_conf()")
	p.waitForStandby(t)
	return s
}

func (p *postgres) waitForStandby(t *testing.T) {
	t.Helper()
	eventually(t, "the standby follows", func() error {
		if p.count(t, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'") == 1 {
			return nil
		}
		return errors.New("no standby is in step")
	})
}

// tool runs one of PostgreSQL's programs on the server's data.
func (p *postgres) tool(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(p.bin, name), append([]string{"--pgdata=" + p.dir}, args...)...)
	cmd.Dir = filepath.Dir(p.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.who}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// start starts the server and waits until it answers.
func (p *postgres) start(t *testing.T) {
	t.Helper()
	_, port, _ := strings.Cut(p.addr, ":")
	program := program{path: filepath.Join(p.bin, "postgres"), who: p.who, parting: syscall.SIGQUIT, args: []string{
		"-D", p.dir, "-c", "listen_addresses=127.0.0.1", "-c", "port=" + port, "-c", "unix_socket_directories=",
		"-c", "fsync=off", "-c", "max_connections=150", "-c", "shared_buffers=32MB", "-c", "wal_keep_size=256MB",
		"-c", "wal_retrieve_retry_interval=200ms",
	}}
	if p.process != nil {
		program.log = p.process.log
	}
	p.process = start(t, program)
	eventually(t, "PostgreSQL answers", func() error {
		conn, err := pgx.Connect(t.Context(), p.url())
		if err != nil {
			return err
		}
		return conn.Close(t.Context())
	})
}

// kill takes the server away as a machine that dies does: nothing is said to
// anybody. What PostgreSQL itself removes at its next start is removed here.
func (p *postgres) kill(t *testing.T) {
	t.Helper()
	pid, err := os.ReadFile(filepath.Join(p.dir, "postmaster.pid"))
	check(t, err)
	_ = p.process.end(t, syscall.SIGKILL) // says that it was killed
	lines := strings.Split(string(pid), "\n")
	if len(lines) < 7 {
		return
	}
	key := strings.Fields(lines[6])
	id, err := strconv.Atoi(key[len(key)-1])
	check(t, err)
	_, err = unix.SysvShmCtl(id, unix.IPC_RMID, nil)
	check(t, err)
}

func (p *postgres) url() string { return "postgres://postgres@" + p.addr + "/postgres?sslmode=disable" }

func (p *postgres) exec(t *testing.T, sql string) {
	t.Helper()
	p.with(t, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql)
		return err
	})
}

func (p *postgres) count(t *testing.T, sql string) (n int) {
	t.Helper()
	p.with(t, func(ctx context.Context, conn *pgx.Conn) error { return conn.QueryRow(ctx, sql).Scan(&n) })
	return n
}

func (p *postgres) with(t *testing.T, f func(context.Context, *pgx.Conn) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.url())
	check(t, err)
	check(t, errors.Join(f(ctx, conn), conn.Close(ctx)))
}
