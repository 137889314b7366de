package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// errSteady is a clock that cannot be set here.
var errSteady = errors.New("the clock of a process cannot be bent here")

// bentClock takes the place of the clock_gettime that the kernel maps into each
// process (vDSO), on amd64: the system call, and for CLOCK_REALTIME, which is 0, as
// many seconds more as the eight bytes after it say.
var bentClock = []byte{ //nolint:gochecknoglobals // constant
	0xb8, 0xe4, 0x00, 0x00, 0x00, // mov $228, %eax
	0x0f, 0x05, // syscall
	0x85, 0xff, // test %edi, %edi
	0x75, 0x0a, // jne ret
	0x48, 0x8b, 0x0d, 0x06, 0x00, 0x00, 0x00, // mov seconds(%rip), %rcx
	0x48, 0x01, 0x0e, // add %rcx, (%rsi)
	0xc3,       // ret
	0x90, 0x90, // the seconds are aligned
}

// clock is the time of day as one process sees it.
type clock struct {
	pid    int
	at     int64 // of the seconds, in its memory
	offset time.Duration
}

// bend makes a clock of a running process that can be set. What the process
// measures time with that passes goes on evenly.
func bend(pid int) (c *clock, err error) {
	if runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("%w: there is code for amd64 only", errSteady)
	}
	begin, end, err := vdso(pid)
	if err != nil {
		return nil, err
	}
	image := make([]byte, end-begin)
	if err := inMemory(pid, os.O_RDONLY, func(m *os.File) error { _, err := m.ReadAt(image, begin); return err }); err != nil {
		return nil, err
	}
	at, err := clockSymbol(image)
	if err != nil {
		return nil, err
	}
	c = &clock{pid: pid, at: begin + at + int64(len(bentClock))}
	err = stopped(pid, func() error {
		if err := outside(pid, begin, end); err != nil {
			return err
		}
		return inMemory(pid, os.O_WRONLY, func(m *os.File) error {
			_, err := m.WriteAt(append(bytes.Clone(bentClock), make([]byte, 8)...), begin+at)
			return err
		})
	})
	return c, err
}

// step sets the clock by d.
func (c *clock) step(d time.Duration) error {
	c.offset += d
	return stopped(c.pid, func() error {
		return inMemory(c.pid, os.O_WRONLY, func(m *os.File) error {
			_, err := m.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(c.offset/time.Second)), c.at)
			return err
		})
	})
}

func (c *clock) now() time.Time { return time.Now().Add(c.offset) }

// vdso is where the kernel's code is in the memory of a process.
func vdso(pid int) (begin, end int64, err error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, "[vdso]") {
			_, err := fmt.Sscanf(line, "%x-%x", &begin, &end)
			return begin, end, err
		}
	}
	return 0, 0, fmt.Errorf("%w: there is no vDSO", errSteady)
}

// clockSymbol is where clock_gettime is in the vDSO, if there is room for ours.
func clockSymbol(image []byte) (int64, error) {
	f, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return 0, err
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return 0, err
	}
	for _, s := range symbols {
		if s.Name == "__vdso_clock_gettime" && s.Size >= uint64(len(bentClock)+8) && s.Value%8 == 0 {
			return int64(s.Value), nil
		}
	}
	return 0, fmt.Errorf("%w: no clock_gettime in the vDSO that is long enough", errSteady)
}

// outside sees that no thread of a stopped process is within what is to be changed.
func outside(pid int, begin, end int64) error {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
	for _, path := range threads {
		text, failed := os.ReadFile(path)
		fields := strings.Fields(string(text))
		if failed != nil || len(fields) < 2 {
			return errors.Join(fmt.Errorf("%w: %s says %q", errSteady, path, text), failed)
		}
		at, failed := strconv.ParseInt(strings.TrimPrefix(fields[len(fields)-1], "0x"), 16, 64)
		if failed != nil || at >= begin && at < end {
			return errors.Join(fmt.Errorf("%w: a thread is asking for the time", errSteady), failed)
		}
	}
	return err
}

// stopped does f while no thread of the process runs.
func stopped(pid int, f func() error) (err error) {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, syscall.Kill(pid, syscall.SIGCONT)) }()
	for end := time.Now().Add(patience); !allStopped(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("the process does not stop")
		}
	}
	return f()
}

func allStopped(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, path := range threads {
		text, failed := os.ReadFile(path)
		_, state, found := bytes.Cut(text, []byte(") "))
		if failed != nil || !found || state[0] != 'T' {
			return false
		}
	}
	return err == nil && len(threads) > 0
}

// inMemory opens the memory of a process, which writes past the protection of pages.
func inMemory(pid, flag int, f func(*os.File) error) (err error) {
	m, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), flag, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if err := f(m); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %w", errSteady, err)
	}
	return nil
}
