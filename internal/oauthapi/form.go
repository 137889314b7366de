package oauthapi

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/jotgate/jotgate/internal/client"
)

const maxBody = 16 << 10 // bytes

// form is the parameters of a request, each at most once and with a value: one
// without counts as left out (RFC 6749, section 3.2).
type form map[string]string

// readForm reads the body, and refuses parameters in the query, where logs would
// keep them.
func readForm(c *gin.Context) (form, error) {
	if c.Request.URL.RawQuery != "" {
		return nil, refused("invalid_request", "parameters belong into the body")
	}
	if !isForm(c.Request.Header) {
		return nil, &wireError{http.StatusUnsupportedMediaType, "invalid_request", "the body must be application/x-www-form-urlencoded"}
	}
	text, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, &wireError{http.StatusRequestEntityTooLarge, "invalid_request", "the body is at most 16 KiB"}
	}
	if err != nil {
		return nil, refused("invalid_request", "the body ended before it was complete")
	}
	values, err := url.ParseQuery(string(text))
	if err != nil {
		return nil, refused("invalid_request", "the body is not a form")
	}
	f := form{}
	for name, all := range values {
		if len(all) > 1 {
			return nil, refused("invalid_request", "a parameter is there twice")
		}
		if !utf8.ValidString(all[0]) || strings.ContainsRune(all[0], 0) {
			return nil, refused("invalid_request", "a parameter is not text")
		}
		if all[0] != "" {
			f[name] = all[0]
		}
	}
	return f, nil
}

func isForm(h http.Header) bool {
	if len(h.Values("Content-Type")) != 1 || h.Get("Content-Encoding") != "" {
		return false
	}
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return false
	}
	// The type has no such parameter, and some clients name their own default. What these
	// have in common is ASCII, and values are looked at once they are decoded.
	switch strings.ToLower(params["charset"]) {
	case "", "utf-8", "us-ascii", "iso-8859-1":
		return true
	}
	return false
}

// client returns who a request says it is from: by Basic authentication, whose
// parts are form-encoded, or by client_id and client_secret in the body, and
// never by both (RFC 6749, section 2.3).
func (f form) client(r *http.Request) (client.ID, string, error) {
	given := r.Header.Values("Authorization")
	_, secretInBody := f["client_secret"]
	switch {
	case len(given) > 1, len(given) == 1 && secretInBody:
		return "", "", refused("invalid_request", "the client authenticates twice")
	case len(given) == 0 && (f["client_id"] == "" || f["client_secret"] == ""):
		return "", "", client.ErrUnauthenticated
	case len(given) == 0:
		return client.ID(f["client_id"]), f["client_secret"], nil
	}
	id, secret, ok := r.BasicAuth()
	id, errID := url.QueryUnescape(id)
	secret, errSecret := url.QueryUnescape(secret)
	if !ok || errors.Join(errID, errSecret) != nil {
		return "", "", client.ErrUnauthenticated
	}
	if named, there := f["client_id"]; there && named != id {
		return "", "", refused("invalid_request", "client_id is not the client that authenticates")
	}
	return client.ID(id), secret, nil
}
