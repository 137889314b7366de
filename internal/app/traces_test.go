package app_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/redistest"
	"github.com/jotgate/jotgate/internal/telemetry"
)

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanID  = "00f067aa0ba902b7"
	secret  = "canary horse battery staple"
)

// collector takes traces as OpenTelemetry's collector does.
type collector struct {
	url string

	mu    sync.Mutex
	spans []*tracepb.Span
	text  string // all that came
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	srv := httptest.NewServer(c)
	t.Cleanup(srv.Close)
	c.url = srv.URL
	return c
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request coltracepb.ExportTraceServiceRequest
	body, err := io.ReadAll(r.Body)
	if err := errors.Join(err, proto.Unmarshal(body, &request)); err != nil || r.URL.Path != "/v1/traces" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text += prototext.Format(&request)
	for _, resource := range request.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
}

// caller makes requests of a running program.
type caller struct {
	*testing.T
	url string
}

func (c caller) do(method, path, body string, headers ...string) (status int, answer string) {
	c.Helper()
	req, err := http.NewRequestWithContext(c.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		c.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// login is the answer to a login.
type login struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Session struct {
		ID string `json:"id"`
	} `json:"session"`
	User struct {
		ID string `json:"id"`
	} `json:"user"`
}

// signIn registers and logs in with all that must not be told, and returns what
// must not be told either.
func (c caller) signIn() login {
	c.Helper()
	if status, body := c.do("POST", "/v1/users", `{"username":"canary","password":"`+secret+`"}`); status != 201 {
		c.Fatal(body)
	}
	status, body := c.do("POST", "/v1/login?debug=canary", `{"identifier":"canary","password":"`+secret+`"}`,
		"traceparent: 00-"+traceID+"-"+spanID+"-01", "baggage: who=canary", "Cookie: theme=canary", "User-Agent: canary/1",
		"X-Forwarded-For: 192.0.2.77", "Authorization: Bearer canary")
	if status != 200 {
		c.Fatal(body)
	}
	var l login
	if err := json.Unmarshal([]byte(body), &l); err != nil {
		c.Fatal(err)
	}
	return l
}

// traced runs a program with variables of OpenTelemetry while f uses it, and
// returns what it logged. All spans have been sent by then.
func traced(t *testing.T, f func(c caller), variables ...string) string {
	t.Helper()
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	var out bytes.Buffer
	log, err := telemetry.NewLogger(&out, "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), settings(t, append([]string{"JOTGATE_RATE_LIMIT_ENABLED=false"}, variables...)...), app.Build{Version: "test"}, log)
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, a)
	f(caller{t, "http://" + r.API.String()})
	if err := errors.Join(r.stop(), a.Close()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTracesOfALogin(t *testing.T) {
	c := newCollector(t)
	var l login
	log := traced(t, func(api caller) {
		l = api.signIn()
		api.do("GET", "/v1/me", "", "Authorization: Bearer "+l.Access)
		api.do("POST", "/v1/login", `{"identifier":"canary","password":"canary but a wrong one"}`)
		api.do("POST", "/v1/refresh", fmt.Sprintf(`{"refresh_token":%q}`, l.Refresh))
		api.do("GET", "/canary/"+l.Access, "")
		api.do("DELETE", "/v1/sessions/"+l.Session.ID, "", "Authorization: Bearer "+l.Access)
		api.do("GET", "/healthz", "")
		api.do("GET", "/readyz", "")
	}, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.url)

	i := slices.IndexFunc(c.spans, func(s *tracepb.Span) bool {
		return hex.EncodeToString(s.GetTraceId()) == traceID && s.GetKind() == tracepb.Span_SPAN_KIND_SERVER
	})
	if i < 0 {
		t.Fatalf("no span of the trace that was asked for in %s", c.text)
	}
	request := c.spans[i]
	if request.GetName() != "POST /v1/login" || hex.EncodeToString(request.GetParentSpanId()) != spanID {
		t.Errorf("span %q, parent %x", request.GetName(), request.GetParentSpanId())
	}
	wantStatements(t, c.spans, request.GetSpanId())
	ids := fmt.Sprintf(`"trace_id":"%s","span_id":"%x"`, traceID, request.GetSpanId())
	if !strings.Contains(log, ids) {
		t.Errorf("no line with %s in\n%s", ids, log)
	}
	for _, hidden := range []string{"canary", secret, l.Access, l.Refresh, l.Session.ID, l.User.ID, "127.0.0.1", "192.0.2.77"} {
		if strings.Contains(c.text, hidden) {
			t.Errorf("the spans tell %q", hidden)
		}
	}
	for _, s := range c.spans {
		if len(s.GetParentSpanId()) == 0 && s.GetKind() != tracepb.Span_SPAN_KIND_SERVER {
			t.Errorf("%q is a trace of its own", s.GetName())
		}
		if strings.Contains(s.GetName(), "healthz") || strings.Contains(s.GetName(), "readyz") {
			t.Errorf("%q is traced", s.GetName())
		}
	}
}

// wantStatements looks for what a login has to write, among the children of its
// span.
func wantStatements(t *testing.T, spans []*tracepb.Span, parent []byte) {
	t.Helper()
	var statements []string
	for _, s := range spans {
		if bytes.Equal(s.GetParentSpanId(), parent) && s.GetKind() == tracepb.Span_SPAN_KIND_CLIENT {
			for _, a := range s.GetAttributes() {
				if a.GetKey() == "db.query.text" {
					statements = append(statements, a.GetValue().GetStringValue())
				}
			}
		}
	}
	insert := slices.IndexFunc(statements, func(s string) bool { return strings.HasPrefix(s, "INSERT INTO `sessions`") })
	if insert < 0 || !strings.Contains(statements[insert], "?") {
		t.Errorf("no session is written in %q", statements)
	}
}

func TestTracesOfRedis(t *testing.T) {
	c := newCollector(t)
	traced(t, func(api caller) { api.signIn() }, "OTEL_EXPORTER_OTLP_ENDPOINT="+c.url,
		"JOTGATE_RATE_LIMIT_ENABLED=true", "JOTGATE_REDIS_URL="+redistest.Start(t).URL())
	within := false
	for _, s := range c.spans {
		asks := s.GetKind() == tracepb.Span_SPAN_KIND_CLIENT && strings.HasPrefix(s.GetName(), "eval")
		within = within || asks && hex.EncodeToString(s.GetTraceId()) == traceID
	}
	if !within {
		t.Errorf("a login asks no Redis in %s", c.text)
	}
	for _, hidden := range []string{"canary", "jotgate:limit"} {
		if strings.Contains(c.text, hidden) {
			t.Errorf("the spans tell %q", hidden)
		}
	}
}

func TestTracesAreOffUnlessAskedFor(t *testing.T) {
	c := newCollector(t)
	endpoint := "OTEL_EXPORTER_OTLP_ENDPOINT=" + c.url
	for name, variables := range map[string][]string{
		"nothing said": {"OTEL_SERVICE_NAME=auth"},
		"disabled":     {endpoint, "OTEL_SDK_DISABLED=true"},
		"no exporter":  {endpoint, "OTEL_TRACES_EXPORTER=none"},
	} {
		t.Run(name, func(t *testing.T) {
			log := traced(t, func(api caller) { api.signIn() }, variables...)
			if strings.Contains(log, "trace_id") {
				t.Errorf("log:\n%s", log)
			}
		})
	}
	if len(c.spans) > 0 {
		t.Errorf("the collector got %s", c.text)
	}
}

func TestCollectorIsAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	log := traced(t, func(api caller) { api.signIn() }, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+addr, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=1")
	if got := strings.Count(log, "traces are lost"); got != 1 {
		t.Errorf("the loss is told %d times in\n%s", got, log)
	}
}
