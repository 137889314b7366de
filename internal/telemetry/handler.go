package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
)

// handler hands records on with their times in UTC, and calls urgent after those that
// tell of trouble. slog's own hook for times, ReplaceAttr, is called for every
// attribute of every line.
type handler struct {
	slog.Handler

	plain  io.Writer // for lines that need no escaping, if they are JSON; else nil
	urgent func() error
}

// lines are the buffers of plain lines.
var lines = sync.Pool{New: func() any { return new([]byte) }} //nolint:gochecknoglobals // as pools are

// Handle implements [slog.Handler].
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if done, err := h.handlePlain(r); done {
		return err
	}
	local := false
	r.Attrs(func(a slog.Attr) bool {
		local = mayHoldTime(a)
		return !local
	})
	out := r
	if local {
		out = slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
		r.Attrs(func(a slog.Attr) bool {
			out.AddAttrs(inUTC(a))
			return true
		})
	}
	out.Time = r.Time.UTC()
	if err := h.Handler.Handle(ctx, out); err != nil || r.Level < slog.LevelWarn {
		return err
	}
	return h.urgent()
}

// handlePlain writes r if it tells of no trouble and is plain.
func (h handler) handlePlain(r slog.Record) (done bool, err error) {
	if h.plain == nil || r.Level >= slog.LevelWarn {
		return false, nil
	}
	buffer := lines.Get().(*[]byte) //nolint:errcheck,forcetypeassert // the pool has no others
	defer lines.Put(buffer)
	line, ok := appendPlain((*buffer)[:0], r)
	*buffer = line
	if !ok {
		return false, nil
	}
	if _, err := h.plain.Write(line); err != nil {
		return true, fmt.Errorf("telemetry: write log: %w", err)
	}
	return true, nil
}

// WithAttrs implements [slog.Handler].
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{Handler: h.Handler.WithAttrs(allInUTC(attrs)), urgent: h.urgent}
}

// WithGroup implements [slog.Handler].
func (h handler) WithGroup(name string) slog.Handler {
	return handler{Handler: h.Handler.WithGroup(name), urgent: h.urgent}
}

func mayHoldTime(a slog.Attr) bool {
	k := a.Value.Kind()
	return k == slog.KindTime || k == slog.KindGroup || k == slog.KindLogValuer
}

func inUTC(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindTime {
		v = slog.TimeValue(v.Time().UTC())
	}
	if v.Kind() == slog.KindGroup {
		v = slog.GroupValue(allInUTC(v.Group())...)
	}
	return slog.Attr{Key: a.Key, Value: v}
}

func allInUTC(attrs []slog.Attr) []slog.Attr {
	all := slices.Clone(attrs)
	for i, a := range all {
		all[i] = inUTC(a)
	}
	return all
}
