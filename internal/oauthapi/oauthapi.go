// Package oauthapi is the OAuth 2 wire: forms in, JSON out, and errors as RFC
// 6749, section 5.2 has them, which is why it is apart from package httpapi. It
// mounts its routes into the engine that package httpapi makes.
//
// It decides nothing: package oauth says what a client gets.
package oauthapi

import (
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/jotgate/jotgate/internal/client"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/oauth"
)

// Config is what the routes work with. All fields are needed.
type Config struct {
	OAuth *oauth.OAuth
	// Issuer is the iss of every token.
	Issuer string
	// Visit returns the request as flows see it.
	Visit func(*gin.Context) *flow.Visit
	// Failed logs a request that failed through no fault of the client's.
	Failed func(c *gin.Context, err error)
}

// Mount adds the routes to r.
func Mount(r gin.IRouter, c Config) {
	s := &server{c}
	r.POST("/oauth/token", s.endpoint(s.token))
	r.POST("/oauth/revoke", s.endpoint(s.revoke))
	r.POST("/oauth/introspect", s.endpoint(s.introspect))
}

type server struct{ Config }

func (s *server) endpoint(h func(*gin.Context, form) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Header("Pragma", "no-cache") // RFC 6749, section 5.1
		f, err := readForm(c)
		if err == nil {
			err = h(c, f)
		}
		if err != nil {
			s.fail(c, err)
		}
	}
}

type tokenAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope"`
}

// token is RFC 6749, section 4.4, with the resource of RFC 8707, which some
// clients call audience.
func (s *server) token(c *gin.Context, f form) error {
	ctx := c.Request.Context()
	id, secret, err := f.client(c.Request)
	if err != nil {
		return err
	}
	if _, err := s.OAuth.Clients.Authenticate(ctx, id, secret); err != nil {
		return err
	}
	switch f["grant_type"] {
	case "client_credentials":
	case "":
		return refused("invalid_request", "grant_type is missing")
	default:
		return refused("unsupported_grant_type", "the only grant here is client_credentials")
	}
	want := oauth.Grant{Audience: f["resource"]}
	if audience := f["audience"]; want.Audience == "" {
		want.Audience = audience
	} else if audience != "" && audience != want.Audience {
		return refused("invalid_target", "a token is for one audience")
	}
	if text := f["scope"]; text != "" {
		want.Scopes = strings.Split(text, " ")
	}
	issued, err := s.OAuth.Token(ctx, id, secret, want, s.Visit(c))
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, tokenAnswer{issued.Access, "Bearer", int64(issued.Expires / time.Second), issued.Scope})
	return nil
}

// revoke is RFC 7009. A hint is not needed to find a token.
func (s *server) revoke(c *gin.Context, f form) error {
	who, err := s.authenticate(c, f)
	if err != nil {
		return err
	}
	raw := f["token"]
	if raw == "" {
		return refused("invalid_request", "token is missing")
	}
	if err := s.OAuth.Revoke(c.Request.Context(), who, raw, s.Visit(c)); err != nil {
		return err
	}
	c.Status(http.StatusOK)
	c.Writer.WriteHeaderNow()
	return nil
}

// introspection is RFC 7662, section 2.2. Roles and the session are ours.
type introspection struct {
	Active    bool     `json:"active"`
	Scope     *string  `json:"scope,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	TokenType string   `json:"token_type,omitempty"`
	ExpiresAt int64    `json:"exp,omitempty"`
	IssuedAt  int64    `json:"iat,omitempty"`
	Subject   string   `json:"sub,omitempty"`
	Audience  []string `json:"aud,omitempty"`
	Issuer    string   `json:"iss,omitempty"`
	ID        string   `json:"jti,omitempty"`
	SessionID string   `json:"sid,omitempty"`
	Roles     []string `json:"roles,omitempty"`
	Mode      string   `json:"mode,omitempty"`
}

func (s *server) introspect(c *gin.Context, f form) error {
	who, err := s.authenticate(c, f)
	if err != nil {
		return err
	}
	raw := f["token"]
	if raw == "" {
		return refused("invalid_request", "token is missing")
	}
	t, active, err := s.OAuth.Introspect(c.Request.Context(), who, raw)
	if err != nil {
		return err
	}
	if !active {
		c.JSON(http.StatusOK, introspection{})
		return nil
	}
	answer := introspection{
		Active: true, Scope: &t.Scope, ClientID: t.ClientID, TokenType: "Bearer", IssuedAt: t.IssuedAt.Unix(), Subject: t.Subject,
		Audience: t.Audience, Issuer: s.Issuer, ID: t.ID, SessionID: t.SessionID, Roles: t.Roles, Mode: t.Mode,
	}
	if !t.ExpiresAt.IsZero() {
		answer.ExpiresAt = t.ExpiresAt.Unix()
	}
	c.JSON(http.StatusOK, answer)
	return nil
}

func (s *server) authenticate(c *gin.Context, f form) (client.Client, error) {
	id, secret, err := f.client(c.Request)
	if err != nil {
		return client.Client{}, err
	}
	return s.OAuth.Clients.Authenticate(c.Request.Context(), id, secret)
}
