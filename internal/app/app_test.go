package app_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func settings(t *testing.T, environ ...string) config.Config {
	t.Helper()
	c, err := config.Load(config.Source{Environ: append([]string{
		"JOTGATE_HTTP_ADDR=127.0.0.1:0", "JOTGATE_OPS_ADDR=127.0.0.1:0", "JOTGATE_DATA_DIR=" + filepath.Join(t.TempDir(), "data"),
		"JOTGATE_PASSWORD_MEMORY_KIB=64", "JOTGATE_PASSWORD_PASSES=1",
	}, environ...)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newApp(t *testing.T, c config.Config) *app.App {
	t.Helper()
	a, err := app.New(t.Context(), c, app.Build{Version: "test"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// running is a program that serves until stop is called.
type running struct {
	app.Listening
	stop func() error
}

func start(t *testing.T, a *app.App) running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	started, ended := make(chan app.Listening, 1), make(chan error, 1)
	go func() { ended <- a.Run(ctx, func(l app.Listening) { started <- l }) }()
	stop := sync.OnceValue(func() error {
		cancel()
		defer http.DefaultClient.CloseIdleConnections()
		return <-ended
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	select {
	case l := <-started:
		return running{l, stop}
	case err := <-ended:
		t.Fatal(err)
	}
	return running{}
}

func get(url string) (status int, body string, err error) {
	res, err := http.Get(url)
	if err != nil {
		return 0, "", err
	}
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), errors.Join(err, res.Body.Close())
}

func TestServesAndDrains(t *testing.T) {
	a := newApp(t, settings(t))
	r := start(t, a)
	api, ops := "http://"+r.API.String(), "http://"+r.Operations.String()
	for url, want := range map[string]int{
		api + "/readyz": 200, ops + "/readyz": 200, ops + "/healthz": 200, ops + "/metrics": 200, ops + "/debug/pprof/": 200,
		api + "/metrics": 404, api + "/debug/pprof/": 404, ops + "/v1/me": 404,
	} {
		if got, _, err := get(url); got != want || err != nil {
			t.Errorf("GET %s = %d, %v; want %d", url, got, err, want)
		}
	}
	stopped := make(chan error)
	go func() { stopped <- r.stop() }()
	drained := false
	for range 200 {
		status, body, err := get(api + "/readyz")
		if err != nil {
			break // it has stopped
		}
		if closing, err := closes(api + "/healthz"); status == http.StatusServiceUnavailable && err == nil && !closing {
			t.Error("a connection is kept while draining")
		}
		drained = drained || status == http.StatusServiceUnavailable && strings.Contains(body, `{"name":"server","status":"unavailable"}`)
		if health, _, err := get(api + "/healthz"); err == nil && health != http.StatusOK {
			t.Errorf("healthz = %d while draining", health)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !drained {
		t.Error("readiness did not go while requests were still taken")
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// closes reports whether an answer ends its connection.
func closes(url string) (bool, error) {
	res, err := http.Get(url)
	if err != nil {
		return false, err
	}
	return res.Close, res.Body.Close()
}

// TestAnotherProcessIsHeardOf ends a session in one process and looks at the
// other one on the same database.
func TestAnotherProcessIsHeardOf(t *testing.T) {
	c := settings(t)
	one, two := newApp(t, c), newApp(t, c)
	url := "http://" + start(t, one).API.String()
	start(t, two)
	post := func(path, body string, header ...string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if len(header) == 1 {
			req.Header.Set("Authorization", "Bearer "+header[0])
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	if status, body := post("/v1/users", `{"username":"ada","password":"correct horse battery staple"}`); status != 201 {
		t.Fatal(body)
	}
	_, body := post("/v1/login", `{"identifier":"ada","password":"correct horse battery staple"}`)
	_, rest, _ := strings.Cut(body, `"access_token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	if _, err := two.Verifier.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if status, body := post("/v1/logout", "", token); status != 204 {
		t.Fatal(body)
	}
	if _, err := one.Verifier.Verify(t.Context(), token); err == nil {
		t.Error("the process that ended the session still accepts its token")
	}
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, err := two.Verifier.Verify(t.Context(), token); err != nil {
			return
		}
	}
	t.Error("the other process accepts the token of a session that ended five seconds ago")
}

func TestTakenPortIsNamed(t *testing.T) {
	r := start(t, newApp(t, settings(t)))
	for _, name := range []string{"HTTP", "OPS"} {
		a := newApp(t, settings(t, fmt.Sprintf("JOTGATE_%s_ADDR=%s", name, r.API)))
		err := a.Run(t.Context(), func(app.Listening) { t.Error("it serves all the same") })
		if err == nil || !strings.Contains(err.Error(), strings.ToLower(name)+".addr: cannot listen on "+r.API.String()) {
			t.Errorf("error = %v", err)
		}
	}
}

// TestHalfARequestEnds holds that a running program puts an end to who does not put one
// to their request.
func TestHalfARequestEnds(t *testing.T) {
	r := start(t, newApp(t, settings(t)))
	for _, addr := range []net.Addr{r.API, r.Operations} {
		c, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET /healthz HT"); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if _, err := io.Copy(io.Discard, c); err != nil {
				t.Errorf("%s: %v, want the end", addr, err)
			}
		}()
	}
}

func TestDataOfOthersIsRefused(t *testing.T) {
	c := settings(t)
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(c.DataDir, 0o770); err != nil {
		t.Fatal(err)
	}
	if _, err := app.New(t.Context(), c, app.Build{}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("a directory that the group writes in: %v", err)
	}
	if err := os.Chmod(c.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	newApp(t, c)
	if err := os.Remove(filepath.Join(c.DataDir, "master.key")); err != nil {
		t.Fatal(err)
	}
	db, err := app.OpenStore(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.SQLDB()["writer"].ExecContext(t.Context(), "DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)"); err != nil {
		t.Fatal(err)
	}
	if _, err := app.New(t.Context(), c, app.Build{}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "restore that file from a backup") {
		t.Errorf("a lost master key, before an update: %v", err)
	}
}
