package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/jotgate/jotgate/internal/telemetry"
)

// collector is an OTLP receiver. It answers with status, or not at all if that
// is 0, and hands on what it got.
type collector struct {
	got   chan *coltracepb.ExportTraceServiceRequest
	hung  chan struct{} // told when a request without an answer is given up
	leave func()        // answers those

	mu     sync.Mutex
	status int
}

// newCollector starts one, which the variables of the environment name.
func newCollector(t *testing.T, status int) *collector {
	t.Helper()
	gone, left := context.WithCancel(context.WithoutCancel(t.Context()))
	c := &collector{
		got: make(chan *coltracepb.ExportTraceServiceRequest, 100), hung: make(chan struct{}, 100), status: status, leave: left,
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.serve(gone, w, r) }))
	t.Cleanup(srv.Close)
	t.Cleanup(left)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", srv.URL)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1") // ms
	return c
}

func (c *collector) serve(gone context.Context, w http.ResponseWriter, r *http.Request) {
	var request coltracepb.ExportTraceServiceRequest
	body, err := io.ReadAll(r.Body)
	if err := errors.Join(err, proto.Unmarshal(body, &request)); err != nil || r.URL.Path != "/v1/traces" {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	c.mu.Lock()
	status := c.status
	c.mu.Unlock()
	c.got <- &request
	if status == 0 {
		select {
		case <-r.Context().Done():
			c.hung <- struct{}{}
		case <-gone.Done():
		}
		return
	}
	w.WriteHeader(status)
}

func (c *collector) answer(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = status
}

func (c *collector) next(t *testing.T) *coltracepb.ExportTraceServiceRequest {
	t.Helper()
	select {
	case r := <-c.got:
		return r
	case <-time.After(time.Minute):
		t.Fatal("the collector got nothing")
		return nil
	}
}

// lines is a log that several goroutines write.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func newTracing(t *testing.T, log io.Writer) *telemetry.Tracing {
	t.Helper()
	tracing, err := telemetry.NewTracing(t.Context(), "v1.2.3", slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tracing.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return tracing
}

// request makes the span of a request.
func request(t *testing.T, tracing *telemetry.Tracing, with ...attribute.KeyValue) {
	t.Helper()
	_, span := tracing.Provider().Tracer("test").Start(t.Context(), "GET /v1/me",
		trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(with...))
	span.RecordError(errors.New("canary in an error"))
	span.SetStatus(codes.Error, "canary in a status")
	span.End()
}

func TestOnlyWhatMayLeaveLeaves(t *testing.T) {
	c := newCollector(t, http.StatusOK)
	request(t, newTracing(t, io.Discard),
		attribute.String("http.route", "/v1/me"), attribute.String("url.path", "/canary"), attribute.String("url.query", "canary"),
		attribute.String("user_agent.original", "canary"), attribute.String("client.address", "canary"),
		attribute.String("network.peer.address", "canary"), attribute.String("db.statement", "GET canary"),
		attribute.String("db.connection_string", "canary"), attribute.String("invented.later", "canary"))
	got := prototext.Format(c.next(t))
	for _, want := range []string{`"http.route"`, `"/v1/me"`, "STATUS_CODE_ERROR", `"exception"`, `"exception.type"`, `"jotgate"`, `"v1.2.3"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if strings.Contains(got, "canary") {
		t.Errorf("it tells too much:\n%s", got)
	}
}

func TestResourceIsTheOperators(t *testing.T) {
	c := newCollector(t, http.StatusOK)
	t.Setenv("OTEL_SERVICE_NAME", "auth")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging,service.name=other")
	request(t, newTracing(t, io.Discard))
	about := map[string]string{}
	for _, a := range c.next(t).GetResourceSpans()[0].GetResource().GetAttributes() {
		about[a.GetKey()] = a.GetValue().GetStringValue()
	}
	if about["service.name"] != "auth" || about["deployment.environment.name"] != "staging" || about["service.version"] != "v1.2.3" {
		t.Errorf("resource = %v", about)
	}
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "no pair")
	if _, err := telemetry.NewTracing(t.Context(), "", slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "OTEL_RESOURCE_ATTRIBUTES") {
		t.Errorf("malformed attributes: %v", err)
	}
}

func TestSamplerIsTheOperators(t *testing.T) {
	newCollector(t, http.StatusOK)
	t.Setenv("OTEL_TRACES_SAMPLER", "always_off")
	_, span := newTracing(t, io.Discard).Provider().Tracer("test").Start(t.Context(), "x")
	if span.IsRecording() {
		t.Error("a span is recorded that the sampler does not want")
	}
}

// TestTracesBeginWithARequest makes spans of work in the background, which has
// no request.
func TestTracesBeginWithARequest(t *testing.T) {
	c := newCollector(t, http.StatusOK)
	tracing := newTracing(t, io.Discard)
	_, span := tracing.Provider().Tracer("test").Start(t.Context(), "DELETE")
	span.End()
	request(t, tracing)
	if err := tracing.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := prototext.Format(c.next(t)); len(c.got) > 0 || strings.Contains(got, "DELETE") {
		t.Errorf("the collector got %s", got)
	}
}

// TestLostTracesAreToldOnce has a collector fail for three batches and come back.
func TestLostTracesAreToldOnce(t *testing.T) {
	c := newCollector(t, http.StatusBadRequest)
	var log lines
	tracing := newTracing(t, &log)
	for range 3 {
		request(t, tracing)
		c.next(t)
	}
	c.answer(http.StatusOK)
	for range 2 {
		request(t, tracing)
		c.next(t)
	}
	if err := tracing.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := log.String()
	if strings.Count(got, "traces are lost") != 1 || strings.Count(got, "traces are taken again") != 1 || strings.Count(got, "\n") != 2 {
		t.Errorf("log:\n%s", got)
	}
}

// TestCloseIsBounded has a collector that takes and never answers.
func TestCloseIsBounded(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) }) // after the collector has gone
	c := newCollector(t, 0)
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000")
	t.Setenv("OTEL_BSP_EXPORT_TIMEOUT", "3600000")
	var log lines
	tracing := newTracing(t, &log)
	request(t, tracing)
	c.next(t)
	closed := make(chan error, 1)
	go func() { closed <- tracing.Close(t.Context()) }()
	select {
	case err := <-closed:
		if err != nil {
			t.Errorf("Close = %v", err)
		}
	case <-time.After(20 * time.Second):
		c.leave()
		t.Fatal("Close waits for a collector that does not answer")
	}
	select {
	case <-c.hung:
	case <-time.After(20 * time.Second): // long before it would give up by itself
		t.Error("the export goes on after Close")
	}
}

func TestLinesOfASpanHaveItsIDs(t *testing.T) {
	newCollector(t, http.StatusOK)
	var log lines
	tracing := newTracing(t, io.Discard)
	traced := tracing.Logger(slog.New(slog.NewTextHandler(&log, nil))).With("a", 1)
	ctx, span := tracing.Provider().Tracer("test").Start(t.Context(), "x")
	defer span.End()
	traced.InfoContext(ctx, "served")
	want := "a=1 trace_id=" + span.SpanContext().TraceID().String() + " span_id=" + span.SpanContext().SpanID().String() + "\n"
	if got := log.String(); !strings.HasSuffix(got, want) {
		t.Errorf("line = %q, want one with %q", got, want)
	}
	traced.InfoContext(t.Context(), "idle")
	if got := log.String(); strings.Count(got, "trace_id") != 1 {
		t.Errorf("a line of no span has ids: %q", got)
	}
}

func TestTracingThatIsOff(t *testing.T) {
	var off *telemetry.Tracing
	log := slog.New(slog.DiscardHandler)
	if off.Provider() != nil || off.Logger(log) != log || off.Close(t.Context()) != nil {
		t.Error("tracing that is off does something")
	}
}
