package telemetry_test

import (
	"bufio"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/jotgate/jotgate/internal/telemetry"
)

// scrape returns what m's handler tells, by series.
func scrape(t *testing.T, m *telemetry.Metrics) map[string]string {
	t.Helper()
	res := httptest.NewRecorder()
	m.Handler().ServeHTTP(res, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if res.Code != http.StatusOK {
		t.Fatalf("status = %d: %s", res.Code, res.Body)
	}
	if got := res.Header().Get("Content-Type"); !strings.HasPrefix(got, "text/plain") {
		t.Errorf("Content-Type = %q, want text/plain", got)
	}
	values := map[string]string{}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if line := lines.Text(); !strings.HasPrefix(line, "#") {
			i := strings.LastIndexByte(line, ' ')
			values[line[:i]] = line[i+1:]
		}
	}
	return values
}

// only returns the series of values whose names begin with prefix.
func only(values map[string]string, prefix string) map[string]string {
	values = maps.Clone(values)
	maps.DeleteFunc(values, func(k, _ string) bool { return !strings.HasPrefix(k, prefix) })
	return values
}

func TestBuildAndProcessAreTold(t *testing.T) {
	got := scrape(t, telemetry.NewMetrics("v1.2.3", "abc123"))
	build := `jotgate_build_info{commit="abc123",go="` + runtime.Version() + `",version="v1.2.3"}`
	if got[build] != "1" {
		t.Errorf("%s = %q, want 1", build, got[build])
	}
	for _, name := range []string{"go_goroutines", "process_open_fds"} {
		if runtime.GOOS == "linux" && got[name] == "" {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestOutcomesAreCountedFromZero(t *testing.T) {
	m := telemetry.NewMetrics("", "")
	m.Login(telemetry.LoginOK)
	m.Login(telemetry.LoginOK)
	m.Login(telemetry.LoginBadCredentials)
	m.Login("ada@example.com")
	m.Refresh(telemetry.RefreshReused)
	m.Refresh("eyJhbGciOi")
	m.Registration(telemetry.RegistrationTaken)
	m.Registration("ada")
	m.RateLimited("login")
	m.SessionsEnded("reuse", 3)
	m.SessionsEnded("logout", 1)
	m.SessionsEnded("reuse", 2)

	got := scrape(t, m)
	for prefix, want := range map[string]map[string]string{
		`jotgate_logins_total{outcome="`: {
			"ok": "2", "bad-credentials": "1", "rate-limited": "0", "overloaded": "0", "error": "0", "other": "1",
		},
		`jotgate_refreshes_total{outcome="`: {
			"rotated": "0", "repeated": "0", "reused": "1", "ahead": "0", "ended": "0", "invalid": "0",
			"rate-limited": "0", "error": "0", "other": "1",
		},
		`jotgate_registrations_total{outcome="`: {
			"ok": "0", "invalid": "0", "taken": "1", "closed": "0", "rate-limited": "0", "overloaded": "0",
			"error": "0", "other": "1",
		},
		`jotgate_rate_limited_total{limit="`:    {"login": "1"},
		`jotgate_sessions_ended_total{reason="`: {"reuse": "5", "logout": "1"},
	} {
		full := map[string]string{}
		for word, n := range want {
			full[prefix+word+`"}`] = n
		}
		if diff := cmp.Diff(full, only(got, prefix)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", prefix, diff)
		}
	}
}

func TestRequestsAreTimed(t *testing.T) {
	m := telemetry.NewMetrics("", "")
	m.Request("/v1/login", http.MethodPost, 200, 30*time.Millisecond)
	m.Request("/v1/login", http.MethodPost, 200, 2*time.Second)
	m.Request("/v1/login", http.MethodPost, 429, time.Millisecond)
	m.Request("/v1/sessions/:id", http.MethodDelete, 204, time.Millisecond)
	m.Request("", http.MethodGet, 404, time.Millisecond)
	m.Request("", "BREW", 405, time.Millisecond)
	m.Request("", "get", 405, time.Millisecond)

	got := scrape(t, m)
	const name = "jotgate_http_request_duration_seconds"
	want := map[string]string{
		`{method="POST",route="/v1/login",status="200"}`:          "2",
		`{method="POST",route="/v1/login",status="429"}`:          "1",
		`{method="DELETE",route="/v1/sessions/:id",status="204"}`: "1",
		`{method="GET",route="unmatched",status="404"}`:           "1",
		`{method="other",route="unmatched",status="405"}`:         "2",
	}
	counts := map[string]string{}
	for k, v := range only(got, name+"_count") {
		counts[strings.TrimPrefix(k, name+"_count")] = v
	}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for series, value := range map[string]string{
		`_sum{method="POST",route="/v1/login",status="200"}`:                "2.03",
		`_bucket{method="POST",route="/v1/login",status="200",le="0.025"}`:  "0",
		`_bucket{method="POST",route="/v1/login",status="200",le="0.05"}`:   "1",
		`_bucket{method="POST",route="/v1/login",status="200",le="+Inf"}`:   "2",
		`_bucket{method="POST",route="/v1/login",status="429",le="0.001"}`:  "1",
		`_bucket{method="POST",route="/v1/login",status="429",le="0.0005"}`: "0",
	} {
		if got[name+series] != value {
			t.Errorf("%s = %q, want %s", series, got[name+series], value)
		}
	}
}

func TestEveryKnownMethodHasItsOwnLabel(t *testing.T) {
	m := telemetry.NewMetrics("", "")
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"}
	for _, method := range methods {
		m.Request("/", method, 200, 0)
	}
	got := scrape(t, m)
	for _, method := range methods {
		label, want := method, "1"
		if method == "CONNECT" || method == "TRACE" {
			label, want = "other", "2"
		}
		if n := got[`jotgate_http_request_duration_seconds_count{method="`+label+`",route="/",status="200"}`]; n != want {
			t.Errorf("%s was counted %s times under %s, want %s", method, n, label, want)
		}
	}
}

func TestSeriesStayBounded(t *testing.T) {
	const flood = 2000
	m := telemetry.NewMetrics("", "")
	for i := range flood {
		word := strconv.Itoa(i)
		m.Request("/users/"+word, word, i, time.Millisecond)
		m.Login(telemetry.LoginOutcome(word))
		m.Refresh(telemetry.RefreshOutcome(word))
		m.Registration(telemetry.RegistrationOutcome(word))
		m.RateLimited(word)
		m.SessionsEnded(word, 1)
	}
	got := scrape(t, m)
	tests := []struct {
		prefix, other string
		series        int    // with the one for the rest
		rest          string // what that one counts
	}{
		{
			"jotgate_http_request_duration_seconds_count",
			`{method="other",route="other",status="other"}`, 512 + 1, strconv.Itoa(flood - 512),
		},
		{"jotgate_logins_total", `{outcome="other"}`, 5 + 1, strconv.Itoa(flood)},
		{"jotgate_refreshes_total", `{outcome="other"}`, 8 + 1, strconv.Itoa(flood)},
		{"jotgate_registrations_total", `{outcome="other"}`, 7 + 1, strconv.Itoa(flood)},
		{"jotgate_rate_limited_total", `{limit="other"}`, 16 + 1, strconv.Itoa(flood - 16)},
		{"jotgate_sessions_ended_total", `{reason="other"}`, 16 + 1, strconv.Itoa(flood - 16)},
	}
	for _, tt := range tests {
		if n := len(only(got, tt.prefix)); n != tt.series {
			t.Errorf("%s has %d series, want %d", tt.prefix, n, tt.series)
		}
		if n := got[tt.prefix+tt.other]; n != tt.rest {
			t.Errorf("%s%s = %s, want %s", tt.prefix, tt.other, n, tt.rest)
		}
	}
}

// noDriver is a database that nothing connects to.
type noDriver struct{}

func (noDriver) Connect(context.Context) (driver.Conn, error) { return nil, errors.ErrUnsupported }
func (noDriver) Driver() driver.Driver                        { return nil }

func TestGaugesAreAskedAtEveryScrape(t *testing.T) {
	m := telemetry.NewMetrics("", "")
	writer, readers := sql.OpenDB(noDriver{}), sql.OpenDB(noDriver{})
	t.Cleanup(func() {
		if err := errors.Join(writer.Close(), readers.Close()); err != nil {
			t.Error(err)
		}
	})
	writer.SetMaxOpenConns(1)
	readers.SetMaxOpenConns(7)
	m.RegisterDB("writer", writer)
	m.RegisterDB("readers", readers)
	running := 0
	m.RegisterPool(func() (int, int) { return running, 10 * running })
	m.GaugeFunc("jotgate_revocation_feed_lag_seconds", "Age of the newest entry applied.", func() float64 { return 0.5 })

	for running = range 3 {
		got := scrape(t, m)
		for series, want := range map[string]string{
			`go_sql_max_open_connections{db_name="writer"}`:  "1",
			`go_sql_max_open_connections{db_name="readers"}`: "7",
			"jotgate_password_hashes_running":                strconv.Itoa(running),
			"jotgate_password_hashes_waiting":                strconv.Itoa(10 * running),
			"jotgate_revocation_feed_lag_seconds":            "0.5",
		} {
			if got[series] != want {
				t.Errorf("%s = %q, want %s", series, got[series], want)
			}
		}
	}
}

func TestRegistriesAreSeparate(t *testing.T) {
	a, b := telemetry.NewMetrics("", ""), telemetry.NewMetrics("", "")
	a.Login(telemetry.LoginOK)
	const ok = `jotgate_logins_total{outcome="ok"}`
	if scrape(t, a)[ok] != "1" || scrape(t, b)[ok] != "0" {
		t.Errorf("%s = %s and %s, want 1 and 0", ok, scrape(t, a)[ok], scrape(t, b)[ok])
	}
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "jotgate_") {
			t.Errorf("%s is in the default registry", f.GetName())
		}
	}
}

func TestParallelCountsAreNotLost(t *testing.T) {
	const goroutines, each = 16, 500
	m := telemetry.NewMetrics("", "")
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				m.Request("/v1/"+strconv.Itoa(i%50), http.MethodGet, 200+g%2, time.Millisecond)
				m.Login(telemetry.LoginOK)
				m.SessionsEnded(strconv.Itoa(i%5), 1)
			}
		})
	}
	scrape(t, m)
	wg.Wait()
	got := scrape(t, m)
	const total = goroutines * each
	for prefix, series := range map[string]int{
		"jotgate_http_request_duration_seconds_count": 100,
		"jotgate_logins_total":                        5,
		"jotgate_sessions_ended_total":                5,
	} {
		sum, all := 0, only(got, prefix)
		for k, v := range all {
			n, err := strconv.Atoi(v)
			if err != nil {
				t.Fatalf("%s = %q", k, v)
			}
			sum += n
		}
		if sum != total || len(all) != series {
			t.Errorf("%s counted %d in %d series, want %d in %d", prefix, sum, len(all), total, series)
		}
	}
}

func TestRequestAllocatesNothing(t *testing.T) {
	m := telemetry.NewMetrics("", "")
	if n := testing.AllocsPerRun(100, func() { m.Request("/v1/me", http.MethodGet, 200, time.Millisecond) }); n != 0 {
		t.Errorf("Request allocates %v times, want 0", n)
	}
}

func BenchmarkRequest(b *testing.B) {
	m := telemetry.NewMetrics("", "")
	b.ReportAllocs()
	for b.Loop() {
		m.Request("/v1/me", http.MethodGet, 200, time.Millisecond)
	}
}

func BenchmarkRequestParallel(b *testing.B) {
	m := telemetry.NewMetrics("", "")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Request("/v1/me", http.MethodGet, 200, time.Millisecond)
		}
	})
}
