package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/needs"
	"github.com/jotgate/jotgate/internal/pgtest"
)

// install is the program in a directory of its own, as README has it: bin/jotgate
// and ./data.
type install struct {
	dir, url string
	environ  []string
	server   *exec.Cmd
}

func newInstall(t *testing.T) *install {
	t.Helper()
	ports, err := freePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	i := &install{dir: t.TempDir(), url: "http://localhost:" + ports[0]}
	i.environ = append(os.Environ(),
		"JOTGATE_HTTP_ADDR=127.0.0.1:"+ports[0], "JOTGATE_OPS_ADDR=127.0.0.1:"+ports[1], "JOTGATE_PUBLIC_URL="+i.url,
		"JOTGATE_PASSWORD_MEMORY_KIB=64", "JOTGATE_PASSWORD_PASSES=1", "JOTGATE_RATE_LIMIT_ENABLED=false", "JOTGATE_REFRESH_GRACE=1m")
	asProgram(t, filepath.Join(i.dir, "bin"))
	return i
}

// sh runs a line of a shell and returns what it printed on standard output.
func (i *install) sh(t *testing.T, line string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-c", line)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = i.dir, i.environ, &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", line, err, &out, &errs)
	}
	return out.String()
}

// serve starts the server by a line of a shell that ends in the program.
func (i *install) serve(t *testing.T, line string) {
	t.Helper()
	assignments, program, _ := strings.Cut(line, "bin/jotgate")
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "bash", "-c", assignments+"exec bin/jotgate"+program) // until stop
	cmd.Dir, cmd.Env, cmd.Stderr = i.dir, i.environ, t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	i.server = cmd
	t.Cleanup(func() { i.stop(t) })
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if res, err := http.Get(i.url + "/readyz"); err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusOK {
			return
		}
	}
	t.Fatal("the server is not ready")
}

func (i *install) stop(t *testing.T) {
	t.Helper()
	if i.server == nil {
		return
	}
	if err := errors.Join(i.server.Process.Signal(syscall.SIGTERM), i.server.Wait()); err != nil {
		t.Error("stop the server:", err)
	}
	i.server = nil
	http.DefaultClient.CloseIdleConnections()
}

// call makes a request and returns the JSON of the answer.
func (i *install) call(t *testing.T, want int, method, path, token, body string) map[string]any {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, i.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return answer(t, want, req)
}

func answer(t *testing.T, want int, req *http.Request) map[string]any {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != want {
		t.Errorf("%s %s: %d, want %d: %s", req.Method, req.URL.Path, res.StatusCode, want, text)
	}
	var got map[string]any
	if len(text) > 0 && json.Unmarshal(text, &got) != nil {
		t.Fatalf("%s %s answers %s", req.Method, req.URL.Path, text)
	}
	return got
}

func (i *install) clientToken(t *testing.T, id, secret string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.url+"/oauth/token", strings.NewReader(url.Values{
		"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret},
	}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer(t, http.StatusOK, req)
}

// signIn returns the access and the refresh token.
func (i *install) signIn(t *testing.T) (access, refresh string) {
	t.Helper()
	return tokens(i.call(t, 200, "POST", "/v1/login", "", `{"identifier":"ada","password":"correct horse battery staple"}`))
}

func (i *install) refresh(t *testing.T, want int, token string) (access, refresh string) {
	t.Helper()
	return tokens(i.call(t, want, "POST", "/v1/refresh", "", `{"refresh_token":"`+token+`"}`))
}

func tokens(answer map[string]any) (access, refresh string) {
	access, _ = answer["access_token"].(string)
	refresh, _ = answer["refresh_token"].(string)
	return access, refresh
}

func (i *install) keyIDs(t *testing.T) string {
	t.Helper()
	text, err := json.Marshal(i.call(t, 200, "GET", "/.well-known/jwks.json", "", ""))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(regexp.MustCompile(`"kid":"[^"]+"`).FindAllString(string(text), -1), " ")
}

// moveLines are the commands of README's section, with the target at dsn.
func moveLines(t *testing.T, dsn string) []string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)## From SQLite to PostgreSQL\n.*?```sh\n(.*?)```").FindSubmatch(text)
	if found == nil {
		t.Fatal("README has no commands for moving to PostgreSQL")
	}
	commands := strings.ReplaceAll(string(found[1]), "postgres://jotgate@localhost/jotgate", dsn)
	return strings.Split(strings.TrimSpace(commands), "\n")
}

// TestMoveToPostgres types what README says, and sees that nobody has to sign in
// again and nobody who was signed out comes back.
func TestMoveToPostgres(t *testing.T) {
	needs.Program(t, "bash", "bash")
	lines := moveLines(t, pgtest.DSN(t))
	i := newInstall(t)
	i.serve(t, "bin/jotgate serve")
	i.call(t, 201, "POST", "/v1/users", "", `{"username":"ada","password":"correct horse battery staple"}`)
	access, first := i.signIn(t)
	_, second := i.refresh(t, 200, first)
	key, _ := i.call(t, 201, "POST", "/v1/api-keys", access, `{"name":"backup","scopes":["orders:read"]}`)["key"].(string)
	var client struct{ ClientID, Secret string }
	registered := i.sh(t, "bin/jotgate client create --name reports --scope orders:read --output json")
	client.ClientID = regexp.MustCompile(`"client_id": "([^"]+)"`).FindStringSubmatch(registered)[1]
	client.Secret = regexp.MustCompile(`"client_secret": "([^"]+)"`).FindStringSubmatch(registered)[1]
	keyIDs := i.keyIDs(t)

	// One leaves before the first copy and one between the two.
	early, earlyRefresh := i.signIn(t)
	late, lateRefresh := i.signIn(t)
	i.call(t, 204, "POST", "/v1/logout", early, "")
	dry, copies, served := 0, 0, false
	for _, line := range lines {
		switch {
		case strings.HasPrefix(line, "#"):
			i.call(t, 204, "POST", "/v1/logout", late, "")
			i.stop(t)
		case strings.HasSuffix(line, "jotgate serve"):
			i.serve(t, line)
			served = true
		default:
			out := i.sh(t, line)
			dry += strings.Count(out, "This was a dry run")
			copies += strings.Count(out, "The copy is verified")
		}
	}
	if dry != 1 || copies != 2 || !served {
		t.Fatalf("README says %d dry runs and %d copies, and the server is started: %v", dry, copies, served)
	}

	i.call(t, 200, "GET", "/v1/me", access, "")
	if _, again := i.refresh(t, 200, first); again != second {
		t.Error("a spent refresh token got another child after the move")
	}
	_, third := i.refresh(t, 200, second)
	i.refresh(t, 200, third)
	i.call(t, 204, "GET", "/v1/forward-auth?scope=orders:read", key, "")
	i.clientToken(t, client.ClientID, client.Secret)
	i.signIn(t)
	if got := i.keyIDs(t); got != keyIDs || got == "" {
		t.Errorf("key ids = %s, want %s", got, keyIDs)
	}
	for _, ended := range []string{early, late} {
		i.call(t, 401, "GET", "/v1/me", ended, "")
	}
	for _, ended := range []string{earlyRefresh, lateRefresh} {
		i.refresh(t, 401, ended)
	}
}

func TestCopyChecksTheMasterKey(t *testing.T) {
	dsn := pgtest.DSN(t)
	dir := t.TempDir()
	source := "sqlite:" + filepath.Join(dir, "jotgate.db")
	command := func(environ []string, args ...string) (out, errs string, code int) {
		var o, e bytes.Buffer
		code = run(t.Context(), args, process{in: strings.NewReader(dsn + "\n"), out: &o, err: &e, environ: append([]string{"JOTGATE_DATA_DIR=" + dir}, environ...)})
		return o.String(), e.String(), code
	}
	if _, errs, code := command(nil, "client", "create", "--name", "reports"); code != 0 {
		t.Fatal(errs)
	}
	wrong := []string{"JOTGATE_MASTER_KEY=" + strings.Repeat("00", 32)}
	for _, apply := range []string{"--apply=false", "--apply"} {
		_, errs, code := command(wrong, "db", "copy", "--from", source, "--to-file", "-", apply)
		if code != 1 || !strings.Contains(errs, "the master key of master_key is not that of the source") || strings.Contains(errs, dsn) {
			t.Errorf("%s with another master key: %d %s", apply, code, errs)
		}
	}
	out, errs, code := command(nil, "db", "copy", "--from", source, "--to-file", "-", "--output", "json")
	var got struct {
		Applied   *bool
		Tables    []struct{ Table string }
		MasterKey string `json:"master_key"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || got.Applied == nil || *got.Applied ||
		len(got.Tables) < 8 || got.MasterKey != filepath.Join(dir, "master.key") {
		t.Errorf("%d %s%s: %v", code, out, errs, err)
	}
	for _, args := range [][]string{
		{"db", "copy", "--from", source},
		{"db", "copy", "--from", source, "--to", dsn, "--to-file", "-"},
		{"db", "copy", "--to", dsn},
		{"db", "copy", "--from", dsn, "--to", dsn},
	} {
		if _, errs, code := command(nil, args...); code != 1 || strings.Contains(errs, dsn) {
			t.Errorf("%q: %d %s", args, code, errs)
		}
	}
}
