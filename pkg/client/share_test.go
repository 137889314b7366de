package client_test

import (
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
			other, err := client.New(p.config)
			check(t, err)
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
	other, err := client.New(p.config)
	check(t, err)
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
	other, err := client.New(p.config)
	check(t, err)
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
