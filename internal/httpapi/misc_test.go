package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/web/spa"
)

func TestStrictJSON(t *testing.T) {
	a := newAPI(t)
	ok := `{"identifier":"ada","password":"x"}`
	tests := []struct {
		name, body string
		headers    []string
		status     int
		code       string
	}{
		{"fine", ok, nil, 401, "bad-credentials"},
		{"white space around", " \r\n\t" + ok + "\n ", nil, 401, "bad-credentials"},
		{"charset", ok, []string{"Content-Type: application/json; charset=UTF-8"}, 401, "bad-credentials"},
		{"empty", "", nil, 400, "malformed-json"},
		{"null", "null", nil, 400, "malformed-json"},
		{"array", "[" + ok + "]", nil, 400, "malformed-json"},
		{"string", `"x"`, nil, 400, "malformed-json"},
		{"number", "1", nil, 400, "malformed-json"},
		{"cut short", ok[:10], nil, 400, "malformed-json"},
		{"two values", ok + ok, nil, 400, "malformed-json"},
		{"text behind", ok + "x", nil, 400, "malformed-json"},
		{"member twice", `{"identifier":"ada","identifier":"bob","password":"x"}`, nil, 400, "malformed-json"},
		{"member twice, escaped", `{"identifier":"ada","\u0069dentifier":"bob","password":"x"}`, nil, 400, "malformed-json"},
		{"another case", `{"Identifier":"ada","password":"x"}`, nil, 400, "malformed-json"},
		{"unknown member", `{"identifier":"ada","password":"x","admin":true}`, nil, 400, "malformed-json"},
		{"NUL", `{"identifier":"ada","password":"a\u0000b"}`, nil, 400, "malformed-json"},
		{"lone surrogate", `{"identifier":"ada","password":"\ud800"}`, nil, 400, "malformed-json"},
		{"invalid UTF-8", "{\"identifier\":\"ada\",\"password\":\"\xff\"}", nil, 400, "malformed-json"},
		{"byte order mark", "\ufeff" + ok, nil, 400, "malformed-json"},
		{"comment", "/*x*/" + ok, nil, 400, "malformed-json"},
		{"nested deeply", `{"identifier":` + strings.Repeat("[", 9) + strings.Repeat("]", 9) + `}`, nil, 400, "malformed-json"},
		{"nested very deeply", strings.Repeat(`{"a":`, 3000), nil, 400, "malformed-json"},
		{"too large", `{"identifier":"` + strings.Repeat("a", 16<<10) + `"}`, nil, 413, "body-too-large"},
		{"no content type", ok, []string{"Content-Type: "}, 415, "unsupported-media-type"},
		{"form", "identifier=ada", []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "unsupported-media-type"},
		{"text", ok, []string{"Content-Type: text/plain"}, 415, "unsupported-media-type"},
		{"looks like JSON", ok, []string{"Content-Type: application/jsonp"}, 415, "unsupported-media-type"},
		{"another charset", ok, []string{"Content-Type: application/json; charset=latin1"}, 415, "unsupported-media-type"},
		{"compressed", ok, []string{"Content-Encoding: gzip"}, 415, "unsupported-media-type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := *a
			a.T = t
			got := a.do("POST", "/v1/login", tt.body, tt.headers...).want(t, tt.status, tt.code)
			if strings.Contains(tt.name, "twice") != strings.Contains(string(got.body), "member twice") {
				t.Errorf("%s", got.body)
			}
		})
	}
}

func TestSampleApp(t *testing.T) {
	a := newAPI(t)
	for name, body := range spa.Files() {
		got := a.do("GET", "/app/"+name, nil).want(t, 200, "")
		if !bytes.Equal(got.body, body) || got.Header.Get("Content-Security-Policy") != spa.Policy || got.Header.Get("Content-Type") == "" {
			t.Errorf("%s: %d bytes of %q under %q", name, len(got.body), got.Header.Get("Content-Type"), got.Header.Get("Content-Security-Policy"))
		}
	}
	got := a.do("GET", "/app", nil).want(t, 200, "")
	if got.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("Content-Type = %q", got.Header.Get("Content-Type"))
	}
	a.do("GET", "/app", nil, "If-None-Match: "+got.Header.Get("ETag")).want(t, 304, "")
}

// TestCompressedFiles: a file that is kept compressed is served so to those who
// take it, plain to the others, under two tags.
func TestCompressedFiles(t *testing.T) {
	a := newAPI(t)
	const file, kind = "/docs/swagger-ui.css", "text/css; charset=utf-8"
	plain := a.do("GET", file, nil, "Accept-Encoding: identity").want(t, 200, "")
	for accept, want := range map[string]string{
		"gzip": "gzip", "br, GZIP ;q=0.5": "gzip", "gzip;q=1.0": "gzip", "deflate": "", "gzip;q=0": "", "gzip; q=0.000, *": "", "x-gzip": "", "*": "",
	} {
		got := a.do("GET", file, nil, "Accept-Encoding: "+accept).want(t, 200, "")
		if got.Header.Get("Content-Encoding") != want || got.Header.Get("Content-Type") != kind || got.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: %v", accept, got.Header)
		}
		if same := got.Header.Get("ETag") == plain.Header.Get("ETag"); same != (want == "") {
			t.Errorf("%q: the tag is that of the plain form: %t", accept, same)
		}
		body := got.body
		if want != "" {
			if r, err := gzip.NewReader(bytes.NewReader(body)); err != nil {
				t.Errorf("%q: %v", accept, err)
			} else if body, err = io.ReadAll(r); err != nil {
				t.Errorf("%q: %v", accept, err)
			}
		}
		if !bytes.HasPrefix(body, []byte(".swagger-ui{")) || !bytes.Equal(body, plain.body) {
			t.Errorf("%q: %d bytes, %.20q", accept, len(body), body)
		}
		a.do("GET", file, nil, "Accept-Encoding: "+accept, "If-None-Match: "+got.Header.Get("ETag")).want(t, 304, "")
	}
}

// TestPlainFormIsMadeOnce: whoever declines the compressed form of a file asks for no
// more work than others.
func TestPlainFormIsMadeOnce(t *testing.T) {
	a := newAPI(t)
	const file = "/docs/swagger-ui-bundle.js"
	size := len(a.do("GET", file, nil, "Accept-Encoding: identity").want(t, 200, "").body)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 4 {
		a.do("HEAD", file, nil, "Accept-Encoding: identity").want(t, 200, "")
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > uint64(size) {
		t.Errorf("%d bytes were allocated for the headers of a file of %d", got, size)
	}
}

func TestSampleAppIsOff(t *testing.T) {
	a := newAPI(t, func(o *options) { o.noApp = true })
	for _, path := range []string{"/app", "/app/app.js"} {
		a.do("GET", path, nil).want(t, 404, "no-such-route")
	}
}

func TestHeadersOnEveryAnswer(t *testing.T) {
	a := newAPI(t)
	for _, path := range []string{"/healthz", "/readyz", "/openapi.json", "/docs", "/app", "/app/app.js", "/.well-known/jwks.json", "/v1/me", "/nowhere"} {
		got := a.do("GET", path, nil)
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Strict-Transport-Security": "",
		} {
			if got.Header.Get(name) != want {
				t.Errorf("%s: %s = %q, want %q", path, name, got.Header.Get(name), want)
			}
		}
		if csp := got.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: Content-Security-Policy = %q", path, csp)
		}
		public := path == "/openapi.json" || path == "/docs" || path == "/.well-known/jwks.json" || strings.HasPrefix(path, "/app")
		if noStore := got.Header.Get("Cache-Control") == "no-store"; noStore == public {
			t.Errorf("%s: Cache-Control = %q", path, got.Header.Get("Cache-Control"))
		}
	}
}

func TestRequestID(t *testing.T) {
	a := newAPI(t)
	for given, kept := range map[string]bool{
		"abc-1.2_Z": true, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false, "a b": false, "a\"b": false, "ä": false, "": false,
	} {
		got := a.do("GET", "/healthz", nil, "X-Request-Id: "+given).Header.Get("X-Request-Id")
		if (got == given) != kept || got == "" {
			t.Errorf("X-Request-Id %q gives %q, want it kept: %t", given, got, kept)
		}
	}
	problem := a.do("GET", "/v1/me", nil, "X-Request-Id: mine").want(t, 401, "no-credentials")
	if problem.text(t, "request_id") != "mine" || problem.text(t, "type") != "urn:jotgate:problem:no-credentials" || problem.at(t, "status") != 401.0 {
		t.Errorf("problem = %s", problem.body)
	}
}

func TestWellKnown(t *testing.T) {
	a := newAPI(t)
	got := a.do("GET", "/.well-known/jwks.json", nil).want(t, 200, "")
	if got.Header.Get("Cache-Control") != "public, max-age=300" {
		t.Errorf("Cache-Control = %q", got.Header.Get("Cache-Control"))
	}
	for _, member := range []string{`"d"`, `"p"`, `"q"`, `"k"`} {
		if strings.Contains(string(got.body), member+":") {
			t.Errorf("the key set has a private member: %s", got.body)
		}
	}
	if again := a.do("GET", "/.well-known/jwks.json", nil, "If-None-Match: "+got.Header.Get("ETag")); again.StatusCode != http.StatusNotModified || len(again.body) != 0 {
		t.Errorf("with the ETag: %d, %d bytes", again.StatusCode, len(again.body))
	}
	if m := a.do("GET", "/.well-known/oauth-authorization-server", nil).want(t, 200, ""); m.text(t, "issuer") != issuer {
		t.Errorf("metadata = %s", m.body)
	}
}

func TestReadiness(t *testing.T) {
	a := newAPI(t)
	a.do("GET", "/healthz", nil).want(t, 200, "")
	a.do("GET", "/readyz", nil).want(t, 200, "")
	a.away = errors.New("dial tcp 10.0.0.1: secret detail")
	got := a.do("GET", "/readyz", nil)
	if got.StatusCode != http.StatusOK || got.text(t, "status") != "ready" || !strings.Contains(string(got.body), `{"name":"redis","status":"degraded"}`) ||
		strings.Contains(string(got.body), "detail") {
		t.Errorf("readyz without Redis = %d %s", got.StatusCode, got.body)
	}
	a.down = errors.New("dial tcp 10.0.0.1: secret detail")
	got = a.do("GET", "/readyz", nil)
	if got.StatusCode != http.StatusServiceUnavailable || got.text(t, "status") != "unavailable" || strings.Contains(string(got.body), "detail") {
		t.Errorf("readyz = %d %s", got.StatusCode, got.body)
	}
	a.do("GET", "/healthz", nil).want(t, 200, "")
}

func TestLogHoldsNoSecret(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	b, c := a.login("ada", "bearer"), a.login("ada", "cookie")
	a.do("GET", "/v1/me?access_token="+b.text(t, "access_token"), nil, b.bearer(t))
	a.refresh(b.text(t, "refresh_token"))
	a.do("POST", "/v1/login", object{"identifier": "ada", "password": "canary-password"})
	log := a.log.String()
	for _, secret := range []string{goodPass, "canary-password", b.text(t, "access_token"), b.text(t, "refresh_token"), c.Cookies()[0].Value, "access_token"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %.20q…", secret)
		}
	}
	if !strings.Contains(log, `"route":"/v1/me"`) || !strings.Contains(log, b.text(t, "user.id")) {
		t.Errorf("the log has no line for /v1/me: %s", log)
	}
}

func TestDatabaseAway(t *testing.T) {
	dsn := pgtest.DSN(t)
	a := newAPI(t, func(o *options) { o.database = dsn })
	a.register("ada")
	b := a.login("ada", "bearer")
	letIn(t, dsn, false)
	for _, got := range []answer{
		a.do("POST", "/v1/login", object{"identifier": "ada", "password": goodPass}), a.refresh(b.text(t, "refresh_token")),
		a.do("GET", "/v1/me", nil, b.bearer(t)), a.do("POST", "/v1/logout", nil, b.bearer(t)),
		a.do("POST", "/v1/users", object{"username": "bob", "password": goodPass}),
	} {
		if got.want(t, 503, "unavailable").Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", got.Request.URL.Path)
		}
	}
	a.do("GET", "/v1/forward-auth", nil, b.bearer(t)).want(t, 204, "")
	letIn(t, dsn, true)
	a.refresh(b.text(t, "refresh_token")).want(t, 200, "")
}

// letIn makes the database refuse or take connections, and ends those there are.
func letIn(t *testing.T, dsn string, yes bool) {
	t.Helper()
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	name := c.Database
	c.Database = "postgres"
	conn, err := pgx.ConnectConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		fmt.Sprintf("ALTER DATABASE %s WITH ALLOW_CONNECTIONS %t", name, yes),
		fmt.Sprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'", name),
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestEveryErrorHasACode looks at the source of the nouns and flows: an error
// that clients can see and that nobody gave a code would be a 500.
func TestEveryErrorHasACode(t *testing.T) {
	internal := map[string]bool{ // what never reaches this package
		"session.ErrConflict": true, "session.ErrWrongMode": true, "session.ErrAhead": true, "password.ErrMalformedHash": true,
		"password.ErrForeignAlgorithm": true, "user.ErrInvalidExternal": true, "gate.ErrAlreadyImported": true,
	}
	source := source(t, "problem.go") + source(t, "../oauthapi/error.go")
	for _, pkg := range []string{
		"user", "session", "apikey", "client", "gate", "oauth", "password", "scope", "revocation", "audit",
	} {
		files, err := filepath.Glob("../" + pkg + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			for _, name := range errorsIn(t, file) {
				if full := pkg + "." + name; !internal[full] && !strings.Contains(source, full) {
					t.Errorf("%s has no row in problem.go", full)
				}
			}
		}
	}
}

func source(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// errorsIn returns the exported errors that a file declares.
func errorsIn(t *testing.T, file string) (names []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range f.Decls {
		g, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range g.Specs {
			switch s := spec.(type) {
			case *ast.ValueSpec:
				for _, n := range s.Names {
					if strings.HasPrefix(n.Name, "Err") {
						names = append(names, n.Name)
					}
				}
			case *ast.TypeSpec:
				if s.Name.IsExported() && strings.HasSuffix(s.Name.Name, "Error") {
					names = append(names, s.Name.Name)
				}
			}
		}
	}
	return names
}
