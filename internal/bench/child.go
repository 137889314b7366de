package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const patience = 20 * time.Second

// Settings that differ from the default where the load asks for it.
const (
	noLimits = "JOTGATE_RATE_LIMIT_ENABLED=false"
	// cheapMemory and cheapPasses make the many sessions that a part needs, not what it measures.
	cheapMemory = "JOTGATE_PASSWORD_MEMORY_KIB=64"
	cheapPasses = "JOTGATE_PASSWORD_PASSES=1"
)

// child is a server in a process of its own.
type child struct {
	addr string
	cmd  *exec.Cmd
	said *tail
}

// tail takes all that a server logs, as whoever runs it would, and keeps the end.
type tail struct {
	mu  sync.Mutex
	end []byte
}

const tailLength = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := append(t.end, p[max(0, len(p)-tailLength):]...)
	t.end = append(t.end[:0], kept[max(0, len(kept)-tailLength):]...)
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.end))
}

// startHello starts this program as the bare server.
func (b *bench) startHello(ctx context.Context) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	return start(exec.CommandContext(ctx, self, floorArg, "hello", addr), addr, b.cores.server)
}

// startJotgate starts jotgate on a database, in a data directory of that name, on
// the server's core.
func (b *bench) startJotgate(ctx context.Context, data string, environ ...string) (*child, error) {
	return b.startJotgateOn(ctx, b.cores.server, data, environ...)
}

func (b *bench) startJotgateOn(ctx context.Context, cpus []int, data string, environ ...string) (*child, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	ops, err := freeAddr()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, b.program, "serve")
	cmd.Env = append(os.Environ(), append([]string{
		"JOTGATE_HTTP_ADDR=" + addr, "JOTGATE_OPS_ADDR=" + ops, "JOTGATE_DATA_DIR=" + filepath.Join(b.dir, data),
	}, environ...)...)
	return start(cmd, addr, cpus)
}

func start(cmd *exec.Cmd, addr string, cpus []int) (*child, error) {
	c := &child{addr: addr, cmd: cmd, said: &tail{}}
	cmd.Stdout, cmd.Stderr = c.said, c.said
	if err := startOn(cpus, cmd); err != nil {
		return nil, err
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil { //nolint:noctx // loopback
			return c, conn.Close()
		}
	}
	return nil, errors.Join(fmt.Errorf("%s does not listen on %s: %s", cmd.Path, addr, c.said), c.stop())
}

// with starts a server, hands it to f, and stops it.
func with(start func() (*child, error), f func(*child) error) (err error) {
	c, err := start()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, c.said)
		}
		err = errors.Join(err, c.stop())
	}()
	return f(c)
}

func (c *child) stop() error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := c.cmd.Wait()
	if e, ok := errors.AsType[*exec.ExitError](err); ok && !e.Exited() {
		return nil // it does not mind the signal
	}
	return err
}

// memory returns a line of the process's status, in MiB: VmRSS is what it holds at
// the moment, VmHWM the most that it has held. It is 0 where no system tells.
func (c *child) memory(what string) (float64, error) {
	return memoryOf(strconv.Itoa(c.cmd.Process.Pid), what)
}

func memoryOf(pid, what string) (float64, error) {
	text, err := os.ReadFile("/proc/" + pid + "/status")
	if errors.Is(err, fs.ErrNotExist) && runtime.GOOS != "linux" {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if kb, ok := strings.CutPrefix(line, what+":"); ok {
			n, err := strconv.Atoi(strings.Fields(kb)[0])
			return float64(n) / 1024, err
		}
	}
	return 0, errors.New("no " + what)
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // for a moment
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// family returns what the process and those that it has started hold, in MiB.
func (c *child) family() (float64, error) { return familyOf(strconv.Itoa(c.cmd.Process.Pid)) }

// mostOf returns the most that they have held, as seen every few milliseconds until ctx ends.
func (c *child) mostOf(ctx context.Context) (most float64) {
	for ctx.Err() == nil {
		if mib, err := c.family(); err == nil { // one of them may just have ended
			most = max(most, mib)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return most
}

func familyOf(pid string) (float64, error) {
	total, err := memoryOf(pid, "VmRSS")
	if err != nil {
		return 0, err
	}
	children, err := filepath.Glob("/proc/" + pid + "/task/*/children")
	if err != nil {
		return 0, err
	}
	for _, path := range children {
		text, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		for child := range strings.FieldsSeq(string(text)) {
			mib, err := familyOf(child)
			if err != nil {
				return 0, err
			}
			total += mib
		}
	}
	return total, nil
}
