package telemetry_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/telemetry"
)

// stalled returns lines that go into a pipe, a log to them, and the end where they arrive.
func stalled(t *testing.T) (*telemetry.Lines, *slog.Logger, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close(); r.Close() })
	lines := telemetry.NewLines(w)
	log, err := telemetry.NewLogger(lines, "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	return lines, log, r
}

// atMost has f be over in time.
func atMost(t *testing.T, d time.Duration, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(d):
		t.Fatalf("%s does not end within %s", what, d)
	}
}

// TestLogThatNobodyReads holds that a reader who sleeps holds up nobody for long, and
// hears afterwards, in their order, the lines that there was room for and how many there
// were besides.
func TestLogThatNobodyReads(t *testing.T) {
	const told = 2000
	lines, log, r := stalled(t)
	more := strings.Repeat("x", 200)
	atMost(t, 5*time.Second, "logging", func() {
		for i := range told {
			if i%100 == 0 {
				log.Warn("told", slog.Int("n", i), slog.String("more", more))
			} else {
				log.Info("told", slog.Int("n", i), slog.String("more", more))
			}
		}
	})
	atMost(t, 3*time.Second, "the end", func() {
		if err := lines.Flush(); err == nil {
			t.Error("it is said that all was written")
		}
	})
	var arrived int
	atMost(t, 10*time.Second, "reading", func() {
		last := -1
		for in := bufio.NewScanner(r); in.Scan(); arrived++ {
			var line struct {
				Msg string
				N   int
			}
			if err := json.Unmarshal(in.Bytes(), &line); err != nil {
				t.Errorf("%q: %v", in.Bytes(), err)
			}
			if line.Msg == "log lines were lost" {
				if line.N != told-arrived || arrived == 0 || arrived == told {
					t.Errorf("%d of %d lines arrived, and it is said that %d did not", arrived, told, line.N)
				}
				return
			}
			if line.Msg != "told" || line.N <= last {
				t.Errorf("%q comes after line %d", in.Bytes(), last)
			}
			last = line.N
		}
	})
	log.Info("told again")
	if err := lines.Flush(); err != nil {
		t.Error(err)
	}
	again, err := bufio.NewReader(r).ReadString('\n')
	if err != nil || !strings.Contains(again, "told again") {
		t.Errorf("when it is read again: %q, %v", again, err)
	}
}

// slow takes its time for each write.
type slow struct {
	sink

	each time.Duration
}

func (s *slow) Write(p []byte) (int, error) {
	time.Sleep(s.each)
	return s.sink.Write(p)
}

// TestLinesWaitForWhoIsSlow holds that a reader who is not as fast as those who log hears
// everything all the same.
func TestLinesWaitForWhoIsSlow(t *testing.T) {
	s := slow{each: 20 * time.Millisecond}
	l := telemetry.NewLines(&s)
	var want strings.Builder
	for i := range 2000 {
		line := fmt.Sprintf("%0200d\n", i)
		if _, err := io.WriteString(l, line); err != nil {
			t.Fatal(err)
		}
		want.WriteString(line)
	}
	if err := l.Flush(); err != nil {
		t.Error(err)
	}
	if text, _ := s.got(); text != want.String() {
		t.Errorf("%d bytes of %d arrived, or in another order", len(text), want.Len())
	}
}
