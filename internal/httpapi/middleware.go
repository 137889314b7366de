package httpapi

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/rs/cors"

	"github.com/jotgate/jotgate/pkg/bearer/ginbearer"
)

const (
	maxRequestID = 64
	preflightAge = 600 // seconds
	apiCSP       = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
	hsts         = "max-age=63072000; includeSubDomains" // two years

	headerRequestID = "X-Request-Id"
	keyUserID       = "user_id"
)

// observe gives the request its id, and writes one log line and one measurement
// when it is answered. It logs no query, no header and no body.
func (s *server) observe(c *gin.Context) {
	begin := s.Now()
	id := identify(c)
	c.Next()
	end := s.Now()
	took := end.Sub(begin)
	status := c.Writer.Status()
	s.Metrics.Request(c.FullPath(), c.Request.Method, status, took)
	level := slog.LevelInfo
	if c.FullPath() == feedPath && status < http.StatusBadRequest {
		level = slog.LevelDebug // each verifier asks again and again
	}
	s.logRequest(c, level, end, slog.String("method", c.Request.Method), slog.String("route", c.FullPath()), slog.Int("status", status),
		slog.Duration("duration", took), slog.String("request_id", id), slog.String("user_id", userID(c)))
}

// logRequest is Log.LogAttrs without a look at the stack, which no line shows.
func (s *server) logRequest(c *gin.Context, level slog.Level, at time.Time, attrs ...slog.Attr) {
	ctx, h := c.Request.Context(), s.Log.Handler()
	if !h.Enabled(ctx, level) {
		return
	}
	r := slog.NewRecord(at, level, "request", 0)
	r.AddAttrs(attrs...)
	if err := h.Handle(ctx, r); err != nil {
		return // as a Logger does: there is nowhere to say so
	}
}

// identify gives the request its id.
func identify(c *gin.Context) string {
	id := requestID(c.Request.Header[headerRequestID])
	c.Writer.Header()[headerRequestID] = []string{id}
	return id
}

// requestIDOf returns the id that identify gave the request.
func requestIDOf(c *gin.Context) string { return c.Writer.Header().Get(headerRequestID) }

// userID returns whom the request turned out to be of, or "".
func userID(c *gin.Context) string {
	if claims, ok := ginbearer.Claims(c); ok {
		return claims.Subject
	}
	return c.GetString(keyUserID)
}

// requestID returns the id that the client gave if it is one that may be
// repeated in logs and answers, or a new one.
func requestID(given []string) string {
	if len(given) == 1 && given[0] != "" && len(given[0]) <= maxRequestID {
		plain := strings.IndexFunc(given[0], func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune("._-", r)
		}) < 0
		if plain {
			return given[0]
		}
	}
	return rand.Text()
}

// recover turns a panic into an answer. The process goes on.
func (s *server) recover(c *gin.Context) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(p)
		}
		s.Log.ErrorContext(c.Request.Context(), "panic", slog.Any("panic", p), slog.String("route", c.FullPath()),
			slog.String("request_id", requestIDOf(c)), slog.String("stack", string(debug.Stack())))
		if !c.Writer.Written() {
			s.fail(c, errPanicked)
		}
		c.Abort()
	}()
	c.Next()
}

func commonHeaders() http.Header {
	return http.Header{
		"X-Content-Type-Options": {"nosniff"}, "Referrer-Policy": {"no-referrer"},
		"Content-Security-Policy": {apiCSP}, "Cache-Control": {"no-store"},
	}
}

// headers sets what every answer carries. Routes whose answers may be cached, or
// that show a page, replace what they need to.
func (s *server) headers(c *gin.Context) {
	h := c.Writer.Header()
	maps.Copy(h, s.common) // the values are shared, and as long as their arrays: nobody can append to them
	if c.Request.TLS != nil || s.throughProxy(c.Request) {
		h.Set("Strict-Transport-Security", hsts)
	}
	c.Next()
}

// refuseSlashes refuses a path with an encoded slash. gin takes it for a separator,
// and whoever checked the path before may have read it as data. No id has one.
func (s *server) refuseSlashes(c *gin.Context) {
	if strings.Contains(strings.ToUpper(c.Request.URL.RawPath), "%2F") {
		c.Writer.Header().Del("Allow")
		s.fail(c, errNoRoute)
	}
}

// cors answers preflights from, and marks answers for, the origins that are
// allowed. /.well-known is open to every origin, without credentials.
func (s *server) cors() gin.HandlerFunc {
	if len(s.AllowedOrigins) == 0 {
		return openWellKnown(func(*gin.Context) {})
	}
	rules := cors.New(cors.Options{
		AllowOriginFunc:  func(origin string) bool { return slices.Contains(s.AllowedOrigins, origin) },
		AllowCredentials: true,
		AllowedMethods:   []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete},
		AllowedHeaders:   []string{"Authorization", "Content-Type", "Idempotency-Key", "X-Request-Id"},
		ExposedHeaders: []string{
			"Location", "RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate", "X-Request-Id",
		},
		MaxAge: preflightAge,
	})
	return openWellKnown(func(c *gin.Context) {
		preflight := isPreflight(c)
		// The rules look at the first Origin and would repeat all of them.
		if len(c.Request.Header.Values("Origin")) > 1 || preflight && !rules.OriginAllowed(c.Request) {
			c.Writer.Header().Add("Vary", "Origin") // and on to the 405
			return
		}
		rules.HandlerFunc(c.Writer, c.Request)
		if preflight {
			c.Writer.WriteHeaderNow()
			c.Abort()
		}
	})
}

func openWellKnown(others gin.HandlerFunc) gin.HandlerFunc {
	return func(c *gin.Context) {
		if !strings.HasPrefix(c.Request.URL.Path, "/.well-known/") {
			others(c)
			return
		}
		c.Header("Access-Control-Allow-Origin", "*")
		c.Header("Access-Control-Expose-Headers", "ETag")
		if isPreflight(c) { // If-None-Match asks for one
			c.Header("Access-Control-Allow-Methods", "GET, HEAD")
			c.Header("Access-Control-Allow-Headers", "*")
			c.Header("Access-Control-Max-Age", strconv.Itoa(preflightAge))
			c.AbortWithStatus(http.StatusNoContent)
		}
	}
}

// isPreflight reports whether a browser asks on behalf of a page of another origin, for a
// path that there is: gin tells what else it allows.
func isPreflight(c *gin.Context) bool {
	return c.Request.Method == http.MethodOptions && c.Request.Header.Get("Access-Control-Request-Method") != "" &&
		c.Writer.Header().Get("Allow") != ""
}
