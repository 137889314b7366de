package client_test

import (
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/pkg/client"
)

// twoClients wait for each other: one that is held up on its way would bring a token that
// is spent, if the other one refreshed twice meanwhile.
func twoClients(t *testing.T, w *world) {
	for name, s := range map[string]client.Store{"file": nil, "memory": &client.MemoryStore{}} {
		t.Run(name, func(t *testing.T) {
			p := newPhoneWith(t, w, s)
			other := p.another(t)
			p.sleep()
			left, arrives := make(chan struct{}), make(chan struct{})
			p.network.does(func(req *http.Request, send http.RoundTripper) (*http.Response, error) {
				close(left)
				<-arrives
				return send.RoundTrip(req)
			})
			tokens := make(chan string, 2)
			ask := func(c *client.Client) {
				access, err := c.Token(t.Context())
				if err != nil {
					t.Error(err)
				}
				tokens <- access
			}
			go ask(p.Client)
			<-left
			go ask(other)
			time.Sleep(100 * time.Millisecond)
			close(arrives)
			if a, b := <-tokens, <-tokens; a != b || len(p.network.keys()) != 1 {
				t.Errorf("%d refreshes, want one for both", len(p.network.keys()))
			}
		})
	}
}

// unlocked is a store that nobody can lock.
type unlocked struct{ client.Store }

func twoClientsWithoutLock(t *testing.T, w *world) {
	p := newPhoneWith(t, w, unlocked{&client.MemoryStore{}})
	other := p.another(t)
	if _, err := other.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		p.sleep()
		var meet sync.WaitGroup
		meet.Add(2)
		both := fault(func(req *http.Request, send http.RoundTripper) (*http.Response, error) {
			meet.Done()
			meet.Wait()
			return send.RoundTrip(req)
		})
		p.network.does(both, both)
		var all sync.WaitGroup
		for _, c := range []*client.Client{p.Client, other} {
			all.Go(func() {
				if _, err := c.Token(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		keys := p.network.keys()
		if n := len(keys); n%2 != 0 || keys[n-1] != keys[n-2] {
			t.Errorf("Idempotency-Keys = %q, want the same of both", keys)
		}
	}
	p.restart(t)
	p.sleep()
	p.works(t)
}

// lateClient still has in memory what the other one has spent long ago.
func lateClient(t *testing.T, w *world) {
	p := newPhone(t, w, 0)
	other := p.another(t)
	if _, err := other.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		p.sleep()
		p.works(t)
	}
	got, err := other.Token(t.Context())
	check(t, err)
	if got != p.saved(t).AccessToken || len(p.network.keys()) != 3 {
		t.Errorf("%d refreshes, want 3, and the token that is stored", len(p.network.keys()))
	}
	p.sleep()
	if _, err := other.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.works(t)
}

// holding is a shared store that lets a test act between what a client reads and what it
// writes.
type holding struct {
	*client.FileStore

	before func()
}

func (h *holding) Swap(have, next client.State) (client.State, error) {
	if f := h.before; f != nil {
		h.before = nil
		f()
	}
	return h.FileStore.Swap(have, next)
}

// TestRefreshDoesNotUndo what another process saved while it was under way.
func TestRefreshDoesNotUndo(t *testing.T) {
	w := newWorld(t)
	for name, act := range map[string]func(t *testing.T, p *phone){
		"a logout": func(t *testing.T, p *phone) { check(t, p.Logout(t.Context())) },
		"a login":  func(t *testing.T, p *phone) { p.login(t) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPhone(t, w, 0)
			store := &holding{FileStore: client.NewFileStore(p.file)}
			other, err := client.New(client.Config{BaseURL: w.URL, Store: store, Now: p.now})
			check(t, err)
			p.sleep()
			var want client.State
			store.before = func() { act(t, p); want = p.saved(t) }
			access, err := other.Token(t.Context())
			if p.saved(t) != want {
				t.Error("the state is another one")
			}
			if access != want.AccessToken || (err == nil) == want.SignedOut() {
				t.Errorf("got a token of %d bytes, %v", len(access), err)
			}
		})
	}
}

// TestOthersChangeTheStore tells a client whose token is still good a second later.
func TestOthersChangeTheStore(t *testing.T) {
	w := newWorld(t)
	p := newPhone(t, w, 0)
	other := p.another(t)
	if _, err := other.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.network.does(offline)
	if err := p.Logout(t.Context()); err == nil {
		t.Error("the server knows of the logout")
	}
	w.pass(time.Second)
	if _, err := other.Token(t.Context()); !errors.Is(err, client.ErrSignedOut) {
		t.Errorf("after a logout: %v", err)
	}
	p.login(t)
	if access, err := other.Token(t.Context()); err != nil || access != p.saved(t).AccessToken {
		t.Errorf("after a login: another token, %v", err)
	}
}

// TestToldToWait looks whether somebody else was luckier.
func TestToldToWait(t *testing.T) {
	w := newWorld(t)
	p := newPhone(t, w, 0)
	other := p.another(t)
	p.sleep()
	p.network.does(answers(http.StatusServiceUnavailable, retryAfter("3600"), ""))
	if _, err := p.Token(t.Context()); err == nil {
		t.Error("no error")
	}
	if _, err := other.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Second)
	p.works(t)
}

// TestLateFailure of a session that a login has replaced is none of the new one.
func TestLateFailure(t *testing.T) {
	w := newWorld(t)
	p := newPhone(t, w, 0)
	p.sleep()
	p.network.does(func(req *http.Request, send http.RoundTripper) (*http.Response, error) {
		p.login(t)
		return answers(http.StatusTooManyRequests, retryAfter("3600"), "")(req, send)
	})
	p.works(t)
	p.sleep()
	p.works(t)
}

// TestLogoutThatCannotForget ends the session on the server and here all the same.
func TestLogoutThatCannotForget(t *testing.T) {
	w := newWorld(t)
	store := &fullStore{Store: &client.MemoryStore{}}
	p := newPhoneWith(t, w, store)
	old := p.saved(t)
	store.err = errors.New("read-only file system")
	if err := p.Logout(t.Context()); !errors.Is(err, store.err) {
		t.Errorf("error = %v, want %v", err, store.err)
	}
	if _, err := p.Token(t.Context()); !errors.Is(err, client.ErrSignedOut) {
		t.Errorf("after the logout: %v", err)
	}
	if status := w.Call(t, http.MethodPost, "/v1/refresh", "", map[string]string{"refresh_token": old.RefreshToken}, nil); status != http.StatusUnauthorized {
		t.Errorf("the refresh token: status %d", status)
	}
	store.err = nil
	p.login(t)
	p.works(t)
}

// TestRefreshAfterALogoutThatCannotForget is under way during it, and does not undo it.
func TestRefreshAfterALogoutThatCannotForget(t *testing.T) {
	w := newWorld(t)
	store := &fullStore{Store: &client.MemoryStore{}}
	p := newPhoneWith(t, w, store)
	p.sleep()
	p.network.does(func(req *http.Request, send http.RoundTripper) (*http.Response, error) {
		p.network.does(offline)
		store.err = errors.New("read-only file system")
		if err := p.Logout(t.Context()); !errors.Is(err, store.err) || !errors.Is(err, errNetwork) {
			t.Errorf("error = %v, want both", err)
		}
		store.err = nil
		return send.RoundTrip(req)
	})
	for range 2 {
		if _, err := p.Token(t.Context()); !errors.Is(err, client.ErrSignedOut) {
			t.Errorf("after the logout: %v", err)
		}
	}
}
