package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const patience = 20 * time.Second

// server is jotgate as a process that is started again on the same data.
type server struct {
	program, dir, addr, ops string
	environ                 []string
	cmd                     *exec.Cmd
	done                    chan struct{} // closed when the process has ended
}

func newServer(program, dir string, environ ...string) (*server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	ops, err := freeAddr()
	if err != nil {
		return nil, err
	}
	return &server{program: program, dir: dir, addr: addr, ops: ops, environ: environ}, nil
}

func (s *server) start(ctx context.Context) error {
	if err := s.launch(); err != nil {
		return err
	}
	return s.ready(ctx)
}

// launch is start without waiting.
func (s *server) launch() error {
	s.cmd = exec.Command(s.program, "serve") //nolint:noctx // ends by the hand of a fault
	s.cmd.Env = append(append(os.Environ(), "JOTGATE_HTTP_ADDR="+s.addr, "JOTGATE_OPS_ADDR="+s.ops, "JOTGATE_DATA_DIR="+s.dir,
		"JOTGATE_RATE_LIMIT_ENABLED=false", "JOTGATE_PASSWORD_MEMORY_KIB=64", "JOTGATE_PASSWORD_PASSES=1",
		"JOTGATE_TOKEN_ACCESS_TTL=2h", "JOTGATE_LOG_LEVEL=error"), s.environ...)
	log, err := os.OpenFile(s.dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	s.cmd.Stderr = log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = errors.Join(s.cmd.Start(), log.Close())
	if err != nil {
		return err
	}
	cmd, done := s.cmd, make(chan struct{})
	s.done = done
	go func() {
		defer close(done)
		_ = cmd.Wait() //nolint:errcheck // it is killed more often than not
	}()
	return nil
}

// ready waits until the server says that it is.
func (s *server) ready(ctx context.Context) error {
	for end := time.Now().Add(patience); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(2 * time.Millisecond) {
		if s.dead() {
			return s.ending()
		}
		resp, err := http.Get("http://" + s.addr + "/readyz") //nolint:noctx // loopback
		if err != nil {
			continue
		}
		if err := resp.Body.Close(); err != nil {
			return err
		}
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
	return errors.Join(errors.New("the server does not become ready"), ctx.Err())
}

// metrics is what the operations listener tells of the server.
func (s *server) metrics() (string, error) {
	resp, err := http.Get("http://" + s.ops + "/metrics") //nolint:noctx // loopback
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(resp.Body)
	return string(text), errors.Join(err, resp.Body.Close())
}

func (s *server) pid() int { return s.cmd.Process.Pid }

// ending is how the server ended, if it did.
func (s *server) ending() error {
	if !s.dead() {
		return nil
	}
	text, err := os.ReadFile(s.dir + ".log")
	return errors.Join(fmt.Errorf("the server ended, %v: %s", s.cmd.ProcessState, tail(text)), err)
}

func (s *server) dead() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// kill ends the server without a word, if it is not dead already.
func (s *server) kill() error {
	if s.cmd == nil {
		return nil
	}
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.done
	return nil
}

func tail(text []byte) []byte { return text[max(0, len(text)-1000):] }

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // for a moment
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
