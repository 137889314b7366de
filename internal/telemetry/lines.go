package telemetry

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

const (
	linesBuffer = 32 << 10
	linesLinger = 50 * time.Millisecond
	// linesPatience is how long anybody waits for a write.
	linesPatience = time.Second
)

// Lines hands lines on to another writer some at a time, since one system call for
// each is a good part of what a short request costs. A line lingers for 50 ms at
// most, unless the process is killed. Who logs waits for a writer that is slow, and a
// second for one that hangs: from then on lines are lost for which there is no room,
// until all others are written. It is safe for concurrent use. Flush it at the end.
type Lines struct {
	w    io.Writer
	lost func(n int) // told how many lines were lost, once others are written again; may be nil

	mu      sync.Mutex
	buf     []byte
	spare   []byte // the next buf, when nothing is being written
	later   *time.Timer
	writing chan struct{} // closed when the write under way is over; nil if there is none
	due     bool          // buf is to be written right after the write under way
	behind  bool          // the write under way, or one before, was not over in time
	dropped int           // since then
	err     error         // of the last write, unless somebody was told
}

// NewLines returns Lines that write to w, from one goroutine at a time.
func NewLines(w io.Writer) *Lines {
	l := &Lines{w: w, buf: make([]byte, 0, linesBuffer), spare: make([]byte, 0, linesBuffer)}
	l.later = time.AfterFunc(time.Hour, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.handOnLocked()
	})
	l.later.Stop()
	return l
}

// Write implements [io.Writer]. What became of the line, [Lines.Flush] tells.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.makeRoomLocked(len(p)) {
		l.dropped++
		return len(p), nil
	}
	if len(l.buf) == 0 {
		l.later.Reset(linesLinger)
	}
	l.buf = append(l.buf, p...)
	return len(p), nil
}

// Flush has everything written that is there, and waits for it, a second at most. Its
// error may be that of an earlier line.
func (l *Lines) Flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	patience, cancel := linesDeadline()
	defer cancel()
	inTime := l.waitLocked(patience) // for what is on its way, and then for what is behind it
	l.handOnLocked()
	if !inTime || !l.waitLocked(patience) {
		return errors.New("telemetry: nobody takes the log")
	}
	err := l.err
	l.err = nil
	return err
}

// hurry is Flush, unless nobody takes the log anyway.
func (l *Lines) hurry() error {
	l.mu.Lock()
	behind := l.behind
	l.mu.Unlock()
	if behind {
		return nil
	}
	return l.Flush()
}

// linesDeadline returns what is closed once nobody is to wait any longer, for however many
// writes.
func linesDeadline() (over <-chan struct{}, cancel func()) {
	ctx, cancel := context.WithTimeout(context.Background(), linesPatience)
	return ctx.Done(), cancel
}

// makeRoomLocked reports whether there is room for n bytes, or none is needed because
// nothing else is there.
func (l *Lines) makeRoomLocked(n int) bool {
	fits := func() bool { return len(l.buf) == 0 || len(l.buf)+n <= linesBuffer }
	if fits() {
		return true
	}
	l.handOnLocked()
	if fits() {
		return true
	}
	if l.behind {
		return false
	}
	patience, cancel := linesDeadline()
	defer cancel()
	for ; l.waitLocked(patience); l.handOnLocked() {
		if fits() {
			return true
		}
	}
	return false
}

// waitLocked lets go of the lock until the write under way is over. It reports false if
// that takes longer than patience.
func (l *Lines) waitLocked(patience <-chan struct{}) bool {
	writing := l.writing
	if writing == nil {
		return true
	}
	l.mu.Unlock()
	select {
	case <-writing:
	case <-patience:
	}
	l.mu.Lock()
	if l.writing != writing {
		return true
	}
	l.behind = true
	return false
}

// handOnLocked has buf written, after the write under way if there is one.
func (l *Lines) handOnLocked() {
	if l.writing != nil {
		l.due = true
		return
	}
	if len(l.buf) == 0 {
		return
	}
	l.later.Stop()
	out := l.buf
	l.buf, l.spare = l.spare, nil
	l.writing = make(chan struct{})
	go func() {
		_, err := l.w.Write(out)
		l.written(out[:0], err)
	}()
}

// written drops what could not be written: a log that nobody takes must not grow.
func (l *Lines) written(spare []byte, err error) {
	l.mu.Lock()
	close(l.writing)
	l.writing, l.spare, l.err = nil, spare, err
	if l.due || l.behind {
		l.due = false
		l.handOnLocked()
	}
	dropped := 0
	if l.writing == nil {
		dropped, l.dropped, l.behind = l.dropped, 0, false
	}
	l.mu.Unlock()
	if dropped > 0 && l.lost != nil {
		l.lost(dropped)
	}
}
