package client_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/pkg/client"
)

// service notes what it is sent, and answers as its handler says.
type service struct {
	*httptest.Server

	mu   sync.Mutex
	seen []string // the Authorization headers
	body []string
}

func newService(t *testing.T, h http.HandlerFunc) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		s.seen, s.body = append(s.seen, r.Header.Get("Authorization")), append(s.body, string(text))
		s.mu.Unlock()
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.seen...)
}

func ok(http.ResponseWriter, *http.Request) {}

// refusing answers 401 for an invalid token so many times.
func refusing(times int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if times--; times >= 0 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="jotgate", error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
}

// signedIn returns a client that has tokens, and its phone.
func signedIn(t *testing.T, w *world, origins ...string) (*http.Client, *phone) {
	t.Helper()
	p := newPhone(t, w, 0)
	p.config.Origins = origins
	p.restart(t)
	return &http.Client{Transport: &client.Transport{Client: p.Client}}, p
}

func status(t *testing.T, res *http.Response, err error) int {
	t.Helper()
	check(t, err)
	check(t, res.Body.Close())
	return res.StatusCode
}

func get(t *testing.T, c *http.Client, url string) int {
	t.Helper()
	res, err := c.Get(url)
	return status(t, res, err)
}

func TestTokenGoesToItsOriginsAlone(t *testing.T) {
	w := newWorld(t)
	ours, other := newService(t, ok), newService(t, ok)
	c, p := signedIn(t, w, strings.ToUpper(ours.URL[:4])+ours.URL[4:]+"/")
	get(t, c, ours.URL+"/a?b=c")
	get(t, c, other.URL)
	get(t, c, strings.Replace(ours.URL, "127.0.0.1", "localhost", 1)) // the same program by another name
	if got := get(t, c, w.URL+"/v1/me"); got != http.StatusOK {
		t.Errorf("jotgate itself: status %d", got)
	}
	token := "Bearer " + p.saved(t).AccessToken
	if got := ours.asked(); len(got) != 2 || got[0] != token || got[1] != "" {
		t.Errorf("our service got %q", got)
	}
	if got := other.asked(); len(got) != 1 || got[0] != "" {
		t.Errorf("the other service got %q", got)
	}
}

func TestTokenDoesNotFollowRedirects(t *testing.T) {
	w := newWorld(t)
	other := newService(t, ok)
	away := newService(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	})
	home := newService(t, ok)
	lure := newService(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, home.URL+"/delete", http.StatusTemporaryRedirect)
	})
	within := newService(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/there" {
			http.Redirect(w, r, "/there", http.StatusFound)
		}
	})
	c, _ := signedIn(t, w, away.URL, home.URL, within.URL)
	for _, from := range []string{away.URL, lure.URL, within.URL} {
		get(t, c, from)
	}
	if got := away.asked(); len(got) != 1 || got[0] == "" {
		t.Errorf("our service got %q", got)
	}
	if got := other.asked(); len(got) != 1 || got[0] != "" {
		t.Errorf("the service that ours redirects to got %q", got)
	}
	if got := home.asked(); len(got) != 1 || got[0] != "" {
		t.Errorf("our service, redirected to by another one, got %q", got)
	}
	if got := within.asked(); len(got) != 2 || got[0] == "" || got[1] != got[0] {
		t.Errorf("our service that redirects to itself got %q", got)
	}
}

func TestAuthorizationOfTheCallerIsKept(t *testing.T) {
	w := newWorld(t)
	ours := newService(t, refusing(1))
	c, _ := signedIn(t, w, ours.URL)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ours.URL, nil)
	check(t, err)
	req.Header.Set("Authorization", "Bearer jg_key")
	res, err := c.Do(req)
	if got := status(t, res, err); got != http.StatusUnauthorized {
		t.Errorf("status %d, want the 401 that the key got", got)
	}
	if got := ours.asked(); len(got) != 1 || got[0] != "Bearer jg_key" {
		t.Errorf("our service got %q", got)
	}
}

// TestRetry answers 401 once or twice and looks at what is sent again.
func TestRetry(t *testing.T) {
	w := newWorld(t)
	stream := func() io.Reader { return io.MultiReader(strings.NewReader("body")) } // without GetBody
	for name, tt := range map[string]struct {
		refusals int
		body     io.Reader
		want     int // the status
		sent     int
	}{
		"no body":                  {1, nil, 200, 2},
		"a body":                   {1, strings.NewReader("body"), 200, 2},
		"a body of bytes":          {1, bytes.NewReader([]byte("body")), 200, 2},
		"exactly once":             {2, strings.NewReader("body"), 401, 2},
		"a body that is gone":      {1, stream(), 401, 1},
		"a body that is not asked": {0, stream(), 200, 1},
	} {
		t.Run(name, func(t *testing.T) {
			ours := newService(t, refusing(tt.refusals))
			c, p := signedIn(t, w, ours.URL)
			res, err := c.Post(ours.URL, "text/plain", tt.body)
			if got := status(t, res, err); got != tt.want {
				t.Errorf("status %d, want %d", got, tt.want)
			}
			sent := ours.asked()
			if len(sent) != tt.sent || len(sent) == 2 && sent[0] == sent[1] || len(p.network.keys()) != len(sent)-1 {
				t.Errorf("sent %d times, %d refreshes; want %d times, each with its own token", len(sent), len(p.network.keys()), tt.sent)
			}
			for _, got := range ours.body {
				if tt.body != nil && got != "body" {
					t.Errorf("body = %q", got)
				}
			}
		})
	}
}

// TestOther401 says nothing of the token.
func TestOther401(t *testing.T) {
	w := newWorld(t)
	for _, challenge := range []string{"", `Bearer realm="x"`, `Basic realm="x"`} {
		ours := newService(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", challenge)
			w.WriteHeader(http.StatusUnauthorized)
		})
		c, p := signedIn(t, w, ours.URL)
		if got := get(t, c, ours.URL); got != http.StatusUnauthorized || len(ours.asked()) != 1 || len(p.network.keys()) != 0 {
			t.Errorf("%q: status %d after %d requests and %d refreshes", challenge, got, len(ours.asked()), len(p.network.keys()))
		}
	}
}

// TestManyRefused share one refresh: who was refused with the old token takes the new one.
func TestManyRefused(t *testing.T) {
	w := newWorld(t)
	var old string
	ours := newService(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == old {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	c, p := signedIn(t, w, ours.URL)
	old = "Bearer " + p.saved(t).AccessToken
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if res, err := c.Get(ours.URL); err != nil || res.StatusCode != http.StatusOK || res.Body.Close() != nil {
				t.Errorf("%+v, %v", res, err)
			}
		})
	}
	all.Wait()
	if n := len(p.network.keys()); n != 1 {
		t.Errorf("%d refreshes, want 1", n)
	}
}

// closing is a body that tells whether it was closed.
type closing struct {
	io.Reader

	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

func TestRequestWithoutTokenIsNotSent(t *testing.T) {
	w := newWorld(t)
	ours := newService(t, ok)
	_, p := signedIn(t, w, ours.URL)
	check(t, p.Logout(t.Context()))
	body := &closing{Reader: strings.NewReader("body")}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, ours.URL, body)
	check(t, err)
	res, err := (&client.Transport{Client: p.Client}).RoundTrip(req)
	if err == nil {
		check(t, res.Body.Close())
	}
	if !errors.Is(err, client.ErrSignedOut) || !body.closed || len(ours.asked()) != 0 || req.Header.Get("Authorization") != "" {
		t.Errorf("error = %v, body closed %t, %d requests", err, body.closed, len(ours.asked()))
	}
}

func TestNew(t *testing.T) {
	for _, base := range []string{
		"https://auth.example.com", "https://auth.example.com/", "HTTPS://Auth.Example.com:443", "http://localhost:8080",
		"http://127.0.0.1", "http://[::1]:8080", "https://[2001:db8::1]:8443",
	} {
		if _, err := client.New(client.Config{BaseURL: base, Origins: []string{base}}); err != nil {
			t.Errorf("%s: %v", base, err)
		}
	}
	for _, base := range []string{
		"", "auth.example.com", "http://auth.example.com", "http://localhost.example.com", "http://127.0.0.1.example.com", "ftp://localhost",
		"https://auth.example.com/path", "https://auth.example.com?q", "https://auth.example.com?q=1", "https://user@auth.example.com", "https://auth.example.com#f", "https:///", "http://10.0.0.1",
		"://", "https://", "https://:443",
	} {
		if _, err := client.New(client.Config{BaseURL: base}); err == nil {
			t.Errorf("BaseURL %q: no error", base)
		}
		if _, err := client.New(client.Config{BaseURL: "https://auth.example.com", Origins: []string{base}}); err == nil {
			t.Errorf("Origins %q: no error", base)
		}
	}
	if _, err := client.New(client.Config{BaseURL: "https://auth.example.com", RefreshEarly: -time.Second}); err == nil {
		t.Error("a negative RefreshEarly: no error")
	}
}

// TestRequestIsNotChanged, as http.RoundTripper demands: it may be logged, or sent
// again elsewhere.
func TestRequestIsNotChanged(t *testing.T) {
	w := newWorld(t)
	ours := newService(t, refusing(1))
	_, p := signedIn(t, w, ours.URL)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, ours.URL, strings.NewReader("body"))
	check(t, err)
	res, err := (&client.Transport{Client: p.Client}).RoundTrip(req)
	if got := status(t, res, err); got != http.StatusOK || len(req.Header) != 0 {
		t.Errorf("status %d, headers of the request %d", got, len(req.Header))
	}
}

type roundTripper func(req *http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// TestBodyIsSentAgain even by a base that, unlike that of net/http, does not ask
// for it a second time itself.
func TestBodyIsSentAgain(t *testing.T) {
	w := newWorld(t)
	_, p := signedIn(t, w)
	var bodies []string
	base := roundTripper(func(req *http.Request) (*http.Response, error) {
		text, err := io.ReadAll(req.Body)
		bodies = append(bodies, string(text))
		rec := httptest.NewRecorder()
		if len(bodies) == 1 {
			refusing(1)(rec, req)
		}
		return rec.Result(), errors.Join(err, req.Body.Close())
	})
	c := &http.Client{Transport: &client.Transport{Client: p.Client, Base: base}}
	res, err := c.Post(w.URL+"/v1/anything", "text/plain", strings.NewReader("body"))
	if got := status(t, res, err); got != http.StatusOK || len(bodies) != 2 || bodies[0] != "body" || bodies[1] != "body" {
		t.Errorf("status %d, bodies %q", got, bodies)
	}
}
