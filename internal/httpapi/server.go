// Package httpapi is jotgate's first-party JSON API on Gin, and what the
// operations listener serves. A handler does four things and nothing else:
// decode, call one flow, set cookies or headers, encode.
//
// What a client may rely on is in openapi.yaml, which is embedded and served.
// The package decides nothing about who may come in: package gate does, and
// package bearer says what an access token is worth.
package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/trace"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/keyset"
	"github.com/jotgate/jotgate/internal/oauth"
	"github.com/jotgate/jotgate/internal/oauthapi"
	"github.com/jotgate/jotgate/internal/revocation"
	"github.com/jotgate/jotgate/internal/telemetry"
	"github.com/jotgate/jotgate/internal/web/spa"
	"github.com/jotgate/jotgate/pkg/bearer"
)

// Config is what the API works with. All fields are needed, but for the lists and Spans.
type Config struct {
	Gate  *gate.Gate
	OAuth *oauth.OAuth
	Keys  *keyset.Set
	// Revocations is the feed that verifiers elsewhere follow.
	Revocations *revocation.Feed
	// Stopping is closed when no more requests are taken, so that those end that wait
	// for nothing but news.
	Stopping <-chan struct{}
	Verifier *bearer.Verifier
	// PublicURL is the origin under which clients reach the API, and the issuer.
	PublicURL string
	// TrustedOrigins are origins besides PublicURL from which cookie sessions may write.
	TrustedOrigins []string
	// AllowedOrigins are origins whose scripts may call the API with credentials (CORS).
	AllowedOrigins []string
	// TrustedProxies are the peers whose X-Forwarded-For counts.
	TrustedProxies []netip.Prefix
	// SampleApp tells whether the sample app is under /app.
	SampleApp bool
	// KeysMaxAge is how long verifiers may keep the key set. A new key is published for
	// longer than that before it signs.
	KeysMaxAge time.Duration
	// Ready names each thing that the program depends on, and what is wrong with it.
	Ready   func(ctx context.Context) []Dependency
	Metrics *telemetry.Metrics
	Log     *slog.Logger
	// Spans is where a span is made of each request; nil is nowhere.
	Spans trace.TracerProvider
	Now   func() time.Time // time.Now everywhere but in tests
}

// Dependency is one thing that the program depends on. Err is nil if it is well.
// Without an Optional one the program goes on, less well: taking it out of a
// load balancer, and all other replicas with it, would make things worse.
type Dependency struct {
	Name     string
	Err      error
	Optional bool
}

// server answers requests. It is made by [New] and not changed afterwards, but for warned.
type server struct {
	Config
	guard *bearer.Guard
	// following is a place for each request that waits for the feed.
	following chan struct{}
	// common are headers of every answer.
	common http.Header
	// warned is whether warnOfProxy has said what it has to say.
	warned atomic.Bool
}

// New returns the API as an http.Handler.
func New(c Config) (http.Handler, error) {
	e, err := newEngine(c)
	return e, err
}

func newEngine(c Config) (*gin.Engine, error) {
	origins := append([]string{c.PublicURL}, c.TrustedOrigins...)
	s := &server{
		Config: c, guard: &bearer.Guard{Verifier: c.Verifier, Origins: origins}, following: make(chan struct{}, maxFollowing),
		common: commonHeaders(),
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	if err := r.SetTrustedProxies(nil); err != nil {
		return nil, fmt.Errorf("httpapi: trust no proxy: %w", err)
	}
	r.ForwardedByClientIP = false // client.go reads the address
	r.HandleMethodNotAllowed = true
	r.RedirectTrailingSlash = false
	r.RedirectFixedPath = false
	if s.Spans != nil {
		r.Use(s.span())
	}
	r.Use(s.observe, s.recover, s.headers, s.refuseSlashes, s.cors())
	s.routes(r)
	return r, nil
}

// routes lists every route once, by the credential that it asks for.
func (s *server) routes(r *gin.Engine) {
	r.NoRoute(s.endpoint(func(*gin.Context) error { return errNoRoute }))
	r.NoMethod(s.endpoint(func(*gin.Context) error { return errMethod }))

	get := func(g gin.IRoutes, path string, h func(*gin.Context) error) {
		g.GET(path, s.endpoint(h))
		g.HEAD(path, s.endpoint(h))
	}

	// For anybody.
	get(r, "/healthz", s.healthz)
	get(r, "/readyz", s.readyz)
	get(r, "/openapi.json", s.openAPI)
	docs := page(docsOnce(), docsCSP)
	get(r, "/docs", docs)
	get(r, "/docs/:name", docs)
	if s.SampleApp {
		app := page(newAssets(spa.Files()), spa.Policy)
		get(r, "/app", app)
		get(r, "/app/:name", app)
	}
	get(r, "/.well-known/jwks.json", s.jwks)
	get(r, "/.well-known/oauth-authorization-server", s.metadata)
	get(r, feedPath, s.revocations)
	v1 := r.Group("/v1")
	v1.POST("/users", s.endpoint(s.register))
	v1.POST("/login", s.endpoint(s.login))

	// With a refresh token, or for logout also an access token, in the body or in cookies.
	v1.POST("/refresh", s.endpoint(s.refresh))
	v1.POST("/logout", s.endpoint(s.logout))

	// With an access token, in the header or in the cookie.
	// Or with an API key.
	get(v1.Group("", unread, s.authenticate()), "/forward-auth", s.forwardAuth)
	signedIn := v1.Group("", s.authenticate())

	// The same, and what it stands for must live in the database at this moment.
	get(signedIn, "/me", s.caller(s.me))
	signedIn.PATCH("/me", s.endpoint(s.caller(s.changeIdentity)))
	signedIn.DELETE("/me", s.endpoint(s.caller(s.closeUser)))
	signedIn.POST("/me/password", s.endpoint(s.caller(s.changePassword)))
	get(signedIn, "/sessions", s.caller(s.listSessions))
	signedIn.DELETE("/sessions", s.endpoint(s.caller(s.endSessions)))
	signedIn.DELETE("/sessions/:id", s.endpoint(s.caller(s.endSession)))
	get(signedIn, "/api-keys", s.caller(s.listKeys))
	signedIn.POST("/api-keys", s.endpoint(s.caller(s.createKey)))
	signedIn.DELETE("/api-keys/:id", s.endpoint(s.caller(s.deleteKey)))

	// With the scope admin.
	get(signedIn, "/admin/clients", admin(s, readAfter, s.listClients))
	signedIn.POST("/admin/clients", s.endpoint(admin(s, s.readClient, s.createClient)))
	signedIn.POST("/admin/clients/:id/secret", s.endpoint(admin(s, readOverlap, s.rotateSecret)))
	signedIn.DELETE("/admin/clients/:id", s.endpoint(admin(s, nothing, s.deleteClient)))

	oauthapi.Mount(r, oauthapi.Config{OAuth: s.OAuth, Issuer: s.PublicURL, Visit: s.visit, Failed: s.failed})
}

// endpoint adapts a handler that returns its error, so that no handler can
// forget to stop after failing or invent its own error body.
func (s *server) endpoint(h func(*gin.Context) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := h(c); err != nil {
			s.fail(c, err)
		}
	}
}

// refuse answers for the guard. A cookie that turned out dead is taken back.
func (s *server) refuse(c *gin.Context, err error) {
	s.clearDead(c, err)
	s.fail(c, err)
}
