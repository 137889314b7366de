package telemetry

import (
	"log/slog"
	"strconv"
	"time"
)

// appendPlain appends the line that slog's JSON handler makes of r, or reports that it
// cannot. It knows texts in which nothing is to be escaped, whole numbers and durations:
// what is logged of each request, for which the handler takes several times as long.
func appendPlain(b []byte, r slog.Record) (line []byte, ok bool) {
	if r.Time.IsZero() || r.Time.Year() < 0 || r.Time.Year() > 9999 {
		return b, false
	}
	b = append(b, `{"time":"`...)
	b = r.Time.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","level":"`...)
	b = append(b, r.Level.String()...)
	b = append(b, `","msg":`...)
	b, ok = appendText(b, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		if ok = ok && a.Key != ""; ok {
			b, ok = appendText(append(b, ','), a.Key)
		}
		if ok {
			b, ok = appendValue(append(b, ':'), a.Value)
		}
		return ok
	})
	return append(b, '}', '\n'), ok
}

func appendValue(b []byte, v slog.Value) (line []byte, ok bool) {
	switch v.Kind() { //nolint:exhaustive // the others are the handler's
	case slog.KindString:
		return appendText(b, v.String())
	case slog.KindInt64:
		return strconv.AppendInt(b, v.Int64(), 10), true
	case slog.KindDuration:
		return strconv.AppendInt(b, int64(v.Duration()), 10), true
	}
	return b, false
}

func appendText(b []byte, s string) (line []byte, ok bool) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return b, false
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"'), true
}
