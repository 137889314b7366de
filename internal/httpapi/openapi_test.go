package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/jotgate/jotgate/internal/httpapi"
	"github.com/jotgate/jotgate/internal/telemetry"
	"github.com/jotgate/jotgate/pkg/bearer"
)

// described is the document as the program serves it.
var described = sync.OnceValues(func() (*openapi3.T, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "/openapi.json", nil)
	if err != nil {
		return nil, err
	}
	h, err := httpapi.New(bare())
	if err != nil {
		return nil, err
	}
	var answer recorder
	h.ServeHTTP(&answer, req)
	for _, kind := range []string{"text/html", "text/css", "text/javascript", "image/svg+xml"} {
		openapi3filter.RegisterBodyDecoder(kind, openapi3filter.PlainBodyDecoder)
	}
	doc, err := openapi3.NewLoader().LoadFromData(answer.Bytes())
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate(context.Background())
})

// bare is a configuration for routes that ask nobody.
func bare() httpapi.Config {
	return httpapi.Config{
		PublicURL: issuer, Log: slog.New(slog.DiscardHandler), Now: time.Now, Metrics: telemetry.NewMetrics("test", "none"),
		Verifier: &bearer.Verifier{}, SampleApp: true,
	}
}

type recorder struct {
	bytes.Buffer
	header http.Header
}

func (r *recorder) Header() http.Header {
	if r.header == nil {
		r.header = http.Header{}
	}
	return r.header
}

func (r *recorder) WriteHeader(int) {}

var documentRouter = sync.OnceValues(func() (routers.Router, error) {
	doc, err := described()
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

// validateExchange fails the test if the document does not describe the answer,
// or a request that was taken.
func validateExchange(t *testing.T, req *http.Request, reqBody []byte, res *http.Response, resBody []byte) {
	t.Helper()
	router, err := documentRouter()
	if err != nil {
		t.Fatal(err)
	}
	as := req.Clone(req.Context())
	as.URL.Scheme, as.URL.Host = "", ""
	as.Body = io.NopCloser(bytes.NewReader(reqBody))
	if as.Method == http.MethodHead {
		as.Method, resBody = http.MethodGet, nil
	}
	route, params, err := router.FindRoute(as)
	if err != nil {
		if res.StatusCode != http.StatusNotFound && res.StatusCode != http.StatusMethodNotAllowed && res.StatusCode != http.StatusNoContent {
			t.Errorf("%s %s answers %d and is not in the document", req.Method, req.URL.Path, res.StatusCode)
		}
		return
	}
	in := &openapi3filter.RequestValidationInput{
		Request: as, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, MultiError: true},
	}
	if res.StatusCode < 300 {
		if err := openapi3filter.ValidateRequest(req.Context(), in); err != nil {
			t.Errorf("%s %s was taken and does not fit the document: %v", req.Method, req.URL.Path, err)
		}
	}
	if req.Method == http.MethodHead {
		in.Options.ExcludeResponseBody = true
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: res.StatusCode, Header: res.Header,
		Body: io.NopCloser(bytes.NewReader(resBody)), Options: in.Options,
	}
	if err := openapi3filter.ValidateResponse(req.Context(), out); err != nil {
		t.Errorf("%s %s: the answer %d does not fit the document: %v\n%s", req.Method, req.URL.Path, res.StatusCode, err, resBody)
	}
	wantCodeListed(t, route, res, resBody)
	wantHeadersListed(t, route, res)
}

// wantHeadersListed fails the test if the answer has a header that the document does
// not have there, and that not every answer may have.
func wantHeadersListed(t *testing.T, route *routers.Route, res *http.Response) {
	t.Helper()
	documented := route.Operation.Responses.Status(res.StatusCode)
	if documented == nil {
		return // that is told already
	}
	anywhere := []string{
		"Cache-Control", "Connection", "Content-Length", "Content-Security-Policy", "Content-Type", "Date", "Pragma", "Referrer-Policy",
		"Strict-Transport-Security", "Vary", "X-Content-Type-Options", "X-Request-Id",
	}
	for name := range documented.Value.Headers {
		anywhere = append(anywhere, http.CanonicalHeaderKey(name))
	}
	for name := range res.Header {
		if !slices.Contains(anywhere, name) && !strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("%s %s: the answer %d has %s, which is not in the document", route.Method, route.Path, res.StatusCode, name)
		}
	}
}

// wantCodeListed fails the test if the description of the answer does not name
// its problem code.
func wantCodeListed(t *testing.T, route *routers.Route, res *http.Response, body []byte) {
	t.Helper()
	if res.StatusCode < 400 || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/problem+json") || len(body) == 0 {
		return
	}
	var p struct{ Code string }
	if err := json.Unmarshal(body, &p); err != nil {
		t.Fatal(err)
	}
	documented := route.Operation.Responses.Status(res.StatusCode)
	if documented == nil || !strings.Contains(*documented.Value.Description, "`"+p.Code+"`") {
		t.Errorf("%s %s: code %s is not in the description of %d", route.Method, route.Path, p.Code, res.StatusCode)
	}
}

// TestReadersShowNoOrigin holds that the document lists csrf-rejected for no GET but
// forward-auth, which judges the request that a proxy tells of.
func TestReadersShowNoOrigin(t *testing.T) {
	doc, err := described()
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.Paths.Map() {
		if item.Get == nil {
			continue
		}
		refused := item.Get.Responses.Status(http.StatusForbidden)
		listed := refused != nil && strings.Contains(*refused.Value.Description, "csrf-rejected")
		if listed != (path == "/v1/forward-auth") {
			t.Errorf("GET %s lists csrf-rejected: %t", path, listed)
		}
	}
}

func TestDocumentIsValid(t *testing.T) {
	doc, err := described()
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.OperationID == "" || op.Summary == "" || ids[op.OperationID] {
				t.Errorf("%s %s: operationId %q, summary %q", method, path, op.OperationID, op.Summary)
			}
			ids[op.OperationID] = true
			for kind, content := range bodies(op) {
				if content.Example == nil && content.Examples == nil {
					t.Errorf("%s %s: no example of the %s body", method, path, kind)
				}
			}
		}
	}
	var codes []string
	for _, v := range doc.Components.Schemas["Problem"].Value.Properties["code"].Value.Enum {
		code, ok := v.(string)
		if !ok {
			t.Fatalf("code %v", v)
		}
		codes = append(codes, code)
	}
	slices.Sort(codes)
	if !slices.Equal(codes, httpapi.Codes()) {
		t.Errorf("codes in the document and in the program:\n%v\n%v", codes, httpapi.Codes())
	}
}

func bodies(op *openapi3.Operation) openapi3.Content {
	if op.RequestBody == nil {
		return nil
	}
	return op.RequestBody.Value.Content
}

func TestRoutesAndDocumentAgree(t *testing.T) {
	doc, err := described()
	if err != nil {
		t.Fatal(err)
	}
	routes, err := httpapi.Routes(bare())
	if err != nil {
		t.Fatal(err)
	}
	var documented, served []string
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
			if method == http.MethodGet { // said once, in the description
				documented = append(documented, "HEAD "+path)
			}
		}
	}
	param := regexp.MustCompile(`:([a-z]+)`)
	for _, r := range routes {
		served = append(served, param.ReplaceAllString(r, "{$1}"))
	}
	slices.Sort(documented)
	slices.Sort(served)
	if !slices.Equal(documented, served) {
		t.Errorf("in the document and served:\n%s\n\n%s", strings.Join(documented, "\n"), strings.Join(served, "\n"))
	}
}

var errUnlisted = errors.New("some fault")

func TestUnlistedErrorIsOpaque(t *testing.T) {
	if got := httpapi.CodeOf(errUnlisted); got != "internal" {
		t.Errorf("code = %s, want internal", got)
	}
}
