package telemetry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/telemetry"
)

func newLogger(t *testing.T, level, format string) (*slog.Logger, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	log, err := telemetry.NewLogger(&out, level, format)
	if err != nil {
		t.Fatal(err)
	}
	return log, &out
}

func TestNewLoggerRefusesUnknownSettings(t *testing.T) {
	tests := []struct {
		level, format string
		ok            bool
	}{
		{"debug", "json", true},
		{"info", "text", true},
		{"warn", "json", true},
		{"error", "text", true},
		{"loud", "json", false},
		{"", "json", false},
		{"info", "xml", false},
		{"info", "", false},
	}
	for _, tt := range tests {
		log, err := telemetry.NewLogger(&bytes.Buffer{}, tt.level, tt.format)
		if (err == nil) != tt.ok || (log != nil) != tt.ok {
			t.Errorf("NewLogger(%q, %q) = %v, %v; want ok %t", tt.level, tt.format, log, err, tt.ok)
		}
	}
}

func TestLevelIsTheLeastLogged(t *testing.T) {
	levels := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	for i, level := range []string{"debug", "info", "warn", "error"} {
		log, out := newLogger(t, level, "json")
		for _, l := range levels {
			log.Log(t.Context(), l, "served")
		}
		if got, want := strings.Count(out.String(), "\n"), len(levels)-i; got != want {
			t.Errorf("level %s logged %d lines, want %d", level, got, want)
		}
	}
}

func TestTimesAreUTC(t *testing.T) {
	at := time.Date(2026, 1, 2, 1, 30, 0, 0, time.FixedZone("", 2*60*60))
	record := slog.NewRecord(at, slog.LevelInfo, "served", 0)
	record.AddAttrs(slog.Time("expires_at", at), slog.Group("token", slog.Time("issued_at", at)))
	for format, want := range map[string]string{
		"json": `{"time":"2026-01-01T23:30:00Z","level":"INFO","msg":"served",` +
			`"expires_at":"2026-01-01T23:30:00Z","token":{"issued_at":"2026-01-01T23:30:00Z"}}` + "\n",
		"text": "time=2026-01-01T23:30:00.000Z level=INFO msg=served " +
			"expires_at=2026-01-01T23:30:00.000Z token.issued_at=2026-01-01T23:30:00.000Z\n",
	} {
		log, out := newLogger(t, "info", format)
		if err := log.Handler().Handle(t.Context(), record); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
	}
}

// hostile are values that would forge a line, or draw on the terminal of
// whoever reads the log.
var hostile = []string{
	"a\nlevel=ERROR msg=forged",
	"a\r\n{\"msg\":\"forged\"}",
	"\x1b[2J\x1b]0;title\a",
	"nul\x00 and del\x7f",
	"\u009b31m c1 and \u0085 next line",
	"\u202egnp.exe \u2066isolate\u2069 \u200b \u2028 \u2029",
	"\U000e0041 tag, not in the basic plane",
	"broken \xff\xc2 utf-8",
	`quote " backslash \ <html>`,
}

func TestNothingUnprintableReachesTheLog(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		for _, value := range hostile {
			log, out := newLogger(t, "info", format)
			record := slog.NewRecord(time.Unix(0, 0), slog.LevelInfo, value, 0)
			record.AddAttrs(slog.String(value, value), slog.Any("err", errors.New(value)), slog.Any("list", []string{value}))
			if err := log.Handler().Handle(t.Context(), record); err != nil {
				t.Fatal(err)
			}
			line, ok := strings.CutSuffix(out.String(), "\n")
			if !ok {
				t.Errorf("%s: %q is not a whole line", format, out)
			}
			if i := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
				t.Errorf("%s: %q was logged with an unprintable character: %q", format, value, line[i:])
			}
		}
	}
}

func TestEscapingJSONLosesNothing(t *testing.T) {
	for _, value := range append(hostile, "Zoë 日本語 😀", "plain") {
		log, out := newLogger(t, "info", "json")
		log.Info("served", "value", value)
		var got struct{ Value string }
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		if want := strings.ToValidUTF8(strings.ReplaceAll(value, "\xff\xc2", "\ufffd\ufffd"), ""); got.Value != want {
			t.Errorf("logged %q, read back %q", want, got.Value)
		}
	}
	log, out := newLogger(t, "info", "json")
	log.Info("served", "value", "Zoë 日本語 😀")
	if !strings.Contains(out.String(), "Zoë 日本語 😀") {
		t.Errorf("printable text was escaped: %s", out)
	}
}

type brokenWriter struct{}

var errDisk = errors.New("disk full")

func (brokenWriter) Write([]byte) (int, error) { return 0, errDisk }

func TestWriteErrorIsReturned(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		log, err := telemetry.NewLogger(brokenWriter{}, "info", format)
		if err != nil {
			t.Fatal(err)
		}
		record := slog.NewRecord(time.Unix(0, 0), slog.LevelInfo, "served", 0)
		if err := log.Handler().Handle(t.Context(), record); !errors.Is(err, errDisk) {
			t.Errorf("%s: Handle = %v, want %v", format, err, errDisk)
		}
	}
}

// touchy tells of writes that overlap.
type touchy struct {
	busy     atomic.Bool
	overlaps atomic.Int64
}

func (w *touchy) Write(p []byte) (int, error) {
	if w.busy.Swap(true) {
		w.overlaps.Add(1)
	}
	runtime.Gosched()
	w.busy.Store(false)
	return len(p), nil
}

func TestLinesAreWrittenOneByOne(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		var w touchy
		log, err := telemetry.NewLogger(&w, "info", format)
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 200 {
					log.Info("plain", slog.Int("n", 1))
					log.Info("to be escaped", slog.String("name", "ä"))
				}
			})
		}
		all.Wait()
		if n := w.overlaps.Load(); n > 0 {
			t.Errorf("%s: %d writes began before the one before them ended", format, n)
		}
	}
}
