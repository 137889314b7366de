package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// request is one call of the API.
type request struct {
	method, path string
	token        string // an access token
	key          string // an Idempotency-Key
	from         string // the address that a proxy says it comes from
	body         map[string]string
}

// answer is what a request came to.
type answer struct {
	status int
	body   []byte
	err    error
}

// unknown reports whether the client cannot tell if the request had its effect.
func (a answer) unknown() bool { return a.err != nil || a.status >= http.StatusInternalServerError }

func (a answer) String() string {
	if a.err != nil {
		return a.err.Error()
	}
	return fmt.Sprintf("%d %.200s", a.status, a.body)
}

// wire calls one server and looks at the form of every answer.
type wire struct {
	base   string
	client *http.Client
	tally  *tally
	whole  bool // the server lives on, so a connection that is cut is an odd answer
	spread bool // each request comes from somewhere else, so that no limit is met
}

func newWire(addr string, t *tally) *wire {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	return &wire{base: "http://" + addr, tally: t, client: &http.Client{Timeout: patience, Transport: &http.Transport{
		DialContext: dialer.DialContext, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Second,
	}}}
}

func (w *wire) send(ctx context.Context, r request) answer {
	a, header := w.roundTrip(ctx, r)
	what := func(why string) {
		w.tally.add(odd, "%s %s: %s: %v", r.method, r.path, why, a)
	}
	switch {
	case a.err != nil:
		if w.whole && ctx.Err() == nil {
			what("no answer")
		}
	case a.status == http.StatusServiceUnavailable && header.Get("Retry-After") == "":
		what("no Retry-After")
	case a.status >= 400 && !isProblem(header, a):
		what("not a problem document")
	case a.status > 500 && a.status != http.StatusServiceUnavailable, a.status == 500, a.status == http.StatusTooManyRequests:
		what("status")
	}
	return a
}

func (w *wire) roundTrip(ctx context.Context, r request) (answer, http.Header) {
	var body io.Reader
	if r.body != nil {
		text, err := json.Marshal(r.body)
		if err != nil {
			return answer{err: err}, nil
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, w.base+r.path, body)
	if err != nil {
		return answer{err: err}, nil
	}
	if w.spread && r.from == "" {
		r.from = newAddress()
	}
	for name, value := range map[string]string{"Authorization": r.token, "Idempotency-Key": r.key, "X-Forwarded-For": r.from} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return answer{err: err}, nil
	}
	text, err := io.ReadAll(resp.Body)
	if closed := resp.Body.Close(); err == nil {
		err = closed
	}
	return answer{status: resp.StatusCode, body: text, err: err}, resp.Header
}

// newAddress is one that nobody has.
func newAddress() string {
	b := [16]byte{0xfd}
	copy(b[1:], rand.Text())
	return netip.AddrFrom16(b).String()
}

func isProblem(h http.Header, a answer) bool {
	var p struct {
		Status int    `json:"status"`
		Code   string `json:"code"`
	}
	return h.Get("Content-Type") == "application/problem+json" && json.Unmarshal(a.body, &p) == nil && p.Status == a.status && p.Code != ""
}

// tokens is a token answer.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

func (a answer) tokens() (tokens, error) {
	var t tokens
	err := json.Unmarshal(a.body, &t)
	if err == nil && (t.Access == "" || t.Refresh == "") {
		err = fmt.Errorf("no tokens in %v", a)
	}
	return t, err
}

// generation reads a refresh token without verifying it.
func generation(refresh string) int64 {
	claims := struct {
		Gen int64 `json:"gen"`
	}{-1}
	if claimsOf(refresh, &claims) != nil {
		return -1
	}
	return claims.Gen
}

// span reads when an access token was issued and when it expires.
func span(access string) (issued, expires time.Time) {
	var claims struct {
		Iat, Exp int64
	}
	if claimsOf(access, &claims) != nil {
		return time.Time{}, time.Time{}
	}
	return time.Unix(claims.Iat, 0), time.Unix(claims.Exp, 0)
}

func claimsOf(jwt string, into any) error {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return fmt.Errorf("%q is no JWT", jwt)
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
