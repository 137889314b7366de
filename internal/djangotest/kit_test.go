package djangotest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/apptest"
	"github.com/jotgate/jotgate/internal/needs"
	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/user"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// project is a Django project on a database of its own.
type project struct {
	python, dir, database string
	environ               []string
}

// newProject makes the tables of the project in project/. It skips the test
// where Python lacks what the project imports.
func newProject(t *testing.T, issuer, jwks string) *project {
	t.Helper()
	python := needs.Program(t, "django", "/usr/bin/python3", "python3")
	if err := exec.CommandContext(t.Context(), python, "-c", "import django, rest_framework, jwt, cryptography, argon2, bcrypt").Run(); err != nil {
		needs.Missing(t, "django", python+" cannot import django, rest_framework, jwt, cryptography, argon2 and bcrypt")
	}
	class, err := filepath.Abs("../../configs/django")
	if err != nil {
		t.Fatal(err)
	}
	p := &project{python: python, dir: "project", database: filepath.Join(t.TempDir(), "db.sqlite3")}
	p.environ = append(os.Environ(), "PYTHONPATH="+class, "PYTHONDONTWRITEBYTECODE=1", "DJANGO_SECRET_KEY=only for tests",
		"DJANGO_DATABASE="+p.database, "JOTGATE_ISSUER="+issuer, "JOTGATE_JWKS_URL="+jwks)
	p.manage(t, "", "migrate", "--run-syncdb", "--verbosity", "0")
	return p
}

// manage runs manage.py.
func (p *project) manage(t *testing.T, stdin string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), p.python, append([]string{"manage.py"}, args...)...)
	cmd.Dir, cmd.Env, cmd.Stdin = p.dir, p.environ, strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("manage.py %s: %v\n%s", args[0], err, out)
	}
}

// serve runs the project until the test is over and returns its address.
func (p *project) serve(t *testing.T) string {
	t.Helper()
	addr := apptest.FreeAddr(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), p.python, "serve.py", port)
	cmd.Dir, cmd.Env = p.dir, p.environ
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if err := errors.Join(stdin.Close(), <-ended); err != nil || t.Failed() {
			t.Logf("Django: %v\n%s", err, out.Bytes())
		}
	})
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", addr); err == nil {
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
			return addr
		}
	}
	t.Fatal("Django does not start")
	return ""
}

// site is jotgate and the project behind one origin.
type site struct {
	*apptest.Server
	*project
	origin string
}

// newSite starts both, and a proxy that gives jotgate /v1 and the project the rest.
func newSite(t *testing.T) *site {
	t.Helper()
	front := apptest.FreeAddr(t)
	_, port, err := net.SplitHostPort(front)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{origin: "http://localhost:" + port}
	s.Server = apptest.Start(t, "JOTGATE_PUBLIC_URL="+s.origin)
	s.project = newProject(t, s.origin, "http://"+s.Addr+"/.well-known/jwks.json")
	django, jotgate := target(t, s.serve(t)), target(t, s.Addr)
	proxy := &http.Server{ReadHeaderTimeout: time.Minute, Handler: &httputil.ReverseProxy{
		// Django's development server may close a connection while the next request
		// is on its way, and a POST is not sent twice.
		Transport: &http.Transport{DisableKeepAlives: true},
		Rewrite: func(r *httputil.ProxyRequest) {
			if strings.HasPrefix(r.In.URL.Path, "/v1/") {
				r.SetURL(jotgate)
			} else {
				r.SetURL(django)
			}
		},
	}}
	l, err := net.Listen("tcp", front)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- proxy.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(proxy.Close(), <-ended); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return s
}

func target(t *testing.T, addr string) *url.URL {
	t.Helper()
	u, err := url.Parse("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

// do makes a request to the one origin. header is pairs of names and values.
func (s *site) do(t *testing.T, method, path, body string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.origin+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	a := answer{status: res.StatusCode, header: res.Header}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &a.body); err != nil {
			t.Fatalf("%s %s: %d %s", method, path, a.status, text)
		}
	}
	return a
}

// login signs a user in through the one origin. mode is bearer or cookie.
func (s *site) login(t *testing.T, identifier, password, mode string) answer {
	t.Helper()
	body, err := json.Marshal(map[string]string{"identifier": identifier, "password": password, "mode": mode})
	if err != nil {
		t.Fatal(err)
	}
	a := s.do(t, "POST", "/v1/login", string(body), "Origin", s.origin)
	if a.status != http.StatusOK {
		t.Fatalf("log %s in: %d %v", identifier, a.status, a.body)
	}
	return a
}

// bearer returns the access token of a new bearer session.
func (s *site) bearer(t *testing.T, identifier, password string) string {
	t.Helper()
	token, _ := s.login(t, identifier, password, "bearer").body["access_token"].(string)
	return token
}

// cookie returns the access token of a new cookie session.
func (s *site) cookie(t *testing.T, identifier, password string) string {
	t.Helper()
	for _, c := range (&http.Response{Header: s.login(t, identifier, password, "cookie").header}).Cookies() {
		if c.Name == cookieName {
			return c.Value
		}
	}
	t.Fatal("no cookie")
	return ""
}

const cookieName = "__Host-Http-jotgate-access"

// users returns all users of jotgate.
func (s *site) users(t *testing.T) []user.User {
	t.Helper()
	all, err := s.Gate.Users.Store.List(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
