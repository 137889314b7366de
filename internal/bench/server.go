package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"
)

const patience = 20 * time.Second

// hello is the floor: a Gin server that answers JSON and does nothing else.
func hello(ctx context.Context, addr string) error {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.GET("/healthz", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"status": "ok"}) })
	s := &http.Server{Addr: addr, Handler: r, ReadHeaderTimeout: time.Second}
	context.AfterFunc(ctx, func() {
		if err := s.Close(); err != nil {
			return // it is over in any case
		}
	})
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// child is a server in a process of its own.
type child struct {
	addr string
	cmd  *exec.Cmd
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
	return start(ctx, addr, self, []string{helloArg, addr}, []string{"GOMAXPROCS=1"})
}

// startJotgate starts jotgate on a database, in a data directory of that name.
func (b *bench) startJotgate(ctx context.Context, data string, environ ...string) (*child, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	ops, err := freeAddr()
	if err != nil {
		return nil, err
	}
	return start(ctx, addr, b.program, []string{"serve"}, append([]string{
		"GOMAXPROCS=1", "JOTGATE_HTTP_ADDR=" + addr, "JOTGATE_OPS_ADDR=" + ops, "JOTGATE_DATA_DIR=" + filepath.Join(b.dir, data),
		"JOTGATE_RATE_LIMIT_ENABLED=false", "JOTGATE_PASSWORD_PARALLEL=1", "JOTGATE_LOG_LEVEL=error",
	}, environ...))
}

func start(ctx context.Context, addr, program string, args, environ []string) (*child, error) {
	c := &child{addr: addr, cmd: exec.CommandContext(ctx, program, args...)}
	c.cmd.Env = append(os.Environ(), environ...)
	c.cmd.Stderr = os.Stderr
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil { //nolint:noctx // loopback
			return c, conn.Close()
		}
	}
	return nil, errors.Join(fmt.Errorf("%s does not listen on %s", program, addr), c.stop())
}

func (c *child) stop() error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := c.cmd.Wait()
	if e, ok := errors.AsType[*exec.ExitError](err); ok && !e.Exited() {
		return nil // the bare server ends by the signal
	}
	return err
}

// resident returns the memory of the process, in MiB.
func (c *child) resident() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(kb)[0])
			return float64(n) / 1024, err
		}
	}
	return 0, errors.New("no VmRSS")
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // for a moment
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
