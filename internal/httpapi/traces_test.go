package httpapi_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanID  = "00f067aa0ba902b7"
	parent  = "traceparent: 00-" + traceID + "-" + spanID + "-01"
)

// spansOf returns the spans of n requests, which end after their answers.
func spansOf(t *testing.T, r *tracetest.SpanRecorder, n int) []sdktrace.ReadOnlySpan {
	t.Helper()
	for end := time.Now().Add(time.Minute); len(r.Ended()) < n && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if got := r.Ended(); len(got) == n {
		return got
	}
	t.Fatalf("%d spans, want %d", len(r.Ended()), n)
	return nil
}

func traced(t *testing.T) (*api, *tracetest.SpanRecorder) {
	t.Helper()
	r := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r))
	return newAPI(t, func(o *options) { o.spans = provider }), r
}

func TestRequestsBecomeSpans(t *testing.T) {
	a, r := traced(t)
	a.do(http.MethodPost, "/v1/login?next=canary", object{"identifier": "ada", "password": goodPass}, parent)
	a.do(http.MethodGet, "/v1/nowhere", nil)
	a.must(a.db.Close())
	a.do(http.MethodPost, "/v1/login", object{"identifier": "ada", "password": goodPass})
	got := spansOf(t, r, 3)
	for i, want := range []struct {
		name   string
		http   int64
		status codes.Code
	}{
		{"POST /v1/login", 401, codes.Unset}, // the client's mistake is no error of the server's
		{"GET", 404, codes.Unset},
		{"POST /v1/login", 500, codes.Error},
	} {
		status := slices.Index(got[i].Attributes(), attribute.Int64("http.response.status_code", want.http))
		if got[i].Name() != want.name || got[i].Status().Code != want.status || status < 0 || got[i].SpanKind() != trace.SpanKindServer {
			t.Errorf("span %s, %v, %v; want %v", got[i].Name(), got[i].Status(), got[i].Attributes(), want)
		}
	}
	if p := got[0].Parent(); p.TraceID().String() != traceID || p.SpanID().String() != spanID || !p.IsRemote() {
		t.Errorf("parent = %v", p)
	}
	if got[1].Parent().IsValid() {
		t.Errorf("parent of a request without traceparent = %v", got[1].Parent())
	}
	if !slices.Contains(got[0].Attributes(), attribute.String("server.address", "localhost")) {
		t.Errorf("the server's name is the client's idea: %v", got[0].Attributes())
	}
}

func TestSupervisorsAreNotTraced(t *testing.T) {
	a, r := traced(t)
	a.do(http.MethodGet, "/healthz", nil, parent)
	a.do(http.MethodHead, "/readyz", nil, parent)
	a.do(http.MethodGet, "/.well-known/jwks.json", nil)
	if got := spansOf(t, r, 1); got[0].Name() != "GET /.well-known/jwks.json" {
		t.Errorf("span %s", got[0].Name())
	}
}
