package telemetry

import (
	"io"
	"sync"
	"time"
)

const (
	linesBuffer = 32 << 10
	linesLinger = 50 * time.Millisecond
)

// Lines hands lines on to another writer some at a time, since one system call for
// each is a good part of what a short request costs. A line lingers for 50 ms at
// most, unless the process is killed. It is safe for concurrent use. Flush it at the end.
type Lines struct {
	mu    sync.Mutex
	w     io.Writer
	buf   []byte
	later *time.Timer
	err   error // of a write that nobody waited for
}

// NewLines returns Lines that write to w.
func NewLines(w io.Writer) *Lines {
	l := &Lines{w: w, buf: make([]byte, 0, linesBuffer)}
	l.later = time.AfterFunc(time.Hour, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.err = l.flushLocked()
	})
	l.later.Stop()
	return l
}

// Write implements [io.Writer]. Its error may be that of an earlier line.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.err; err != nil {
		l.err = nil
		return 0, err
	}
	if len(l.buf)+len(p) > linesBuffer {
		if err := l.flushLocked(); err != nil {
			return 0, err
		}
	}
	if len(l.buf) == 0 {
		l.later.Reset(linesLinger)
	}
	l.buf = append(l.buf, p...)
	return len(p), nil
}

// Flush hands on what is there.
func (l *Lines) Flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flushLocked()
}

// flushLocked drops what cannot be written: a log that nobody takes must not grow.
func (l *Lines) flushLocked() error {
	l.later.Stop()
	if len(l.buf) == 0 {
		return nil
	}
	_, err := l.w.Write(l.buf)
	l.buf = l.buf[:0]
	return err
}
