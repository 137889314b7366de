package httpapi

import (
	"log/slog"
	"net/http"
	"net/http/pprof"

	"github.com/gin-gonic/gin"
)

type healthAnswer struct {
	Status string `json:"status"`
}

// healthz tells that the process answers, and nothing about what it depends on.
func (s *server) healthz(c *gin.Context) error {
	return encode(c, http.StatusOK, healthAnswer{"ok"})
}

type readyAnswer struct {
	Status string       `json:"status"`
	Checks []readyCheck `json:"checks"`
}

type readyCheck struct {
	Name   string `json:"name"`
	Status string `json:"status"`
}

// readyz tells whether requests should be sent here. What is wrong is in the log:
// anybody may ask.
func (s *server) readyz(c *gin.Context) error {
	const ok, degraded, unavailable = "ok", "degraded", "unavailable"
	answer, status := readyAnswer{Status: "ready", Checks: []readyCheck{}}, http.StatusOK
	for _, d := range s.Ready(c.Request.Context()) {
		check := readyCheck{d.Name, ok}
		switch {
		case d.Err == nil:
		case d.Optional:
			check.Status = degraded
		default:
			check.Status = unavailable
			answer.Status, status = unavailable, http.StatusServiceUnavailable
			s.Log.WarnContext(c.Request.Context(), "not ready", slog.String("dependency", d.Name), slog.Any("err", d.Err))
		}
		answer.Checks = append(answer.Checks, check)
	}
	if status != http.StatusOK {
		c.Header("Retry-After", "1")
	}
	return encode(c, status, answer)
}

// Operations returns what the operations listener serves: metrics, profiles and
// health. It asks for no credential.
func Operations(c Config) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	s := &server{Config: c, common: commonHeaders()}
	r := gin.New()
	r.HandleMethodNotAllowed = true
	r.RedirectTrailingSlash = false
	r.Use(func(c *gin.Context) { identify(c) }, s.recover, s.headers, s.refuseSlashes)
	r.NoRoute(s.endpoint(func(*gin.Context) error { return errNoRoute }))
	r.NoMethod(s.endpoint(func(*gin.Context) error { return errMethod }))
	get := func(path string, h gin.HandlerFunc) {
		r.GET(path, h)
		r.HEAD(path, h)
	}
	get("/healthz", s.endpoint(s.healthz))
	get("/readyz", s.endpoint(s.readyz))
	get("/metrics", gin.WrapH(c.Metrics.Handler()))
	get("/debug/pprof/", gin.WrapF(pprof.Index))
	get("/debug/pprof/cmdline", gin.WrapF(pprof.Cmdline))
	get("/debug/pprof/profile", gin.WrapF(pprof.Profile))
	get("/debug/pprof/symbol", gin.WrapF(pprof.Symbol))
	get("/debug/pprof/trace", gin.WrapF(pprof.Trace))
	for _, name := range []string{"allocs", "block", "goroutine", "heap", "mutex", "threadcreate"} {
		get("/debug/pprof/"+name, gin.WrapH(pprof.Handler(name)))
	}
	return r
}
