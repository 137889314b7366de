package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	maxAnswer     = 64 << 10 // bytes
	maxRetryAfter = time.Hour
)

// ProblemError is an answer that is not the one asked for: a problem document
// (RFC 9457) of jotgate, or whatever else stands in between, such as a gateway
// that cannot reach it. Only what jotgate said has a Code.
type ProblemError struct {
	Status    int    // of HTTP
	Code      string // stable, such as bad-credentials or rate-limited; or empty
	Title     string // for developers, in English
	Detail    string
	RequestID string // to be told to the operator
	Fields    []FieldError
	// RetryAfter is how long not to ask again (RFC 9110, section 10.2.3), at most an
	// hour. Zero if the answer does not say.
	RetryAfter time.Duration
}

// FieldError is what is wrong with one member of a body.
type FieldError struct {
	Pointer string `json:"pointer"` // RFC 6901, such as /password
	Code    string `json:"code"`    // such as too-short
	Detail  string `json:"detail"`
}

func (e *ProblemError) Error() string {
	text := "client: status " + strconv.Itoa(e.Status)
	if e.Code != "" {
		text += " " + e.Code
	}
	if e.RetryAfter > 0 {
		text += ", try again in " + e.RetryAfter.String()
	}
	return text
}

// endsSession reports whether the answer to a refresh says that the session is
// over. A 401 that jotgate did not write says nothing of the session.
func (e *ProblemError) endsSession() bool {
	return e.Status == http.StatusUnauthorized && e.Code != ""
}

// post sends body to path and decodes an answer of the status wanted into answer,
// if that is not nil. Any other status is a [*ProblemError].
func (c *Client) post(ctx context.Context, path, retryKey string, body any, wanted int, answer any) (err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if retryKey != "" {
		req.Header.Set("Idempotency-Key", retryKey)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("client: %w", err) // it names method and URL, which hold no secret
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	text, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("client: read the answer of %s: %w", path, err)
	}
	if res.StatusCode != wanted {
		return problemOf(res, text)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("client: the answer of %s is not what jotgate answers: %w", path, err)
	}
	return nil
}

const problemType = "urn:jotgate:problem:"

func problemOf(res *http.Response, text []byte) *ProblemError {
	p := &ProblemError{Status: res.StatusCode, RequestID: res.Header.Get("X-Request-Id"), RetryAfter: retryAfter(res.Header)}
	var document struct {
		Type   string       `json:"type"`
		Title  string       `json:"title"`
		Code   string       `json:"code"`
		Detail string       `json:"detail"`
		Errors []FieldError `json:"errors"`
	}
	if json.Unmarshal(text, &document) == nil && document.Type == problemType+document.Code {
		p.Code, p.Title, p.Detail, p.Fields = document.Code, document.Title, document.Detail, document.Errors
	}
	return p
}

// retryAfter reads seconds, or a date, which it compares with the answer's own:
// this device may have another time.
func retryAfter(h http.Header) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	var wait time.Duration
	if seconds, err := strconv.Atoi(text); err == nil {
		wait = time.Duration(min(seconds, int(maxRetryAfter/time.Second))) * time.Second // or the product overflows
	} else if until, err := http.ParseTime(text); err == nil {
		if from, err := http.ParseTime(h.Get("Date")); err == nil {
			wait = until.Sub(from)
		}
	}
	return min(max(wait, 0), maxRetryAfter)
}

// tokenAnswer is what login and refresh answer to a bearer client.
type tokenAnswer struct {
	TokenType    string `json:"token_type"`
	AccessToken  string `json:"access_token"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token"`
	User         User   `json:"user"`
}

// state returns what to keep of the answer to a request that was sent at sent.
func (a tokenAnswer) state(base, secret string, sent time.Time) (State, error) {
	s := State{
		BaseURL: base, RefreshToken: a.RefreshToken, RetrySecret: secret,
		AccessToken: a.AccessToken, SentAt: sent, ExpiresIn: a.ExpiresIn,
	}
	if a.TokenType != "Bearer" || s.SignedOut() || !s.complete() {
		return State{}, errors.New("client: the answer has no bearer tokens")
	}
	return s, nil
}
