package telemetry

import (
	"context"
	"log/slog"
	"slices"
)

// utc hands records on with their times in UTC. slog's own hook for that, ReplaceAttr,
// is called for every attribute of every line.
type utc struct{ slog.Handler }

// Handle implements [slog.Handler].
func (h utc) Handle(ctx context.Context, r slog.Record) error {
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
	return h.Handler.Handle(ctx, out)
}

// WithAttrs implements [slog.Handler].
func (h utc) WithAttrs(attrs []slog.Attr) slog.Handler {
	return utc{h.Handler.WithAttrs(allInUTC(attrs))}
}

// WithGroup implements [slog.Handler].
func (h utc) WithGroup(name string) slog.Handler { return utc{h.Handler.WithGroup(name)} }

func mayHoldTime(a slog.Attr) bool {
	switch a.Value.Kind() {
	case slog.KindTime, slog.KindGroup, slog.KindLogValuer:
		return true
	}
	return false
}

func inUTC(a slog.Attr) slog.Attr {
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindTime:
		a.Value = slog.TimeValue(v.Time().UTC())
	case slog.KindGroup:
		a.Value = slog.GroupValue(allInUTC(v.Group())...)
	default:
		a.Value = v
	}
	return a
}

func allInUTC(attrs []slog.Attr) []slog.Attr {
	all := slices.Clone(attrs)
	for i, a := range all {
		all[i] = inUTC(a)
	}
	return all
}
