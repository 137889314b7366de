package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// written are the system calls with which SQLite makes a change last.
const written = "pwrite64,fsync,fdatasync,ftruncate"

// tracer is strace on a running server.
type tracer struct {
	cmd *exec.Cmd
	log string
}

// attach traces these system calls of a process and hurts them as harm has it, in
// strace's words. strace counts calls by thread from here on.
func attach(pid int, log, calls, harm string) (*tracer, error) {
	cmd := exec.Command("strace", "-f", "-p", strconv.Itoa(pid), "-o", log, //nolint:noctx // ends by detach or with the server
		"-e", "trace="+calls, "-e", "inject="+calls+":"+harm, "-e", "signal=none")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(stderr)
	for first := ""; ; {
		line, err := lines.ReadString('\n')
		if strings.Contains(line, "attached") {
			break
		}
		if first += line; err != nil {
			return nil, errors.Join(fmt.Errorf("strace does not attach: %s", first), ignoreExit(cmd.Wait()))
		}
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }() //nolint:errcheck // it says of each new thread
	return &tracer{cmd: cmd, log: log}, nil
}

// detachSoon is how long nothing is accepted.
const detachSoon = 200 * time.Millisecond

// detachAfter lets go of a living server in a while.
func (t *tracer) detachAfter(d time.Duration) *time.Timer {
	return time.AfterFunc(d, func() {
		_ = t.cmd.Process.Signal(syscall.SIGINT) //nolint:errcheck // or it is over by now
	})
}

// momentForDead is how long strace may take to let go of a process that was killed, for a
// thread of which it may wait for ever. Of a living one it has to let go by itself: killed
// within a call that it makes fail, it might leave the server with an answer of its own.
const momentForDead = 300 * time.Millisecond

// detach lets go of the server.
func (t *tracer) detach(within time.Duration) error {
	if err := t.cmd.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	late := time.AfterFunc(within, func() {
		_ = t.cmd.Process.Kill() //nolint:errcheck // or it is over by now
	})
	defer late.Stop()
	return ignoreExit(t.cmd.Wait())
}

// met says whether a call was hurt. Of one that others came between, it is the second line,
// "resumed", that says so.
func (t *tracer) met() (bool, error) {
	text, err := os.ReadFile(t.log)
	return bytes.Contains(text, []byte("(INJECTED)")), err
}

// ignoreExit takes the status of a program that was told to end for its end.
func ignoreExit(err error) error {
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil
	}
	return err
}

// strace says whether there is one.
func strace(ctx context.Context) error {
	if err := exec.CommandContext(ctx, "strace", "-V").Run(); err != nil {
		return fmt.Errorf("strace is needed: %w", err)
	}
	return nil
}
