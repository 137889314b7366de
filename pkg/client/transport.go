package client

import (
	"errors"
	"io"
	"net/http"
	"strings"
)

// Transport puts access tokens on requests. It is safe for concurrent use.
//
// Only requests to Client's own origins get a token, and not even those if
// a redirect from elsewhere led to them. A request with an Authorization header
// is sent as it is.
//
// If the answer is that the token is not valid (RFC 6750, section 3.1), the
// request is sent once more with a new one, provided that its body can be had
// again. What [Client.Token] returns as an error is the error of the request.
type Transport struct {
	Client *Client
	// Base sends the requests. Nil stands for http.DefaultTransport.
	Base http.RoundTripper
}

// maxDrained is how much of an answer that nobody reads is read to use its
// connection again.
const maxDrained = 4 << 10 // bytes

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !t.Client.entitled(req) || len(req.Header.Values("Authorization")) > 0 {
		return t.base().RoundTrip(req)
	}
	access, err := t.Client.token(req.Context(), "")
	if err != nil {
		return nil, errors.Join(err, closeBody(req))
	}
	res, err := t.base().RoundTrip(withToken(req, access))
	if err != nil || !saysInvalidToken(res) {
		return res, err
	}
	again, ok := replay(req)
	if !ok {
		return res, nil
	}
	if err := discard(res); err != nil {
		return nil, errors.Join(err, closeBody(again))
	}
	if access, err = t.Client.token(req.Context(), access); err != nil {
		return nil, errors.Join(err, closeBody(again))
	}
	return t.base().RoundTrip(withToken(again, access))
}

func (t *Transport) base() http.RoundTripper {
	if t.Base != nil {
		return t.Base
	}
	return http.DefaultTransport
}

// entitled reports whether the request may carry the token: it goes to one of
// the client's origins, and so did all that were redirected to become it.
func (c *Client) entitled(req *http.Request) bool {
	for {
		if !c.origins[origin(req.URL)] {
			return false
		}
		if req.Response == nil || req.Response.Request == nil {
			return true
		}
		req = req.Response.Request
	}
}

func withToken(req *http.Request, access string) *http.Request {
	with := req.Clone(req.Context())
	with.Header.Set("Authorization", "Bearer "+access)
	return with
}

func saysInvalidToken(res *http.Response) bool {
	if res.StatusCode != http.StatusUnauthorized {
		return false
	}
	for _, challenge := range res.Header.Values("WWW-Authenticate") {
		if strings.Contains(challenge, `error="invalid_token"`) {
			return true
		}
	}
	return false
}

// replay returns the request with a body of its own, if that can be had.
func replay(req *http.Request) (*http.Request, bool) {
	again := req.Clone(req.Context())
	if req.Body == nil || req.Body == http.NoBody {
		return again, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	again.Body = body
	return again, err == nil
}

func closeBody(req *http.Request) error {
	if req.Body == nil {
		return nil
	}
	return req.Body.Close()
}

func discard(res *http.Response) error {
	_, err := io.CopyN(io.Discard, res.Body, maxDrained)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, res.Body.Close())
}
