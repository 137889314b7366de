package telemetry

import (
	"bytes"
	"log/slog"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestPlainLinesAreSlogs holds that a plain line is, byte for byte, the one that slog's
// JSON handler makes.
func TestPlainLinesAreSlogs(t *testing.T) {
	word := rapid.OneOf(rapid.StringMatching(`[ -~]{0,12}`), rapid.String())
	value := rapid.OneOf(
		rapid.Map(word, slog.StringValue), rapid.Map(rapid.Int64(), slog.Int64Value),
		rapid.Map(rapid.Int64(), func(n int64) slog.Value { return slog.DurationValue(time.Duration(n)) }),
		rapid.SampledFrom([]slog.Value{slog.BoolValue(true), slog.Float64Value(math.Pi), {}, slog.GroupValue(slog.Int("n", 1)), slog.AnyValue(nil)}),
	)
	at := rapid.Map(rapid.Int64(), func(n int64) time.Time { return time.UnixMicro(n).In(time.FixedZone("", 3600)) })
	plain := 0
	rapid.Check(t, func(t *rapid.T) {
		level := slog.Level(rapid.IntRange(-8, 3).Draw(t, "level"))
		r := slog.NewRecord(at.Draw(t, "at"), level, word.Draw(t, "message"), 0)
		for range rapid.IntRange(0, 7).Draw(t, "attributes") {
			r.AddAttrs(slog.Attr{Key: word.Draw(t, "key"), Value: value.Draw(t, "value")})
		}
		got, ok := appendPlain(nil, r)
		if !ok {
			return
		}
		plain++
		var want bytes.Buffer
		r.Time = r.Time.UTC()
		if err := slog.NewJSONHandler(&want, &slog.HandlerOptions{Level: level}).Handle(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if string(got) != want.String() {
			t.Errorf("%s, want %s", got, &want)
		}
	})
	if plain == 0 {
		t.Error("no line was plain")
	}
}
