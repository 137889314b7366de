// Package redistest gives tests a Redis of their own, which they can take away
// and bring back.
//
// It starts the redis-server or valkey-server that it finds, without anything on
// disk, and ends it when the test is over or its binary dies. It knows nothing of
// what is kept there.
package redistest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/needs"
)

const (
	startTimeout = 30 * time.Second
	// attempts is how often a port is tried: somebody may take it between our
	// finding it free and the server's listening on it.
	attempts = 3
)

// Server is a Redis of one test. Its methods belong to the goroutine of the test,
// which they end when something goes wrong.
type Server struct {
	tb      testing.TB
	program string
	dir     string
	port    int
	process *exec.Cmd // nil while it is stopped
	log     *bytes.Buffer
	done    chan error // receives once, when the process has exited
}

// URL returns the URL of a server that is there until tb is over. It skips tb
// where there is no such program, or fails it if that is required
// ([needs.Missing]).
func URL(tb testing.TB) string {
	tb.Helper()
	return Start(tb).URL()
}

// Start starts a server as URL does, for tests in which it does not stay well.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{tb: tb, program: needs.Program(tb, "redis", "redis-server", "valkey-server"), dir: tb.TempDir()}
	tb.Cleanup(func() {
		if s.process != nil {
			s.Stop()
		}
	})
	var err error
	for range attempts {
		if s.port, err = freePort(tb.Context()); err == nil {
			err = s.serve()
		}
		if err == nil {
			return s
		}
	}
	tb.Fatal("redistest:", err)
	return nil
}

// URL is where the server is, or was. It stays the same when it is started again.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Addr is its host and port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// SocketURL is where it is on the same machine.
func (s *Server) SocketURL() string { return "unix://" + filepath.Join(s.dir, "s") }

// Stop kills the server, which forgets everything.
func (s *Server) Stop() {
	s.tb.Helper()
	if err := s.process.Process.Kill(); err != nil {
		s.tb.Fatal("redistest: stop:", err)
	}
	<-s.done
	s.process = nil
}

// Restart starts a stopped server, empty and at the same address.
func (s *Server) Restart() {
	s.tb.Helper()
	if err := s.serve(); err != nil {
		s.tb.Fatal("redistest: start again:", err)
	}
}

// Pause makes the server deaf: the kernel still takes connections and what is
// sent, and nobody answers.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume ends a Pause. What was sent meanwhile is answered now.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.tb.Helper()
	if err := s.process.Process.Signal(sig); err != nil {
		s.tb.Fatal("redistest:", sig, err)
	}
}

// serve starts the process and waits until it answers.
func (s *Server) serve() error {
	// It outlives the test's context, which ends before the test's clean-up.
	cmd := exec.Command(s.program, "--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--unixsocket", "s", //nolint:noctx // so
		"--dir", s.dir, "--save", "", "--appendonly", "no")
	s.log, s.done = &bytes.Buffer{}, make(chan error, 1)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = s.dir, s.log, s.log, dieWithParent()
	started := make(chan error)
	go func() {
		// The kernel takes the death of the thread that started the server for ours.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			s.done <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.tb.Context()), startTimeout)
	defer cancel()
	for {
		err := ping(ctx, s.Addr())
		if err == nil {
			s.process = cmd
			return nil
		}
		select {
		case <-s.done: //nolint:errcheck // the server's end; why it ended is in its log
			return fmt.Errorf("the server exited: %s", s.log)
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("the server does not answer: %w", err), cmd.Process.Kill(), <-s.done)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// ping tells whether a Redis answers at addr. Whoever else listens there does not
// answer like that.
func ping(ctx context.Context, addr string) (err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	answer := make([]byte, len("+PONG\r\n"))
	if _, err := conn.Read(answer); err != nil {
		return err
	}
	if string(answer) != "+PONG\r\n" {
		return fmt.Errorf("it answers %q", answer)
	}
	return nil
}

func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if err := l.Close(); err != nil {
		return 0, err
	}
	if !ok {
		return 0, fmt.Errorf("a TCP listener has the address %v", l.Addr())
	}
	return addr.Port, nil
}
