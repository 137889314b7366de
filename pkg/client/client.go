// Package client keeps a native app signed in to jotgate through everything that
// happens to a phone: answers that get lost, weeks without a network, a clock
// that is wrong, being killed at any moment.
//
// A [Client] signs in and hands out access tokens, which it refreshes shortly
// before they expire. A [Transport] puts them on requests, to the origins they
// are for and no other. A [Store] keeps what has to outlive the process.
//
// The package uses the standard library alone and knows nothing of jotgate but
// its HTTP API, so that it can be read as a model for other languages.
package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// ErrSignedOut is that there is no session: nobody has logged in, or it ended,
// and the user has to log in (again). What ended it, a [*ProblemError], is
// wrapped beside it. Nothing else ever means that: a server or a network that
// is away leaves the session as it is.
var ErrSignedOut = errors.New("client: signed out")

// Config is what a [Client] works with. BaseURL is needed.
type Config struct {
	// BaseURL is jotgate's public URL, an origin: https, or http on loopback.
	BaseURL string
	// Store keeps the state. Nil stands for a [MemoryStore].
	Store Store
	// HTTPClient makes the requests to jotgate itself. Nil stands for one with a
	// time-out of 30 s. Its redirects are not followed, and its transport must not
	// be a [Transport] of the same Client. One of its own should ping its HTTP/2
	// connections ([http.HTTP2Config]), or stays with one that died.
	HTTPClient *http.Client
	// Origins are the other origins, such as https://api.example.com, that get the
	// access token from a [Transport].
	Origins []string
	// Device is the name under which the user sees this session, at most 128
	// characters that print. It may be empty.
	Device string
	// RefreshEarly is how long before its end an access token is refreshed. Zero
	// stands for 30 s. It is never more than a quarter of the token's life.
	RefreshEarly time.Duration
	// Now is the clock. Nil stands for time.Now. It should have a monotonic reading.
	Now func() time.Time
}

const (
	defaultTimeout = 30 * time.Second
	defaultEarly   = 30 * time.Second
	pingAfter      = 10 * time.Second
)

// Client is one signed-in app. Create one with [New]; it is safe for concurrent
// use. It starts no goroutine that outlives a request to jotgate.
type Client struct {
	base    string
	store   Store
	http    *http.Client
	origins map[string]bool
	device  string
	early   time.Duration
	now     func() time.Time

	mu        sync.Mutex // held for no longer than the store takes
	state     State      // as it was last loaded or saved
	looked    time.Time  // when Token last looked into the store
	flight    *flight    // the refresh of state that is under way, or nil
	failed    failure    // the last refresh of state, if it failed
	forgotten string     // the refresh token that was logged out, which a store may have kept
}

// New returns a Client. It reads nothing and asks nobody yet.
func New(c Config) (*Client, error) {
	base, err := originOf(c.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("client: BaseURL: %w", err)
	}
	origins := map[string]bool{base: true}
	for _, text := range c.Origins {
		o, err := originOf(text)
		if err != nil {
			return nil, fmt.Errorf("client: Origins: %w", err)
		}
		origins[o] = true
	}
	if c.RefreshEarly < 0 {
		return nil, fmt.Errorf("client: RefreshEarly of %s is negative", c.RefreshEarly)
	}
	if c.RefreshEarly == 0 {
		c.RefreshEarly = defaultEarly
	}
	if c.Store == nil {
		c.Store = &MemoryStore{}
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // where none is injected
	}
	return &Client{
		base: base, store: c.Store, http: withoutRedirects(c.HTTPClient), origins: origins,
		device: c.Device, early: c.RefreshEarly, now: c.Now,
	}, nil
}

// originOf returns the origin (RFC 6454, section 6.2) that text is. Tokens in
// clear text travel on this machine alone.
func originOf(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("%q is not an origin, such as https://auth.example.com", text)
	case u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()):
		return origin(u), nil
	}
	return "", fmt.Errorf("%q is not https", text)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// origin returns the origin of u in its one spelling.
func origin(u *url.URL) string {
	scheme, host, port := strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), u.Port()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port == "" || scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		return scheme + "://" + host
	}
	return scheme + "://" + host + ":" + port
}

// withoutRedirects returns a client that takes passwords and refresh tokens to
// where it was told, and nowhere else.
func withoutRedirects(given *http.Client) *http.Client {
	client := http.Client{Timeout: defaultTimeout}
	if given != nil {
		client = *given
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if client.Timeout == 0 {
		client.Timeout = defaultTimeout // a refresh has no other end
	}
	if shared, ok := http.DefaultTransport.(*http.Transport); ok && client.Transport == nil {
		// HTTP/2 has one connection for everything. Without pings each try that times out is
		// followed by another one on it, until TCP gives up.
		own := shared.Clone()
		own.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingAfter}
		client.Transport = own
	}
	return &client
}

// User is who is signed in.
type User struct {
	ID       string   `json:"id"`
	Username string   `json:"username"` // or empty
	Email    string   `json:"email"`    // or empty
	Roles    []string `json:"roles"`
}

// Registration is a user to be. One of Username and Email is needed.
type Registration struct {
	Username string `json:"username,omitempty"`
	Email    string `json:"email,omitempty"`
	Password string `json:"password"`
}

// Register makes a user, and does not log them in. It returns a [*ProblemError]
// with Fields for what is to be chosen differently.
func (c *Client) Register(ctx context.Context, r Registration) (User, error) {
	var u User
	err := c.post(ctx, "/v1/users", "", r, http.StatusCreated, &u)
	return u, err
}

// Login starts a session and saves it. identifier is a username or an email. A
// wrong password is a [*ProblemError] with the code bad-credentials. A session
// that is there is replaced and not ended; [Client.Logout] ends it.
func (c *Client) Login(ctx context.Context, identifier, password string) (User, error) {
	body := struct {
		Identifier string `json:"identifier"`
		Password   string `json:"password"`
		Mode       string `json:"mode"`
		Device     string `json:"device,omitempty"`
	}{identifier, password, "bearer", c.device}
	var a tokenAnswer
	sent := c.now()
	if err := c.post(ctx, "/v1/login", "", body, http.StatusOK, &a); err != nil {
		return User{}, err
	}
	s, err := a.state(c.base, newRetrySecret(), sent)
	if err != nil {
		return User{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.saveLocked(s); err != nil {
		return User{}, err
	}
	c.failed, c.flight = failure{}, nil
	return a.User, nil
}

// Logout forgets the session, whatever happens, and ends it on the server. An
// error says that the server may not know, and the session then lives on there
// until its idle end, or that the state could not be removed. Without a session
// it does nothing.
func (c *Client) Logout(ctx context.Context) error {
	have, kept := c.forget()
	if have.SignedOut() {
		return kept
	}
	err := c.post(ctx, "/v1/logout", "", refreshRequest{have.RefreshToken}, http.StatusNoContent, nil)
	if p, ok := errors.AsType[*ProblemError](err); ok && p.endsSession() {
		err = nil // a token that is not valid has no session
	}
	return errors.Join(kept, err)
}

// forget removes the state and returns what it was. An error is why the store may have it
// still.
func (c *Client) forget() (State, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	have, err := c.loadLocked()
	if errors.Is(err, ErrSignedOut) {
		return State{}, nil
	}
	if err != nil {
		have = c.state
	}
	c.state, c.forgotten = State{}, have.RefreshToken
	return have, errors.Join(err, c.store.Save(State{}))
}
