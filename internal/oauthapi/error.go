package oauthapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/jotgate/jotgate/internal/client"
	"github.com/jotgate/jotgate/internal/oauth"
)

const statusClientGone = 499 // for the log; nobody reads the answer

// wireError is an error as RFC 6749, section 5.2 writes it.
type wireError struct {
	status      int
	code        string
	description string
}

func (e *wireError) Error() string { return "oauthapi: " + e.code + ": " + e.description }

func refused(code, description string) error {
	return &wireError{http.StatusBadRequest, code, description}
}

// wire is the one place where an error of the flow gets its form on the wire.
//
//nolint:gochecknoglobals // a table that is never changed
var wire = []struct {
	err error
	wireError
}{
	{client.ErrUnauthenticated, wireError{http.StatusUnauthorized, "invalid_client", "client_id or client_secret is wrong"}},
	{oauth.ErrInvalidScope, wireError{http.StatusBadRequest, "invalid_scope", "a scope is not granted to the client"}},
	{oauth.ErrInvalidTarget, wireError{http.StatusBadRequest, "invalid_target", "the audience is not granted to the client"}},
	{oauth.ErrNotYours, wireError{http.StatusBadRequest, "invalid_grant", "the token was not issued to this client"}},
}

func wireErrorOf(err error) wireError {
	if e, ok := errors.AsType[*wireError](err); ok {
		return *e
	}
	for _, row := range wire {
		if errors.Is(err, row.err) {
			return row.wireError
		}
	}
	if e, ok := errors.AsType[interface {
		error
		Unavailable() bool
	}](err); ok && e.Unavailable() {
		return wireError{http.StatusServiceUnavailable, "temporarily_unavailable", "something that this needs is away"}
	}
	return wireError{http.StatusInternalServerError, "server_error", "something went wrong on our side"}
}

type errorAnswer struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// fail is the only function of these routes that writes an error.
func (s *server) fail(c *gin.Context, err error) {
	c.Abort()
	if c.Request.Context().Err() != nil && errors.Is(err, context.Canceled) {
		c.Header("Connection", "close") // whoever is there all the same: every request on it would end like this
		c.Status(statusClientGone)
		return
	}
	e := wireErrorOf(err)
	switch e.status {
	case http.StatusUnauthorized:
		c.Header("WWW-Authenticate", `Basic realm="jotgate", charset="UTF-8"`)
	case http.StatusServiceUnavailable:
		c.Header("Retry-After", "3")
	}
	if e.status >= http.StatusInternalServerError {
		s.Failed(c, err)
	}
	c.JSON(e.status, errorAnswer{e.code, e.description})
}
