package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Kill ends all processes of the server at once and without a word. What it had
// handed to the kernel is still there.
func (c *Cluster) Kill() error {
	children := c.Children()
	err := c.server.Process.Kill()
	for _, pid := range children {
		if failed := syscall.Kill(pid, syscall.SIGKILL); !errors.Is(failed, syscall.ESRCH) {
			err = errors.Join(err, failed)
		}
	}
	<-c.done //nolint:errcheck // it was killed, which is what it says
	return err
}

// Restart starts a killed server on what is left of its data, at the same address,
// and waits until it has recovered.
func (c *Cluster) Restart() error {
	bin, err := programs()
	if err != nil {
		return err
	}
	who, err := account()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	// It refuses as long as one of the old processes is not quite gone.
	for range 10 * attempts {
		if err = c.serve(ctx, bin, who); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("start again: %w", err)
}

// Pid is the process whose children serve.
func (c *Cluster) Pid() int { return c.server.Process.Pid }

// Children are the processes of the server besides that of Pid, where /proc tells.
func (c *Cluster) Children() (pids []int) {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", c.Pid()))
	if err != nil {
		return nil
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread is gone
		}
		for word := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(word); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
