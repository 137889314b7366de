package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"
)

var errNoPrograms = errors.New("no PostgreSQL programs")

const (
	startTimeout = 2 * time.Minute
	// attempts is how often a port is tried: somebody may take it between our
	// finding it free and the server's listening on it.
	attempts = 3
)

// Cluster is a server of our own with its data in a directory of our own. One
// goroutine at a time calls its methods.
type Cluster struct {
	dir    string
	port   int
	fsync  string // on or off
	server *exec.Cmd
	log    *bytes.Buffer
	done   chan error // receives once, when the server has exited
}

// URL is where the server is, or was. It stays the same when it is started again.
func (c *Cluster) URL() string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", c.port)
}

// Start starts a cluster that keeps what it commits, for programs that measure.
// stop ends it and deletes its data.
func Start() (url string, stop func() error, err error) {
	c, err := StartCluster()
	if err != nil {
		return "", nil, err
	}
	return c.URL(), c.Stop, nil
}

// StartCluster starts one as Start does, for programs in which it does not stay well.
func StartCluster() (*Cluster, error) { return start("on") }

func start(fsync string) (_ *Cluster, err error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	who, err := account()
	if err != nil {
		return nil, err
	}
	c := &Cluster{fsync: fsync}
	if c.dir, err = os.MkdirTemp("", "jotgate-postgres-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(c.dir))
		}
	}()
	if who != nil {
		if err := os.Chown(c.dir, int(who.Uid), int(who.Gid)); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "--pgdata="+c.data(), "--username=postgres",
		"--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
	initdb.Dir = c.dir
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	for range attempts {
		if c.port, err = freePort(ctx); err == nil {
			err = c.serve(ctx, bin, who)
		}
		if err == nil {
			return c, nil
		}
	}
	return nil, err
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// serve starts the server as a direct child that dies with this process, and
// waits until it answers.
func (c *Cluster) serve(ctx context.Context, bin string, who *syscall.Credential) error {
	c.log, c.done = &bytes.Buffer{}, make(chan error, 1)
	c.server = exec.Command(filepath.Join(bin, "postgres"), "-D", c.data(), //nolint:noctx // lives as long as the tests
		"-c", "listen_addresses=127.0.0.1", "-c", "port="+strconv.Itoa(c.port), "-c", "unix_socket_directories=",
		"-c", "fsync="+c.fsync, "-c", "max_connections=200", "-c", "shared_buffers=32MB", "-c", "log_min_messages=fatal")
	c.server.Dir, c.server.Stderr = c.dir, c.log
	c.server.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	dieWithParent(c.server.SysProcAttr)
	started := make(chan error)
	go func() {
		// The kernel takes the death of the thread that started the server for ours.
		runtime.LockOSThread()
		err := c.server.Start()
		started <- err
		if err == nil {
			c.done <- c.server.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	for {
		err := execute(ctx, c.URL(), "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-c.done: //nolint:errcheck // the server's end; why it ended is in its log
			return fmt.Errorf("the server exited: %s", c.log)
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("the server does not answer: %w", err), c.server.Process.Kill(), <-c.done)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop shuts the server down without waiting for clients and deletes its data.
func (c *Cluster) Stop() error {
	if err := c.server.Process.Signal(syscall.SIGINT); err != nil {
		return fmt.Errorf("stop the server: %w", err)
	}
	return errors.Join(<-c.done, os.RemoveAll(c.dir))
}

// programs returns the directory of the newest PostgreSQL. initdb in PATH is
// often a link, and initdb looks for its companions where it really is.
func programs() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errNoPrograms
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), nil
}

// version is the 15 of /usr/lib/postgresql/15/bin/initdb, or 0.
func version(initdb string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
	if err != nil {
		return 0
	}
	return n
}

// account is whom the server runs as, because it refuses to run as root: nil for
// the user who runs the tests.
func account() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // a nil credential is the present one
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		if who, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(who.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(who.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.Join(fmt.Errorf("no TCP address: %s", l.Addr()), l.Close())
	}
	return addr.Port, l.Close()
}
