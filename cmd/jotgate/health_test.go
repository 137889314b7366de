package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const healthOf = "JOTGATE_TEST_HEALTH"

// TestAsksReady is the process of [TestHealthcheckAsksNoProxy].
func TestAsksReady(t *testing.T) {
	if os.Getenv(healthOf) != "" {
		ctx, cancel := context.WithTimeout(t.Context(), healthTimeout)
		defer cancel()
		err := askReady(ctx, io.Discard, "192.0.2.1:8080")
		if t.Log(err); err == nil {
			t.Error("somebody is ready there")
		}
	}
}

// TestHealthcheckAsksNoProxy that the environment names. The address is for documentation
// (RFC 5737) and answers nobody; net/http reads the environment once, so that it takes a
// process.
func TestHealthcheckAsksNoProxy(t *testing.T) {
	t.Parallel()
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the proxy was asked") }))
	defer proxy.Close()
	asks := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAsksReady$", "-test.v")
	asks.Env = append(os.Environ(), healthOf+"=yes", "HTTP_PROXY="+proxy.URL, "http_proxy="+proxy.URL, "NO_PROXY=", "no_proxy=")
	if out, err := asks.CombinedOutput(); err != nil || !strings.Contains(string(out), "not running") {
		t.Errorf("%v: %s", err, out)
	}
}
