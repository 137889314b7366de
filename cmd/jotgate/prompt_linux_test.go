package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jotgate/jotgate/internal/needs"
)

// terminal opens a terminal, and the end at which a person sits.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		needs.Missing(t, "terminal", err.Error())
	}
	t.Cleanup(func() { person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return person, program
}

// waitForEcho waits until what is typed is seen, or not.
func waitForEcho(t *testing.T, f *os.File, seen bool) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		state, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		if state.Lflag&unix.ECHO != 0 == seen {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("what is typed is seen: %t", !seen)
		}
	}
}

// TestInterruptAtThePrompt types Ctrl-C instead of a password.
func TestInterruptAtThePrompt(t *testing.T) {
	person, program := terminal(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "user", "create", "--username", "ada")
	cmd.Args[0] = "jotgate" // by which the tests' program is the program
	cmd.Env = []string{"JOTGATE_DATA_DIR=" + t.TempDir()}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitForEcho(t, program, false)
	if _, err := person.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	waitForEcho(t, program, true)
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("it ends with %v", err)
	}
	waitForEcho(t, program, true)
}
