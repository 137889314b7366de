package telemetry

import (
	"database/sql"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// The most series that a metric opens where its words are the caller's. The API
// has about thirty routes, each answering a handful of statuses.
const (
	maxExchanges = 512
	maxWords     = 16
)

// Metrics is what the program counts, in a registry of its own. Create one with
// [NewMetrics]; it is safe for concurrent use.
type Metrics struct {
	registry      *prometheus.Registry
	requests      *series[exchange, prometheus.Observer]
	logins        *series[LoginOutcome, prometheus.Counter]
	refreshes     *series[RefreshOutcome, prometheus.Counter]
	registrations *series[RegistrationOutcome, prometheus.Counter]
	limited       *series[string, prometheus.Counter]
	ended         *series[string, prometheus.Counter]
	unrecorded    prometheus.Counter
}

// exchange is what requests are told apart by.
type exchange struct {
	route, method string
	status        int // 0 is any other
}

// NewMetrics returns Metrics that also tell version and commit, and how the Go
// runtime and the process do.
func NewMetrics(version, commit string) *Metrics {
	r := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "jotgate_build_info", Help: "Always 1; the labels tell which build runs.",
		ConstLabels: prometheus.Labels{"version": version, "commit": commit, "go": runtime.Version()},
	})
	build.Set(1)
	r.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	unrecorded := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "jotgate_api_key_uses_unrecorded_total", Help: "Uses of API keys whose time could not be written down.",
	})
	r.MustRegister(unrecorded)
	return &Metrics{
		registry: r, unrecorded: unrecorded,
		requests: newRequests(r),
		logins: newCounter(r, "jotgate_logins_total", "Logins by outcome.", "outcome", 0,
			LoginOK, LoginBadCredentials, LoginRateLimited, LoginOverloaded, LoginError),
		refreshes: newCounter(r, "jotgate_refreshes_total", "Refreshes by outcome.", "outcome", 0,
			RefreshRotated, RefreshRepeated, RefreshReused, RefreshAhead, RefreshEnded, RefreshInvalid, RefreshRateLimited, RefreshError),
		registrations: newCounter(r, "jotgate_registrations_total", "Registrations by outcome.", "outcome", 0,
			RegistrationOK, RegistrationInvalid, RegistrationTaken, RegistrationClosed, RegistrationRateLimited, RegistrationOverloaded, RegistrationError),
		limited: newCounter[string](r, "jotgate_rate_limited_total", "Requests refused by a rate limit, by its name.", "limit", maxWords),
		ended:   newCounter[string](r, "jotgate_sessions_ended_total", "Sessions ended before their time, by reason.", "reason", maxWords),
	}
}

func newRequests(r *prometheus.Registry) *series[exchange, prometheus.Observer] {
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "jotgate_http_request_duration_seconds",
		Help:    "Duration of HTTP requests by route template, method and status.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"route", "method", "status"})
	r.MustRegister(vec)
	return newSeries(func(e exchange) prometheus.Observer {
		status := other
		if e.status != 0 {
			status = strconv.Itoa(e.status)
		}
		return vec.WithLabelValues(e.route, e.method, status)
	}, exchange{route: other, method: other}, maxExchanges)
}

// Handler answers with all metrics in Prometheus's text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// RegisterDB adds the statistics of a connection pool. It panics if there is
// one of that name.
func (m *Metrics) RegisterDB(name string, db *sql.DB) {
	m.registry.MustRegister(collectors.NewDBStatsCollector(db, name))
}

// RegisterPool adds how many password hashes are running and waiting, for which
// f is asked at every scrape. It panics when called twice.
func (m *Metrics) RegisterPool(f func() (running, waiting int)) {
	m.GaugeFunc("jotgate_password_hashes_running", "Password hashes being computed.", func() float64 {
		running, _ := f()
		return float64(running)
	})
	m.GaugeFunc("jotgate_password_hashes_waiting", "Password hashes that wait for their turn.", func() float64 {
		_, waiting := f()
		return float64(waiting)
	})
}

// GaugeFunc adds a value for which f is asked at every scrape, at times by
// several goroutines. It panics if there is one of that name.
func (m *Metrics) GaugeFunc(name, help string, f func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
}

// CounterFunc adds a count that is kept elsewhere, for which f is asked at every
// scrape. It panics if there is one of that name.
func (m *Metrics) CounterFunc(name, help string, f func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, f))
}

// Request counts one answered request. route is a route template, never a path,
// and empty where no route matched.
func (m *Metrics) Request(route, method string, status int, d time.Duration) {
	if route == "" {
		route = "unmatched"
	}
	m.requests.of(exchange{route, knownMethod(method), status}).Observe(d.Seconds())
}

// Login counts one login.
func (m *Metrics) Login(o LoginOutcome) { m.logins.of(o).Inc() }

// Refresh counts one refresh.
func (m *Metrics) Refresh(o RefreshOutcome) { m.refreshes.of(o).Inc() }

// Registration counts one registration.
func (m *Metrics) Registration(o RegistrationOutcome) { m.registrations.of(o).Inc() }

// RateLimited counts one request that the limit of that name refused.
func (m *Metrics) RateLimited(limit string) { m.limited.of(limit).Inc() }

// SessionsEnded counts n sessions that were ended for a reason, one of a closed
// list of words.
func (m *Metrics) SessionsEnded(reason string, n int) { m.ended.of(reason).Add(float64(n)) }

// KeyUseUnrecorded counts one use of an API key whose time could not be written.
func (m *Metrics) KeyUseUnrecorded() { m.unrecorded.Inc() }

// knownMethod keeps invented methods from becoming labels.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return other
}
