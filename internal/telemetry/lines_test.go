package telemetry_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/internal/telemetry"
)

// sink counts what it is given, and fails while it is told to.
type sink struct {
	mu     sync.Mutex
	text   bytes.Buffer
	writes int
	broken error
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return 0, s.broken
	}
	s.writes++
	return s.text.Write(p)
}

func (s *sink) got() (string, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String(), s.writes
}

func TestLinesLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sink
		log, err := telemetry.NewLogger(telemetry.NewLines(&s), "info", "text")
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			log.Info("served")
		}
		if text, _ := s.got(); text != "" {
			t.Errorf("at once: %s", text)
		}
		time.Sleep(51 * time.Millisecond)
		synctest.Wait()
		if text, writes := s.got(); strings.Count(text, "\n") != 10 || writes != 1 {
			t.Errorf("after a while: %d writes of %s", writes, text)
		}
		log.Info("served")
		log.Warn("not well")
		if text, writes := s.got(); strings.Count(text, "\n") != 12 || writes != 2 {
			t.Errorf("with a warning: %d writes of %s", writes, text)
		}
	})
}

func TestLinesLoseNothing(t *testing.T) {
	var s sink
	l := telemetry.NewLines(&s)
	line := strings.Repeat("x", 999) + "\n"
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 100 {
				if n, err := l.Write([]byte(line)); n != len(line) || err != nil {
					t.Errorf("Write = %d, %v", n, err)
				}
			}
		})
	}
	wg.Wait()
	if n, err := l.Write(bytes.Repeat([]byte(line), 100)); n != 100*len(line) || err != nil {
		t.Errorf("a line longer than the buffer: %d, %v", n, err)
	}
	if err := l.Flush(); err != nil {
		t.Error(err)
	}
	if text, _ := s.got(); text != strings.Repeat(line, 1100) {
		t.Errorf("%d bytes arrived", len(text))
	}
}

func TestLinesThatCannotBeWritten(t *testing.T) {
	s := sink{broken: errors.New("full")}
	l := telemetry.NewLines(&s)
	if _, err := l.Write([]byte("lost\n")); err != nil {
		t.Error(err)
	}
	if err := l.Flush(); !errors.Is(err, s.broken) {
		t.Errorf("Flush = %v", err)
	}
	s.broken = nil
	if _, err := l.Write([]byte("kept\n")); err != nil {
		t.Error(err)
	}
	if err := l.Flush(); err != nil {
		t.Error(err)
	}
	if text, _ := s.got(); text != "kept\n" {
		t.Errorf("arrived: %q", text)
	}
}

// turnsOf is a writer whose writes take so long.
type turnsOf struct{ takes []time.Duration }

func (w *turnsOf) Write(p []byte) (int, error) {
	took := w.takes[0]
	w.takes = w.takes[1:]
	time.Sleep(took)
	return len(p), nil
}

// TestFlushWaitsOnceForTwoWrites has a write end at the moment at which Flush gives up,
// and the next one hang. Which comes first is up to chance.
func TestFlushWaitsOnceForTwoWrites(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			lines := telemetry.NewLines(&turnsOf{[]time.Duration{time.Second, time.Hour}})
			line := func() {
				if _, err := lines.Write([]byte("line\n")); err != nil {
					t.Fatal(err)
				}
			}
			line()
			time.Sleep(50 * time.Millisecond) // its linger
			synctest.Wait()
			line() // behind it
			begin := time.Now()
			err := lines.Flush()
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("Flush took %s: %v", took, err)
			}
			time.Sleep(time.Hour) // until the second write is over
		})
	}
}
