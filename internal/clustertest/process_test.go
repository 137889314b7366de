package clustertest

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// endTimeout is longer than a replica may take to drain.
	endTimeout = 40 * time.Second
	// logKept is how much of what a program wrote is kept, in bytes.
	logKept = 1 << 20
)

// process is a program that runs beside the test and ends with it.
type process struct {
	cmd  *exec.Cmd
	log  *tail
	done chan struct{} // closed when it has ended; err is there then
	err  error
}

// program is what to run. parting is the signal on which it takes its children along.
type program struct {
	path    string
	args    []string
	environ []string
	who     *syscall.Credential
	parting syscall.Signal
	log     *tail // goes on in what an earlier process wrote; nil begins anew
}

func start(t *testing.T, p program) *process {
	t.Helper()
	s := &process{cmd: exec.Command(p.path, p.args...), log: p.log, done: make(chan struct{})}
	if s.log == nil {
		s.log = &tail{}
	}
	s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr = p.environ, s.log, s.log
	s.cmd.Dir = filepath.Dir(p.path)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.who}
	dieWithParent(s.cmd.SysProcAttr, p.parting)
	started := make(chan error)
	go func() {
		// The kernel takes the death of the thread that started a program for ours.
		runtime.LockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			s.err = s.cmd.Wait()
			close(s.done)
		}
	}()
	check(t, <-started)
	t.Cleanup(func() {
		_ = s.cmd.Process.Signal(p.parting) // it may have ended
		s.wait(t)
	})
	return s
}

// end sends the program a signal and waits until it is gone.
func (s *process) end(t *testing.T, signal syscall.Signal) error {
	t.Helper()
	check(t, s.cmd.Process.Signal(signal))
	return s.wait(t)
}

func (s *process) wait(t *testing.T) error {
	t.Helper()
	select {
	case <-s.done:
	case <-time.After(endTimeout):
		t.Errorf("%s does not end within %s", s.cmd.Path, endTimeout)
		_ = s.cmd.Process.Kill() // it may have ended
		<-s.done
	}
	return s.err
}

func (s *process) running() bool {
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	if len(l.text) > 2*logKept {
		l.text = append([]byte(nil), l.text[len(l.text)-logKept:]...)
	}
	return len(p), nil
}

// lines returns the last n lines that contain what.
func (l *tail) lines(what string, n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for line := range strings.Lines(string(l.text)) {
		if strings.Contains(line, what) {
			found = append(found, line)
		}
	}
	return strings.Join(found[max(len(found)-n, 0):], "")
}
