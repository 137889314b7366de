package telemetry

import (
	"context"
	"log/slog"
	"slices"
)

// handler hands records on with their times in UTC, and calls urgent after those that
// tell of trouble. slog's own hook for times, ReplaceAttr, is called for every
// attribute of every line.
type handler struct {
	slog.Handler

	urgent func() error
}

// Handle implements [slog.Handler].
func (h handler) Handle(ctx context.Context, r slog.Record) error {
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

// WithAttrs implements [slog.Handler].
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(allInUTC(attrs)), h.urgent}
}

// WithGroup implements [slog.Handler].
func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.Handler.WithGroup(name), h.urgent}
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
