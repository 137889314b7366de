package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/client"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/password"
	"github.com/jotgate/jotgate/internal/ratelimit"
	"github.com/jotgate/jotgate/internal/revocation"
	"github.com/jotgate/jotgate/internal/scope"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
	"github.com/jotgate/jotgate/pkg/bearer"
)

const (
	statusClientGone = 499 // for the log; nobody reads the answer
	retryOverloaded  = 2   // seconds
	retryUnavailable = 3   // seconds
)

// problem is an RFC 9457 problem document.
type problem struct {
	Type      string       `json:"type"`
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail,omitempty"`
	Code      string       `json:"code"`
	RequestID string       `json:"request_id"`
	Errors    []fieldError `json:"errors,omitempty"`
}

// fieldError points at the part of a body that has to change. Pointer is a JSON
// Pointer (RFC 6901), empty for the body as a whole or what is outside it.
type fieldError struct {
	Pointer string `json:"pointer"`
	Code    string `json:"code"`
	Detail  string `json:"detail"`
}

// requestError is a request that is refused before a flow has run.
type requestError struct {
	code   string
	detail string
	fields []fieldError
}

func (e *requestError) Error() string { return "httpapi: " + e.code + ": " + e.detail }

var (
	errNoRoute   = &requestError{code: "no-such-route", detail: "There is nothing at this path."}
	errMethod    = &requestError{code: "method-not-allowed", detail: "This path does not take this method; see Allow."}
	errMediaType = &requestError{code: "unsupported-media-type", detail: "A body must be application/json, in UTF-8 and not compressed."}
	errTooLarge  = &requestError{code: "body-too-large", detail: "A body is at most 16 KiB."}
	errPanicked  = errors.New("httpapi: panic")
)

func malformed(detail string, fields ...fieldError) error {
	return &requestError{code: "malformed-json", detail: detail, fields: fields}
}

func invalid(fields ...fieldError) error {
	return &requestError{code: "invalid-fields", fields: fields}
}

func required(pointer string) fieldError {
	return fieldError{pointer, "required", "This member is required."}
}

// kinds is what each problem code means on the wire.
//
//nolint:gochecknoglobals // a table that is never changed
var kinds = map[string]struct {
	status int
	title  string
}{
	"malformed-json":          {http.StatusBadRequest, "The body is not the JSON that this route takes"},
	"invalid-fields":          {http.StatusUnprocessableEntity, "A field breaks a rule"},
	"weak-password":           {http.StatusUnprocessableEntity, "Choose a stronger password"},
	"invalid-request":         {http.StatusBadRequest, "Credentials were presented twice"},
	"no-credentials":          {http.StatusUnauthorized, "Sign in first"},
	"invalid-token":           {http.StatusUnauthorized, "The access token is not valid"},
	"bad-credentials":         {http.StatusUnauthorized, "Identifier or password is wrong"},
	"invalid-refresh-token":   {http.StatusUnauthorized, "The refresh token is not valid; sign in again"},
	"token-reused":            {http.StatusUnauthorized, "A spent refresh token came back; the session is over"},
	"csrf-rejected":           {http.StatusForbidden, "The request does not show that it comes from this site"},
	"insufficient-scope":      {http.StatusForbidden, "The credential may not do this"},
	"reauthentication-failed": {http.StatusForbidden, "The current password is wrong"},
	"registration-closed":     {http.StatusForbidden, "Registration is closed"},
	"not-found":               {http.StatusNotFound, "There is no such thing"},
	"no-such-route":           {http.StatusNotFound, "There is no such route"},
	"method-not-allowed":      {http.StatusMethodNotAllowed, "Not with this method"},
	"identity-taken":          {http.StatusConflict, "Username or email is already registered"},
	"conflict":                {http.StatusConflict, "The state has changed in the meantime"},
	"body-too-large":          {http.StatusRequestEntityTooLarge, "The body is too large"},
	"unsupported-media-type":  {http.StatusUnsupportedMediaType, "The body is not JSON"},
	"rate-limited":            {http.StatusTooManyRequests, "Too many requests"},
	"internal":                {http.StatusInternalServerError, "Something went wrong on our side"},
	"overloaded":              {http.StatusServiceUnavailable, "Too much to do at the moment"},
	"unavailable":             {http.StatusServiceUnavailable, "Something that this needs is away"},
}

// codes is the one place where an error of a flow or a noun gets its wire form.
// The first row that fits decides. An error that is not here is a bug and becomes
// an opaque 500; TestEveryErrorHasACode keeps the list complete.
//
//nolint:gochecknoglobals // a table that is never changed
var codes = []struct {
	err  error
	code string
}{
	{user.ErrBadCredentials, "bad-credentials"},
	{user.ErrIdentityTaken, "identity-taken"},
	{user.ErrNotFound, "not-found"},
	{gate.ErrRegistrationClosed, "registration-closed"},
	{gate.ErrReauthentication, "reauthentication-failed"},
	{gate.ErrSessionNeeded, "insufficient-scope"},
	{gate.ErrNotAdmin, "insufficient-scope"},
	{gate.ErrInvalidRefresh, "invalid-refresh-token"},
	{session.ErrReused, "token-reused"},
	{session.ErrEnded, "invalid-token"},
	{session.ErrNotFound, "not-found"},
	{apikey.ErrInvalid, "invalid-token"},
	{apikey.ErrNotFound, "not-found"},
	{client.ErrNotFound, "not-found"},
	{bearer.ErrNoCredentials, "no-credentials"},
	{bearer.ErrMalformedRequest, "invalid-request"},
	{bearer.ErrInvalidToken, "invalid-token"},
	{bearer.ErrUnavailable, "unavailable"},
	{password.ErrOverloaded, "overloaded"},
	{password.ErrClosed, "unavailable"},
}

// fields is what an error says of one field, where it does not say which: the
// password has another name in each route.
//
//nolint:gochecknoglobals // a table that is never changed
var fields = []struct {
	err error
	fieldError
}{
	{user.ErrNoIdentity, fieldError{"/username", "required", "A username or an email is needed."}},
	{user.ErrInvalidUsername, fieldError{"/username", "invalid", "A username is 3 to 64 of a-z, 0-9, dot, underscore and hyphen."}},
	{user.ErrInvalidEmail, fieldError{"/email", "invalid", "An email is one plain ASCII address of at most 254 bytes."}},
	{user.ErrInvalidRole, fieldError{"/roles", "invalid", "A role is 1 to 64 of a-z, 0-9, colon, dot, underscore and hyphen; at most 16 of them."}},
	{session.ErrInvalidMode, fieldError{"/mode", "invalid", "The mode is bearer or cookie."}},
	{apikey.ErrInvalidName, fieldError{"/name", "invalid", "A name is 1 to 128 printable characters."}},
	{apikey.ErrInvalidLife, fieldError{"/expires_in", "invalid", "A key lives 1 second to 10 years."}},
	{client.ErrInvalidName, fieldError{"/name", "invalid", "A name is 1 to 128 printable characters."}},
	{client.ErrInvalidAudience, fieldError{"/audiences", "invalid", "An audience is the service's own or an absolute URI without a fragment; at most 16 of them."}},
	{client.ErrInvalidOverlap, fieldError{"/overlap", "invalid", "The old secret goes on for 0 seconds to 30 days."}},
	{scope.ErrInvalid, fieldError{"/scopes", "invalid", "A scope is 1 to 64 of a-z, 0-9, colon, dot, underscore and hyphen; at most 64 of them."}},
	{revocation.ErrInvalidCursor, fieldError{"", "invalid", "The parameter after, or Last-Event-ID, is no cursor of the feed."}},
	{password.ErrCharacters, fieldError{"", "invalid-characters", "A password has no control characters."}},
}

// problemOf returns the wire form of err.
func problemOf(err error) problem {
	if e, ok := errors.AsType[*requestError](err); ok {
		return newProblem(e.code, e.detail, e.fields...)
	}
	if e, ok := errors.AsType[*bearer.ScopeError](err); ok {
		return newProblem("insufficient-scope", "The scope "+e.Scope+" is needed.")
	}
	if _, limited := retryAfter(err); limited {
		return newProblem("rate-limited", "Try again after the seconds in Retry-After.")
	}
	if errors.Is(err, bearer.ErrCrossOrigin) {
		return newProblem("csrf-rejected", "Send Sec-Fetch-Site: same-origin, or an Origin that is the public URL or listed in cookie.trusted_origins.")
	}
	if found, weak := fieldErrors(err); len(found) > 0 {
		if weak == len(found) {
			return newProblem("weak-password", "", found...)
		}
		return newProblem("invalid-fields", "", found...)
	}
	if errors.Is(err, apikey.ErrTooMany) {
		return newProblem("conflict", fmt.Sprintf("A user has at most %d keys; delete one first.", apikey.MaxPerUser))
	}
	for _, row := range codes {
		if errors.Is(err, row.err) {
			return newProblem(row.code, "")
		}
	}
	if e, ok := errors.AsType[interface {
		error
		Unavailable() bool
	}](err); ok && e.Unavailable() {
		return newProblem("unavailable", "")
	}
	return newProblem("internal", "")
}

// fieldErrors returns what err says of fields, and how much of that is weakness
// of a new password.
func fieldErrors(err error) (found []fieldError, weak int) {
	at := ""
	if e, ok := errors.AsType[*passwordError](err); ok {
		at = e.pointer
	}
	for _, row := range fields {
		if errors.Is(err, row.err) {
			f := row.fieldError
			if f.Pointer == "" {
				f.Pointer = at
			}
			found = append(found, f)
		}
	}
	if e, ok := errors.AsType[*password.WeakError](err); ok {
		detail := weaknesses[e.Rule]
		if e.Rule == password.TooShort {
			detail = fmt.Sprintf("A password has at least %d characters.", e.MinLength)
		}
		return append(found, fieldError{at, e.Rule, detail}), 1
	}
	if errors.Is(err, password.ErrTooLong) {
		f := fieldError{at, password.TooLong, weaknesses[password.TooLong]}
		if e, ok := errors.AsType[*passwordError](err); ok && e.fresh {
			return append(found, f), 1
		}
		return append(found, f), 0
	}
	return found, 0
}

//nolint:gochecknoglobals // a table that is never changed
var weaknesses = map[string]string{
	password.TooLong:          "The password is longer than 256 characters.",
	password.Common:           "The password is on the list of common passwords.",
	password.ContainsIdentity: "The password is the username, the email or the name of this service.",
}

// passwordError says in which member of the body the password was that err is
// about, and whether it was to be a new one.
type passwordError struct {
	pointer string
	fresh   bool
	err     error
}

func (e *passwordError) Error() string { return e.err.Error() }

// Unwrap returns what is wrong.
func (e *passwordError) Unwrap() error { return e.err }

// inPassword is err said of the password at pointer, or nil.
func inPassword(pointer string, fresh bool, err error) error {
	if err == nil {
		return nil
	}
	return &passwordError{pointer, fresh, err}
}

func newProblem(code, detail string, errs ...fieldError) problem {
	kind := kinds[code]
	return problem{
		Type: "urn:jotgate:problem:" + code, Title: kind.title, Status: kind.status,
		Detail: detail, Code: code, Errors: errs,
	}
}

// retryAfter returns the seconds to wait after a request that was limited.
func retryAfter(err error) (seconds int, limited bool) {
	if e, ok := errors.AsType[*flow.LimitedError](err); ok {
		return ratelimit.Seconds(e.Quota.RetryAfter), true
	}
	if e, ok := errors.AsType[*user.TooManyAttemptsError](err); ok {
		return ratelimit.Seconds(e.RetryAfter), true
	}
	return 0, false
}

// fail answers a request with the problem that err stands for. It is the only
// function that writes an error.
func (s *server) fail(c *gin.Context, err error) {
	ctx := c.Request.Context()
	c.Abort()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		c.Header("Connection", "close") // whoever is there all the same: every request on it would end like this
		c.Status(statusClientGone)
		return
	}
	p := problemOf(err)
	p.RequestID = requestIDOf(c)
	if p.Status >= http.StatusInternalServerError {
		s.failed(c, err)
	}
	challenge(c, p, err)
	showQuota(c, err)
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // a problem is strings and numbers
	}
	c.Data(p.Status, "application/problem+json", body)
}

// failed logs a request that failed through no fault of the client's.
func (s *server) failed(c *gin.Context, err error) {
	s.Log.LogAttrs(c.Request.Context(), slog.LevelError, "request failed", slog.String("route", c.FullPath()),
		slog.String("request_id", requestIDOf(c)), slog.String("err", err.Error()))
}

// challenge sets the headers that say what to do about p: RFC 6750, section 3
// for a credential, RFC 9110, section 10.2.3 for a wait.
func challenge(c *gin.Context, p problem, err error) {
	const realm = `Bearer realm="jotgate"`
	switch {
	case p.Code == "invalid-token":
		c.Header("WWW-Authenticate", realm+`, error="invalid_token"`)
	case p.Code == "insufficient-scope":
		wanted := ""
		if e, ok := errors.AsType[*bearer.ScopeError](err); ok {
			wanted = fmt.Sprintf(`, scope="%s"`, e.Scope)
		}
		c.Header("WWW-Authenticate", realm+`, error="insufficient_scope"`+wanted)
	case p.Status == http.StatusUnauthorized:
		c.Header("WWW-Authenticate", realm)
	case p.Code == "rate-limited":
		seconds, _ := retryAfter(err)
		c.Header("Retry-After", strconv.Itoa(seconds))
	case p.Code == "overloaded":
		c.Header("Retry-After", strconv.Itoa(retryOverloaded))
	case p.Status == http.StatusServiceUnavailable:
		c.Header("Retry-After", strconv.Itoa(retryUnavailable))
	}
}
