package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// flushFor is how long [Tracing.Close] tries to send what is still there.
const flushFor = 5 * time.Second

// Tracing sends spans to a collector, over HTTP. Create one with [NewTracing]. A
// nil Tracing is one that is off. It leaves the library's global state alone:
// who makes spans is handed the provider.
type Tracing struct {
	provider *sdktrace.TracerProvider
	outlet   *outlet
}

// NewTracing returns Tracing as OpenTelemetry's standard variables, read from
// the environment of the process, want it. Spans are sent in
// the background, and dropped while the collector does not keep up or is away;
// log is told once when that begins and once when it is over.
func NewTracing(ctx context.Context, version string, log *slog.Logger) (*Tracing, error) {
	to, err := readDestination()
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	exporter, err := otlptrace.New(ctx, newCollector(to, version))
	if err != nil {
		return nil, fmt.Errorf("telemetry: prepare the export of traces: %w", err)
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "jotgate"), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv()) // the last one wins
	if err != nil {
		return nil, errors.Join(fmt.Errorf("telemetry: OTEL_RESOURCE_ATTRIBUTES: %w", err), exporter.Shutdown(ctx))
	}
	o := &outlet{exporter: exporter, log: log}
	return &Tracing{sdktrace.NewTracerProvider(sdktrace.WithResource(about), sdktrace.WithBatcher(o)), o}, nil
}

// Provider returns where spans are made, or nil if tracing is off.
func (t *Tracing) Provider() trace.TracerProvider { //nolint:ireturn // nil is no provider, as for everybody who takes one
	if t == nil {
		return nil
	}
	return t.provider
}

// Logger returns log, with the ids of the span in each line that is written
// within one.
func (t *Tracing) Logger(log *slog.Logger) *slog.Logger {
	if t == nil {
		return log
	}
	return slog.New(spanned{log.Handler()})
}

// Close sends what is left, for five seconds at most, and stops. A collector that
// is away is in the log already and no reason to fail.
func (t *Tracing) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	err := t.provider.Shutdown(bounded)
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	// The library goes on in the background with what it has begun. This ends it.
	return t.outlet.exporter.Shutdown(ctx)
}

// spanned adds the span of a line's context to the line.
type spanned struct{ slog.Handler }

// Handle implements [slog.Handler].
func (h spanned) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r = r.Clone()
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h spanned) WithAttrs(attrs []slog.Attr) slog.Handler {
	return spanned{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (h spanned) WithGroup(name string) slog.Handler { return spanned{h.Handler.WithGroup(name)} }
