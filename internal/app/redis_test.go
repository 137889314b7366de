package app_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/config"
	"github.com/jotgate/jotgate/internal/redistest"
)

// journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) count(what string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), what)
}

// TestReplicasShareLimits takes Redis away from two processes and gives it back.
func TestReplicasShareLimits(t *testing.T) {
	server := redistest.Start(t)
	c := settings(t, "JOTGATE_REDIS_URL="+server.URL(), "JOTGATE_RATE_LIMIT_LOGINS_PER_MINUTE=2")
	server.Stop() // nobody needs it at the start
	var log journal
	replicas := make([]*app.App, 2)
	for i := range replicas {
		a, err := app.New(t.Context(), c, app.Build{Version: "test"}, slog.New(slog.NewJSONHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		})
		start(t, a)
		replicas[i] = a
	}
	if n := log.count("redis is away"); n != 2 {
		t.Errorf("%d warnings at the start, want one of each replica", n)
	}
	address := "192.0.2.1:1234"
	ask := func(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
		res := httptest.NewRecorder()
		req := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		req.RemoteAddr = address
		req.Header.Set("Content-Type", "application/json")
		h.ServeHTTP(res, req)
		return res
	}
	login := func(i int) *httptest.ResponseRecorder {
		return ask(replicas[i].API, http.MethodPost, "/v1/login", `{"identifier":"ada","password":"correct horse battery staple"}`)
	}
	fallbacks := func() (counts string) {
		for _, a := range replicas {
			_, rest, _ := strings.Cut(ask(a.Operations, http.MethodGet, "/metrics", "").Body.String(), "\njotgate_rate_limit_fallbacks_total ")
			n, _, _ := strings.Cut(rest, "\n")
			counts += n + " "
		}
		return counts
	}
	wantState := func(check, shared string) {
		t.Helper()
		for _, a := range replicas {
			for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
				ready := ask(a.API, http.MethodGet, "/readyz", "")
				metrics := ask(a.Operations, http.MethodGet, "/metrics", "").Body.String()
				if ready.Code == http.StatusOK && strings.Contains(ready.Body.String(), `{"name":"redis","status":"`+check+`"}`) &&
					strings.Contains(metrics, "\njotgate_rate_limit_shared "+shared+"\n") {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("readyz = %d %s, want redis %s", ready.Code, ready.Body, check)
				}
			}
		}
	}
	wantState("degraded", "0")
	for i := range replicas {
		if first, second := login(i), login(i); first.Code != http.StatusUnauthorized || second.Code != http.StatusTooManyRequests {
			t.Errorf("without Redis: %d and %d, want half of two", first.Code, second.Code)
		} else if got := first.Header().Get("RateLimit-Policy"); got != `"login";q=1;w=60` {
			t.Errorf("policy = %s", got)
		}
	}
	if got := fallbacks(); got != "2 2 " {
		t.Errorf("fallbacks = %s, want 2 of each", got)
	}

	server.Restart()
	shared := false
	for n := 2; n < 250 && !shared; n++ { // a machine that is busy elsewhere may be too late for Redis
		wantState("ok", "1")
		address = fmt.Sprintf("192.0.2.%d:1234", n)
		before := fallbacks()
		one, two, three := login(0), login(1), login(0)
		shared = before == fallbacks()
		if shared && (one.Code != http.StatusUnauthorized || two.Code != http.StatusUnauthorized || three.Code != http.StatusTooManyRequests) {
			t.Errorf("with Redis: %d, %d, %d, want two of both replicas", one.Code, two.Code, three.Code)
		}
	}
	if !shared {
		t.Error("no login was counted in Redis")
	}
	if n := log.count("redis is back"); n < 2 {
		t.Errorf("%d replicas say that Redis is back", n)
	}
}

func TestBadRedisURLStopsTheStart(t *testing.T) {
	c := settings(t)
	c.Redis.URL = config.NewSecret("http://u:canary@localhost")
	_, err := app.New(t.Context(), c, app.Build{}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "redis.url: ") || strings.Contains(err.Error(), "canary") {
		t.Errorf("error = %v", err)
	}
}
