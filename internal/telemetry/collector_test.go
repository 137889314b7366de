package telemetry_test

import (
	"compress/gzip"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/jotgate/jotgate/internal/telemetry"
)

// taken is what a collector got.
type taken struct {
	path   string
	header http.Header
	spans  int
}

// take answers with a collector's success and hands on what it got.
func take(t *testing.T, got chan<- taken) http.HandlerFunc {
	t.Helper()
	return func(_ http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			unpacked, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = unpacked
		}
		all, err := io.ReadAll(body)
		if err != nil {
			t.Error(err)
		}
		var request coltracepb.ExportTraceServiceRequest
		if err := proto.Unmarshal(all, &request); err != nil {
			t.Error(err)
		}
		got <- taken{r.URL.RequestURI(), r.Header, len(request.GetResourceSpans())}
	}
}

// sent makes a span and returns what arrived of it.
func sent(t *testing.T, got <-chan taken) taken {
	t.Helper()
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1") // ms
	var log lines
	request(t, newTracing(t, &log))
	select {
	case one := <-got:
		return one
	case <-time.After(time.Minute):
		t.Fatalf("the collector got nothing; log: %s", &log)
		return taken{}
	}
}

func TestStandardVariablesSayWhereTo(t *testing.T) {
	tests := []struct {
		name, base, traces, path string // URLs without the server
	}{
		{"of all signals", "", "-", "/v1/traces"},
		{"of all signals, below a path", "/otlp/?token=x", "-", "/otlp/v1/traces"},
		{"of traces", "/wrong", "/my/traces/", "/my/traces/"},
		{"of traces, no path", "/wrong", "", "/"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := make(chan taken, 9)
			srv := httptest.NewServer(take(t, got))
			t.Cleanup(srv.Close)
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", srv.URL+tt.base)
			if tt.traces != "-" {
				t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", srv.URL+tt.traces)
			}
			if one := sent(t, got); one.path != tt.path || one.spans != 1 {
				t.Errorf("%s got %d, want 1 at %s", one.path, one.spans, tt.path)
			}
		})
	}
}

func TestStandardVariablesSayHow(t *testing.T) {
	got := make(chan taken, 9)
	srv := httptest.NewServer(take(t, got))
	t.Cleanup(srv.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", srv.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic%20YTpi, x-tenant = a%2Cb ")
	t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip")
	one := sent(t, got)
	for name, want := range map[string]string{
		"Authorization": "Basic YTpi", "X-Tenant": "a,b", "Content-Encoding": "gzip", "Content-Type": "application/x-protobuf", "User-Agent": "jotgate/v1.2.3",
	} {
		if one.header.Get(name) != want {
			t.Errorf("%s = %q, want %q", name, one.header.Get(name), want)
		}
	}
}

// TestCollectorOverTLS has a collector with a certificate that no machine trusts.
func TestCollectorOverTLS(t *testing.T) {
	got := make(chan taken, 9)
	srv := httptest.NewTLSServer(take(t, got))
	t.Cleanup(srv.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", srv.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", file)
	if one := sent(t, got); one.spans != 1 {
		t.Errorf("got %+v", one)
	}
}

func TestVariablesThatAreWrongAreNamed(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_HEADERS": "s3cret", "OTEL_EXPORTER_OTLP_TIMEOUT": "10s", "OTEL_EXPORTER_OTLP_COMPRESSION": "zstd",
		"OTEL_EXPORTER_OTLP_CERTIFICATE": missing, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": missing, "OTEL_EXPORTER_OTLP_ENDPOINT": "s3cret",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
			t.Setenv(name, value)
			_, err := telemetry.NewTracing(t.Context(), "", slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("error = %v", err)
			}
		})
	}
}

// TestBusyCollectorIsAskedAgain has a collector that has no time for the first
// request.
func TestBusyCollectorIsAskedAgain(t *testing.T) {
	got := make(chan taken, 9)
	var asked atomic.Int64
	accept := take(t, got)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		accept(w, r)
	}))
	t.Cleanup(srv.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", srv.URL)
	if one := sent(t, got); one.spans != 1 || asked.Load() != 2 {
		t.Errorf("got %+v after %d requests", one, asked.Load())
	}
}

func TestSlowCollectorIsGivenUp(t *testing.T) {
	c := newCollector(t, 0)
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "20") // ms
	request(t, newTracing(t, io.Discard))
	c.next(t)
	select {
	case <-c.hung:
	case <-time.After(time.Minute):
		t.Error("the request is not given up")
	}
	c.answer(http.StatusOK)
}

// TestRefusedSpansAreTold has a collector that takes the request and not what is
// in it.
func TestRefusedSpansAreTold(t *testing.T) {
	answer, err := proto.Marshal(&coltracepb.ExportTraceServiceResponse{
		PartialSuccess: &coltracepb.ExportTracePartialSuccess{RejectedSpans: 7, ErrorMessage: "too old"},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write(answer)
	}))
	t.Cleanup(srv.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", srv.URL)
	var log lines
	tracing := newTracing(t, &log)
	request(t, tracing)
	if err := tracing.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); !strings.Contains(got, "refuses 7 spans") || !strings.Contains(got, "too old") {
		t.Errorf("log = %q", got)
	}
}
