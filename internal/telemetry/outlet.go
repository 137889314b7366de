package telemetry

import (
	"context"
	"log/slog"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// mayLeave lists the attributes that leave the process. The libraries that make
// the spans record more: addresses, user agents, paths with ids in them, the
// texts of errors, in which PostgreSQL quotes values, and commands of Redis with
// their arguments. What a later version of theirs adds stays here, too.
//
//nolint:gochecknoglobals // a table
var mayLeave = map[attribute.Key]bool{
	"http.request.method":       true,
	"http.route":                true,
	"http.response.status_code": true,
	"http.response.body.size":   true,
	"url.scheme":                true,
	"network.protocol.version":  true,
	"server.address":            true,
	"server.port":               true,
	"db.system":                 true,
	"db.system.name":            true,
	"db.query.text":             true, // with placeholders
	"db.redis.num_cmd":          true,
	"error.type":                true,
	"exception.type":            true,
}

// outlet is the only way out for spans. It sends those of requests, with what
// may leave, and loses those that nobody takes. The processor calls it from one
// goroutine at a time.
type outlet struct {
	exporter sdktrace.SpanExporter
	log      *slog.Logger
	failing  bool
}

// ExportSpans implements [sdktrace.SpanExporter]. It returns no error, which the
// library would print for every batch.
func (o *outlet) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	out := make([]sdktrace.ReadOnlySpan, 0, len(spans))
	for _, s := range spans {
		// What runs by itself, once a second and more often, is no request's.
		if s.Parent().IsValid() || s.SpanKind() == trace.SpanKindServer {
			out = append(out, stripped{s})
		}
	}
	err := o.exporter.ExportSpans(ctx, out)
	switch {
	case err != nil && !o.failing:
		o.log.WarnContext(ctx, "traces are lost", slog.Any("err", err))
	case err == nil && o.failing && len(out) > 0:
		o.log.InfoContext(ctx, "traces are taken again")
	case len(out) == 0:
		return nil
	}
	o.failing = err != nil
	return nil
}

// Shutdown implements [sdktrace.SpanExporter].
func (o *outlet) Shutdown(ctx context.Context) error { return o.exporter.Shutdown(ctx) }

// stripped is a span with only what may leave.
type stripped struct{ sdktrace.ReadOnlySpan }

// Attributes implements [sdktrace.ReadOnlySpan].
func (s stripped) Attributes() []attribute.KeyValue { return strip(s.ReadOnlySpan.Attributes()) }

// Events implements [sdktrace.ReadOnlySpan].
func (s stripped) Events() []sdktrace.Event {
	events := slices.Clone(s.ReadOnlySpan.Events())
	for i := range events {
		events[i].Attributes = strip(events[i].Attributes)
	}
	return events
}

// Status implements [sdktrace.ReadOnlySpan]. Its description is the text of an
// error.
func (s stripped) Status() sdktrace.Status {
	return sdktrace.Status{Code: s.ReadOnlySpan.Status().Code}
}

func strip(all []attribute.KeyValue) []attribute.KeyValue {
	return slices.DeleteFunc(slices.Clone(all), func(a attribute.KeyValue) bool { return !mayLeave[a.Key] })
}
