package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// retryPause is how long after a refresh that failed no other one is tried while
// the access token still lives.
const retryPause = 5 * time.Second

// lookEvery is how long a state is at hand before the store is looked into, where others
// may have logged out, or in as somebody else.
const lookEvery = time.Second

// flight is a refresh that is under way, for all who wait for it.
type flight struct {
	done   chan struct{} // closed when access and err are there
	access string
	err    error
}

// failure is a refresh that brought nothing.
type failure struct {
	at  time.Time
	err error // nil if there was none
}

// Token returns an access token that lives for a while, refreshed if need be.
// Callers that come together share one refresh, and one whose ctx ends leaves
// without ending it for the others.
//
// It returns [ErrSignedOut] if the user has to log in. Every other error is
// passing: a [*ProblemError] of a server that is busy, and is not asked again
// before its RetryAfter; the error of a network that is away; or that of the
// store. While the access token at hand still lives, it is returned instead.
func (c *Client) Token(ctx context.Context) (string, error) { return c.token(ctx, "") }

// token returns an access token that is not the one rejected.
func (c *Client) token(ctx context.Context, rejected string) (string, error) {
	for {
		access, f, err := c.tokenOrFlight(ctx, rejected)
		if f == nil {
			return access, err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
		if f.err != nil {
			return c.despite(f.err, rejected)
		}
		if f.access != rejected { // else it was somebody else's flight, and rejected there too
			return f.access, nil
		}
	}
}

// tokenOrFlight returns a token that is good already, or the refresh to wait for.
func (c *Client) tokenOrFlight(ctx context.Context, rejected string) (string, *flight, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	s, err := c.lookLocked(now)
	if err != nil {
		return "", nil, err
	}
	good := s.AccessToken != rejected
	if good && s.fresh(now, c.early) {
		return s.AccessToken, nil, nil
	}
	if c.flight != nil {
		return "", c.flight, nil
	}
	good = good && s.alive(now, 0)
	if err := c.failed.recent(now, good); err != nil {
		if good {
			return s.AccessToken, nil, nil
		}
		return "", nil, err
	}
	c.flight = &flight{done: make(chan struct{})}
	go c.fly(context.WithoutCancel(ctx), c.flight, rejected)
	return "", c.flight, nil
}

// lookLocked returns the state that is at hand, which others who share the store may have
// changed no longer than a moment ago.
func (c *Client) lookLocked(now time.Time) (State, error) {
	if since := now.Sub(c.looked); !c.state.SignedOut() && 0 <= since && since < lookEvery {
		return c.state, nil
	}
	c.looked = now
	s, err := c.loadLocked()
	if err != nil && !c.state.SignedOut() {
		return c.state, nil // what cannot be read is no reason to throw this away
	}
	return s, err
}

// recent returns the failure if it is too early to try again. Somebody whose
// token is still good has more time.
func (f failure) recent(now time.Time, good bool) error {
	p, _ := errors.AsType[*ProblemError](f.err)
	var wait time.Duration
	if p != nil {
		wait = p.RetryAfter
	}
	if good {
		wait = max(wait, retryPause)
	}
	since := now.Sub(f.at)
	if f.err == nil || since < 0 || since >= wait {
		return nil
	}
	if p == nil {
		return f.err
	}
	left := *p
	left.RetryAfter = max(p.RetryAfter-since, 0)
	return &left
}

// despite returns the token at hand, if err leaves the session as it is and the
// token still lives.
func (c *Client) despite(err error, rejected string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.state; !errors.Is(err, ErrSignedOut) && s.AccessToken != rejected && s.alive(c.now(), 0) {
		return s.AccessToken, nil
	}
	return "", err
}

func (c *Client) fly(ctx context.Context, f *flight, rejected string) {
	access, err := c.refresh(ctx, rejected)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flight == f { // else it was of a session that a login has replaced
		c.failed, c.flight = failure{c.now(), err}, nil
	}
	f.access, f.err = access, err
	close(f.done)
}

type refreshRequest struct {
	RefreshToken string `json:"refresh_token"`
}

// refresh exchanges the refresh token in the store, or finds that somebody who
// shares the store has done so.
//
// If the answer is lost, or the app is killed before the child is stored, the
// next refresh presents the same token with the same Idempotency-Key and gets
// the same child. So a child is never presented before it is stored.
func (c *Client) refresh(ctx context.Context, rejected string) (access string, err error) {
	end, err := c.turn(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, end()) }()
	have, err := c.reload()
	if err != nil {
		return "", err
	}
	sent := c.now()
	if have.AccessToken != rejected && have.fresh(sent, c.early) {
		return have.AccessToken, nil
	}
	var a tokenAnswer
	err = c.post(ctx, "/v1/refresh", have.retryKey(), refreshRequest{have.RefreshToken}, http.StatusOK, &a)
	if p, ok := errors.AsType[*ProblemError](err); ok && p.endsSession() {
		return c.replace(have, State{}, fmt.Errorf("%w: %w", ErrSignedOut, p))
	}
	if err != nil {
		return "", err
	}
	child, err := a.state(c.base, have.RetrySecret, sent)
	if err != nil {
		return "", err
	}
	return c.replace(have, child, nil)
}

func (c *Client) reload() (State, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.loadLocked()
}

// replace saves what became of presented, unless the store has something else by
// now: the child that another client got, a new login, or nothing after a logout. What was
// logged out here is not brought back, even where it could not be removed.
// It returns the access token that counts, or why there is none.
func (c *Client) replace(presented, next State, ended error) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if presented.RefreshToken == c.forgotten {
		return "", ErrSignedOut
	}
	now, err := c.swap(presented, next)
	if err != nil {
		return "", err
	}
	if now.RefreshToken == next.RefreshToken {
		c.state = next
		return next.AccessToken, ended
	}
	if now, err = c.takeLocked(now); err != nil {
		return "", err
	}
	return now.AccessToken, nil
}

// loadLocked returns what the store has, or [ErrSignedOut]. A state of another
// server is as good as none here.
func (c *Client) loadLocked() (State, error) {
	s, err := c.store.Load()
	if err != nil {
		return State{}, err
	}
	return c.takeLocked(s)
}

// takeLocked makes s, which the store has, the state at hand.
func (c *Client) takeLocked(s State) (State, error) {
	if s.SignedOut() || s.BaseURL != c.base || s.RefreshToken == c.forgotten {
		c.state = State{}
		return State{}, ErrSignedOut
	}
	if s.RefreshToken != c.state.RefreshToken || s.AccessToken != c.state.AccessToken {
		c.state = s // what is at hand has a monotonic reading, which files do not keep
	}
	return c.state, nil
}

func (c *Client) saveLocked(s State) error {
	if err := c.store.Save(s); err != nil {
		return err
	}
	c.state = s
	return nil
}
