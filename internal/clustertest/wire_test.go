package clustertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// bound is how long any request may take, whatever is away.
const bound = 20 * time.Second

// request is one call of the API. Its body is a form if it is url.Values, and
// JSON otherwise.
type request struct {
	operation    string // for the counts
	method, path string
	body         any
	access       string
	key          string // Idempotency-Key
	basic        *url.Userinfo
}

// answer is what came of one.
type answer struct {
	status    int
	header    http.Header
	body      []byte
	err       error
	sent, got time.Time
}

// wire sends requests to one address, whatever the host in their URL.
type wire struct {
	base   string
	client *http.Client
}

func newWire(t *testing.T, base, addr string) *wire {
	t.Helper()
	dialer := net.Dialer{Timeout: bound}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, addr)
		},
		MaxIdleConnsPerHost: 64,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &wire{base, &http.Client{Transport: transport, Timeout: bound}}
}

func (w *wire) send(r request) answer {
	a := answer{sent: time.Now()}
	a.err = w.exchange(r, &a)
	a.got = time.Now()
	return a
}

func (w *wire) exchange(r request, a *answer) error {
	text, kind, err := encode(r.body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(r.method, w.base+r.path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if r.access != "" {
		req.Header.Set("Authorization", "Bearer "+r.access)
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	if r.basic != nil {
		secret, _ := r.basic.Password()
		req.SetBasicAuth(r.basic.Username(), secret)
	}
	res, err := w.client.Do(req)
	if err != nil {
		return err
	}
	a.status, a.header = res.StatusCode, res.Header
	a.body, err = io.ReadAll(res.Body)
	return errors.Join(err, res.Body.Close())
}

func encode(body any) (text []byte, kind string, err error) {
	switch b := body.(type) {
	case nil:
		return nil, "", nil
	case url.Values:
		return []byte(b.Encode()), "application/x-www-form-urlencoded", nil
	}
	text, err = json.Marshal(body)
	return text, "application/json", err
}

// outcome says what the answer is. wanted are the statuses that were asked for.
func (a answer) outcome(wanted ...int) outcome {
	if a.err != nil {
		if errors.Is(a.err, os.ErrDeadlineExceeded) || a.got.Sub(a.sent) >= bound {
			return hanging
		}
		return broken
	}
	if slices.Contains(wanted, a.status) {
		return fine
	}
	ours := strings.Contains(a.header.Get("Content-Type"), "json")
	switch {
	case a.status == http.StatusServiceUnavailable && ours && a.header.Get("Retry-After") != "":
		return away
	case a.status == http.StatusBadGateway && !ours:
		return gateway
	}
	return wrong
}

func (a answer) String() string {
	if a.err != nil {
		return fmt.Sprintf("%v after %s", a.err, a.got.Sub(a.sent))
	}
	return fmt.Sprintf("%d %s after %s", a.status, a.body, a.got.Sub(a.sent))
}

// code is the code of a problem document, or empty.
func (a answer) code() string {
	var p struct {
		Code string `json:"code"`
	}
	_ = json.Unmarshal(a.body, &p) // or it is no document
	return p.Code
}

// device is a session as its holder keeps it.
type device struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Session struct {
		ID string `json:"id"`
	} `json:"session"`

	refreshes int // that were acknowledged
}

func (a answer) device() (device, error) {
	var d device
	err := json.Unmarshal(a.body, &d)
	if err == nil && (d.Access == "" || d.Refresh == "" || d.Session.ID == "") {
		err = fmt.Errorf("an answer without tokens: %s", a.body)
	}
	return d, err
}

func register(name, password string) request {
	return request{operation: "register", method: http.MethodPost, path: "/v1/users", body: map[string]string{"username": name, "password": password}}
}

func login(name, password string) request {
	return request{operation: "login", method: http.MethodPost, path: "/v1/login", body: map[string]string{"identifier": name, "password": password}}
}

// refresh presents a token, always with the same key for the same token.
func refresh(d device) request {
	return request{
		operation: "refresh", method: http.MethodPost, path: "/v1/refresh", body: map[string]string{"refresh_token": d.Refresh},
		key: d.Refresh[len(d.Refresh)-32:],
	}
}

func me(d device) request {
	return request{operation: "me", method: http.MethodGet, path: "/v1/me", access: d.Access}
}

func forwardAuth(d device) request {
	return request{operation: "forward-auth", method: http.MethodGet, path: "/v1/forward-auth", access: d.Access}
}

func logout(d device) request {
	return request{operation: "logout", method: http.MethodPost, path: "/v1/logout", access: d.Access}
}

func logoutByRefresh(d device) request {
	return request{operation: "logout", method: http.MethodPost, path: "/v1/logout", body: map[string]string{"refresh_token": d.Refresh}}
}

func changePassword(d device, current, next string) request {
	return request{
		operation: "password", method: http.MethodPost, path: "/v1/me/password", access: d.Access,
		body: map[string]string{"current_password": current, "new_password": next},
	}
}

func endOthers(d device) request {
	return request{operation: "end others", method: http.MethodDelete, path: "/v1/sessions?except=current", access: d.Access}
}

func endSession(d device, other string) request {
	return request{operation: "end session", method: http.MethodDelete, path: "/v1/sessions/" + other, access: d.Access}
}

func clientToken(who *url.Userinfo) request {
	return request{
		operation: "client token", method: http.MethodPost, path: "/oauth/token", basic: who,
		body: url.Values{"grant_type": {"client_credentials"}},
	}
}
