package client_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/apptest"
	"github.com/jotgate/jotgate/pkg/client"
)

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// world is a whole jotgate and the time in it.
type world struct {
	*apptest.Server

	passed atomic.Int64 // nanoseconds that the tests let pass, for sessions and phones
	behind atomic.Int64 // nanoseconds by which access tokens are issued in the past
}

// newWorld lets the test run beside others that have worlds: each takes a second
// to end.
func newWorld(t *testing.T, environ ...string) *world {
	t.Helper()
	t.Parallel()
	w := &world{Server: apptest.Start(t, environ...)}
	w.Gate.Sessions.Now = w.now
	w.Gate.Now = func() time.Time { return time.Now().Add(-time.Duration(w.behind.Load())) }
	return w
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.passed.Load())) }

func (w *world) pass(d time.Duration) { w.passed.Add(int64(d)) }

// phone is an app that is signed in, with a network and a clock that fail on
// demand.
type phone struct {
	*client.Client

	world   *world
	network *network
	file    string
	email   string
	off     time.Duration // its clock
	config  client.Config
}

func (p *phone) now() time.Time { return p.world.now().Add(p.off) }

// newPhone returns a phone on which a user of its own is logged in.
func newPhone(t *testing.T, w *world, off time.Duration) *phone {
	t.Helper()
	p := offPhone(t, w)
	p.off = off
	p.begin(t)
	return p
}

// newPhoneWith is newPhone with another store than a file.
func newPhoneWith(t *testing.T, w *world, s client.Store) *phone {
	t.Helper()
	p := offPhone(t, w)
	p.config.Store = s
	p.begin(t)
	return p
}

func offPhone(t *testing.T, w *world) *phone {
	t.Helper()
	p := &phone{
		world: w, network: &network{}, file: filepath.Join(t.TempDir(), "state.json"),
		email: strings.ToLower(rand.Text()) + "@example.com",
	}
	p.config = client.Config{BaseURL: w.URL, HTTPClient: &http.Client{Transport: p.network}, Now: p.now, Device: "phone"}
	return p
}

func (p *phone) begin(t *testing.T) {
	t.Helper()
	p.restart(t)
	_, err := p.Register(t.Context(), client.Registration{Email: p.email, Password: apptest.Password})
	check(t, err)
	p.login(t)
}

func (p *phone) login(t *testing.T) {
	t.Helper()
	if _, err := p.Login(t.Context(), p.email, apptest.Password); err != nil {
		t.Fatal(err)
	}
	p.network.forget()
}

// restart is the app killed and started again.
func (p *phone) restart(t *testing.T) {
	t.Helper()
	if p.config.Store == nil {
		p.config.Store = client.NewFileStore(p.file)
	}
	var err error
	p.Client, err = client.New(p.config)
	check(t, err)
}

// another is a second process that shares the store and the network.
func (p *phone) another(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(p.config)
	check(t, err)
	return c
}

// sleep lets the access token expire.
func (p *phone) sleep() { p.world.pass(11 * time.Minute) }

func (p *phone) saved(t *testing.T) client.State {
	t.Helper()
	s, err := p.config.Store.Load()
	check(t, err)
	return s
}

// works asks the server who this is, with a token that it takes.
func (p *phone) works(t *testing.T) {
	t.Helper()
	access, err := p.Token(t.Context())
	if err != nil {
		t.Fatalf("no token: %v", err)
	}
	if status := p.world.Call(t, http.MethodGet, "/v1/me", access, nil, nil); status != http.StatusOK {
		t.Errorf("GET /v1/me: status %d", status)
	}
}

// signedOut tells whether the app knows that the user has to log in, for the
// reason given, and has forgotten the rest.
func (p *phone) signedOut(t *testing.T, code string) {
	t.Helper()
	_, err := p.Token(t.Context())
	problem, _ := errors.AsType[*client.ProblemError](err)
	if !errors.Is(err, client.ErrSignedOut) || problem == nil || problem.Code != code {
		t.Errorf("error = %v, want ErrSignedOut for %s", err, code)
	}
	if s := p.saved(t); s != (client.State{}) {
		t.Errorf("the state is still there: refresh token of %d bytes", len(s.RefreshToken))
	}
	if _, err := p.Token(t.Context()); !errors.Is(err, client.ErrSignedOut) {
		t.Errorf("asked again: %v", err)
	}
}

// network is a RoundTripper that notes what it sees, and does the next request
// as told.
type network struct {
	mu   sync.Mutex
	seen []*http.Request
	next []fault
}

// fault is what becomes of a request; send is what would become of it.
type fault func(req *http.Request, send http.RoundTripper) (*http.Response, error)

func (n *network) RoundTrip(req *http.Request) (*http.Response, error) {
	n.mu.Lock()
	n.seen = append(n.seen, req.Clone(context.WithoutCancel(req.Context())))
	f := fault(func(req *http.Request, send http.RoundTripper) (*http.Response, error) { return send.RoundTrip(req) })
	if len(n.next) > 0 {
		f, n.next = n.next[0], n.next[1:]
	}
	n.mu.Unlock()
	return f(req, http.DefaultTransport)
}

// does tells what becomes of the next requests.
func (n *network) does(f ...fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.next = append(n.next, f...)
}

func (n *network) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seen = nil
}

// keys returns the Idempotency-Keys of the refreshes so far.
func (n *network) keys() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	keys := []string{}
	for _, req := range n.seen {
		if req.URL.Path == "/v1/refresh" {
			keys = append(keys, req.Header.Get("Idempotency-Key"))
		}
	}
	return keys
}

var errNetwork = errors.New("the network is away")

// loses is an answer that gets lost after the server committed.
func loses(req *http.Request, send http.RoundTripper) (*http.Response, error) {
	res, err := send.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return nil, errors.Join(errNetwork, err, res.Body.Close())
}

// offline is a request that does not leave the phone.
func offline(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
	return nil, errors.Join(errNetwork, req.Body.Close())
}

// answers is what something in between answers instead.
func answers(status int, header http.Header, body string) fault {
	return func(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader([]byte(body))), Request: req,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		}, req.Body.Close()
	}
}
