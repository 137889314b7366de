// Package telemetry sets up what operators watch the program by: the log, the
// metrics and the traces. It knows no noun; outcomes are closed lists of words,
// so that what a client sends never becomes a label, and attributes of spans
// leave by a closed list of names.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"unicode"
	"unicode/utf16"
)

// NewLogger returns a logger to w, which it gives one whole line at a time.
// level is as [slog.Level.UnmarshalText] reads it: debug, info, warn or error.
// format is json or text. Times are in UTC. Neither format lets through a
// character that does not print, so no value can forge a line, move a
// terminal's cursor or turn the direction of the text. If w is [Lines], warnings and
// errors do not linger, and a warning says how many lines were lost.
func NewLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("telemetry: log level: %w", err)
	}
	urgent := func() error { return nil }
	lines, buffered := w.(*Lines)
	if buffered {
		urgent = lines.hurry
	}
	opts := &slog.HandlerOptions{Level: l}
	var log *slog.Logger
	switch format {
	case "json":
		w = &turns{w: w}
		log = slog.New(handler{slog.NewJSONHandler(printable{w}, opts), w, urgent})
	case "text":
		log = slog.New(handler{Handler: slog.NewTextHandler(w, opts), urgent: urgent})
	default:
		return nil, fmt.Errorf("telemetry: log format %q is neither json nor text", format)
	}
	if buffered {
		lines.lost = func(n int) { log.Warn("log lines were lost", slog.Int("n", n)) }
	}
	return log, nil
}

// turns lets one write at a time through: slog's handler, which does so for its own
// lines, knows nothing of those that are written beside it.
type turns struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements [io.Writer].
func (t *turns) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.w.Write(p) //nolint:wrapcheck // who logs says what failed
}

// printable escapes the characters of JSON that do not print. slog's text
// handler does that; its JSON handler escapes only what RFC 8259, section 7 asks
// for, which leaves DEL, the C1 controls and the bidirectional ones. All of them
// stand in strings there, so the JSON means the same afterwards.
type printable struct{ w io.Writer }

// Write writes the lines in p at once.
func (e printable) Write(p []byte) (int, error) {
	out := p
	if hasBeyondASCII(p) {
		out = escape(p)
	}
	if _, err := e.w.Write(out); err != nil {
		return 0, fmt.Errorf("telemetry: write log: %w", err)
	}
	return len(p), nil
}

func hasBeyondASCII(p []byte) bool {
	for _, b := range p {
		if b >= 0x7f {
			return true
		}
	}
	return false
}

func escape(p []byte) []byte {
	out := make([]byte, 0, len(p)+32)
	for _, r := range string(p) {
		if r < 0x7f || unicode.IsPrint(r) {
			out = append(out, string(r)...)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out
}
