package browsertest

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/jotgate/jotgate/internal/apptest"
	"github.com/jotgate/jotgate/internal/needs"
)

// run runs the tests in a script against a server with the settings environ.
func run(t *testing.T, script string, environ []string, besides ...string) {
	t.Helper()
	chromium := needs.Program(t, "chromium", "chromium", "chromium-browser", "google-chrome")
	s := apptest.Start(t, environ...)
	needs.Node(t, ".", append(besides, "JOTGATE_TEST_CHROMIUM="+chromium, "JOTGATE_TEST_URL="+s.URL, "JOTGATE_TEST_PASSWORD="+apptest.Password),
		"--test", "--test-reporter=spec", script)
}

func TestSignIn(t *testing.T) { run(t, "signin.test.js", nil) }

func TestTabs(t *testing.T) { run(t, "tabs.test.js", nil) }

// TestExpiry has access tokens that end while the test looks on.
func TestExpiry(t *testing.T) { run(t, "expiry.test.js", []string{"JOTGATE_TOKEN_ACCESS_TTL=2s"}) }

// TestLostAnswer has no grace, so that the Idempotency-Key alone saves the session.
func TestLostAnswer(t *testing.T) { run(t, "lost.test.js", []string{"JOTGATE_REFRESH_GRACE=1ms"}) }

// TestForeignPages has pages of other origins: on this machine every port and
// every name below localhost is one.
func TestForeignPages(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if _, err := io.WriteString(w, "<!doctype html><title>Elsewhere</title>"); err != nil {
			t.Log(err)
		}
	}))
	t.Cleanup(elsewhere.Close)
	_, port, err := net.SplitHostPort(elsewhere.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	run(t, "foreign.test.js", nil, "JOTGATE_TEST_FOREIGN_PORT="+port)
}

// TestLook leaves pictures in the directory JOTGATE_TEST_ARTEFACTS, if it is set.
func TestLook(t *testing.T) {
	dir := os.Getenv("JOTGATE_TEST_ARTEFACTS")
	if dir == "" {
		dir = t.TempDir()
	}
	run(t, "look.test.js", nil, "JOTGATE_TEST_ARTEFACTS="+dir)
}
