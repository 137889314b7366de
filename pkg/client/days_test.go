package client_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/pkg/client"
)

const day = 24 * time.Hour

// TestWorstDays is a phone's life against the whole program.
func TestWorstDays(t *testing.T) {
	w := newWorld(t)
	days := map[string]func(t *testing.T, w *world){
		"an ordinary one": ordinaryDay,
		"an answer is lost after the server committed":    answerLost,
		"killed between receipt and storing":              killedBeforeStoring,
		"killed between receipt and storing for too long": killedForTooLong,
		"many want a token at once":                       manyAtOnce,
		"two clients share a store":                       twoClients,
		"two clients share a store without a lock":        twoClientsWithoutLock,
		"two clients share a store, one is late":          lateClient,
		"clock ten minutes behind":                        func(t *testing.T, w *world) { clockOff(t, w, -10*time.Minute) },
		"clock ten minutes ahead":                         func(t *testing.T, w *world) { clockOff(t, w, 10*time.Minute) },
		"clock set back":                                  clockSetBack,
		"clock set back behind the login":                 clockSetBackFar,
		"flight mode for three weeks":                     threeWeeksAway,
		"flight mode for longer than a session lives":     fiveWeeksAway,
		"an old backup is restored":                       oldBackup,
		"the backup of yesterday's token is restored":     parentBackup,
		"logged out elsewhere":                            loggedOutElsewhere,
		"logged out here while it refreshes":              loggedOutMeanwhile,
		"logged in again while it refreshes":              loggedInMeanwhile,
		"the disk is full":                                diskFull,
	}
	for _, name := range slices.Sorted(maps.Keys(days)) {
		t.Run(name, func(t *testing.T) { days[name](t, w) })
	}
}

func ordinaryDay(t *testing.T, w *world) {
	p := newPhone(t, w, 0)
	for range 3 {
		p.works(t)
		p.works(t)
		p.sleep()
	}
	if keys := p.network.keys(); len(keys) != 2 || keys[0] == "" || keys[0] == keys[1] {
		t.Errorf("Idempotency-Keys = %q, want two that differ", keys)
	}
	p.restart(t)
	p.works(t)
	check(t, p.Logout(t.Context()))
	if _, err := p.Token(t.Context()); !errors.Is(err, client.ErrSignedOut) {
		t.Errorf("after the logout: %v", err)
	}
	check(t, p.Logout(t.Context()))
}

func answerLost(t *testing.T, w *world) {
	p := newPhone(t, w, 0)
	p.sleep()
	p.network.does(loses)
	if _, err := p.Token(t.Context()); !errors.Is(err, errNetwork) || errors.Is(err, client.ErrSignedOut) {
		t.Fatalf("error = %v, want that of the network", err)
	}
	w.pass(time.Hour) // far beyond the grace
	p.works(t)
	if keys := p.network.keys(); len(keys) != 2 || keys[0] != keys[1] {
		t.Errorf("Idempotency-Keys = %q, want the same twice", keys)
	}
	p.sleep()
	p.works(t)
}

// killedBeforeStoring ends the app in the moment at which it would store the child.
func killedBeforeStoring(t *testing.T, w *world) {
	p := newPhone(t, w, 0)
	p.dieBeforeStoring(t)
	w.pass(23 * time.Hour)
	p.works(t)
	p.sleep()
	p.works(t)
}

func killedForTooLong(t *testing.T, w *world) {
	p := newPhone(t, w, 0)
	p.dieBeforeStoring(t)
	w.pass(25 * time.Hour)
	p.signedOut(t, "token-reused")
}

func (p *phone) dieBeforeStoring(t *testing.T) {
	t.Helper()
	p.sleep()
	parent := p.saved(t)
	if _, err := p.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	child := p.saved(t)
	check(t, p.config.Store.Save(parent))
	p.restart(t)
	if child.RefreshToken == parent.RefreshToken {
		t.Fatal("there was no refresh")
	}
}

func manyAtOnce(t *testing.T, w *world) {
	p := newPhone(t, w, 0)
	p.sleep()
	begun, release := make(chan struct{}), make(chan struct{})
	p.network.does(func(req *http.Request, send http.RoundTripper) (*http.Response, error) {
		close(begun)
		<-release
		return send.RoundTrip(req)
	})
	leaver, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := p.Token(leaver)
		left <- err
	}()
	<-begun
	var all sync.WaitGroup
	tokens := make([]string, 50)
	for i := range tokens {
		all.Go(func() {
			var err error
			if tokens[i], err = p.Token(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left: %v", err)
	}
	close(release)
	all.Wait()
	if tokens = slices.Compact(tokens); len(tokens) != 1 || tokens[0] == "" {
		t.Error("they got different tokens")
	}
	if n := len(p.network.keys()); n != 1 {
		t.Errorf("%d refreshes, want 1", n)
	}
}

// twoClients refresh at the very same time.

func clockOff(t *testing.T, w *world, off time.Duration) {
	p := newPhone(t, w, off)
	for range 2 {
		p.restart(t)
		p.works(t)
		w.pass(9 * time.Minute)
		p.works(t)
		if n := len(p.network.keys()); n != 0 {
			t.Errorf("%d refreshes before one was due", n)
		}
		w.pass(35 * time.Second)
		p.works(t)
		if n := len(p.network.keys()); n != 1 {
			t.Errorf("%d refreshes where one was due", n)
		}
		p.network.forget()
	}
}

// clockSetBack makes an expired token look good: only the server can tell.
func clockSetBack(t *testing.T, w *world) {
	p := newPhone(t, w, 0)
	w.behind.Store(int64(time.Hour))
	defer w.behind.Store(0)
	p.login(t)
	w.behind.Store(0)
	sent := p.asks(t)
	if len(sent) != 2 || sent[0] == sent[1] || len(p.network.keys()) != 1 {
		t.Errorf("%d requests with %d refreshes, want two with different tokens and one refresh", len(sent), len(p.network.keys()))
	}
	if sent = p.asks(t); len(sent) != 1 {
		t.Errorf("%d requests afterwards, want 1", len(sent))
	}
}

// asks makes one request through a Transport and returns the Authorization of
// all that were sent for it.
func (p *phone) asks(t *testing.T) []string {
	t.Helper()
	api := &network{}
	c := &http.Client{Transport: &client.Transport{Client: p.Client, Base: api}}
	res, err := c.Get(p.world.URL + "/v1/me")
	check(t, err)
	check(t, res.Body.Close())
	if res.StatusCode != http.StatusOK {
		t.Errorf("status %d", res.StatusCode)
	}
	var sent []string
	for _, req := range api.seen {
		sent = append(sent, req.Header.Get("Authorization"))
	}
	return sent
}

// clockSetBackFar is seen without the server: nothing was received in the future.
func clockSetBackFar(t *testing.T, w *world) {
	p := newPhone(t, w, 0)
	p.off = -day
	p.works(t)
	if n := len(p.network.keys()); n != 1 {
		t.Errorf("%d refreshes, want 1", n)
	}
	p.works(t)
	if n := len(p.network.keys()); n != 1 {
		t.Errorf("%d refreshes after the one", n)
	}
}

func threeWeeksAway(t *testing.T, w *world) {
	p := newPhone(t, w, 0)
	for range 3 {
		w.pass(7 * day)
		p.network.does(offline)
		if _, err := p.Token(t.Context()); !errors.Is(err, errNetwork) || errors.Is(err, client.ErrSignedOut) {
			t.Fatalf("error = %v, want that of the network", err)
		}
		p.restart(t)
	}
	p.works(t)
}

func fiveWeeksAway(t *testing.T, w *world) {
	p := newPhone(t, w, 0)
	w.pass(35 * day)
	p.signedOut(t, "invalid-refresh-token")
	p.login(t)
	p.works(t)
}

func oldBackup(t *testing.T, w *world) {
	p := newPhone(t, w, 0)
	backup, err := os.ReadFile(p.file)
	check(t, err)
	for range 2 {
		p.sleep()
		p.works(t)
	}
	check(t, os.WriteFile(p.file, backup, 0o600))
	p.restart(t)
	p.signedOut(t, "token-reused")
	p.login(t)
	p.sleep()
	p.works(t)
}

func parentBackup(t *testing.T, w *world) {
	p := newPhone(t, w, 0)
	backup, err := os.ReadFile(p.file)
	check(t, err)
	p.sleep()
	p.works(t)
	w.pass(20 * time.Hour)
	check(t, os.WriteFile(p.file, backup, 0o600))
	p.restart(t)
	p.works(t)
	p.sleep()
	p.works(t)
}

func loggedOutElsewhere(t *testing.T, w *world) {
	p := newPhone(t, w, 0)
	body := map[string]string{"refresh_token": p.saved(t).RefreshToken}
	if status := w.Call(t, http.MethodPost, "/v1/logout", "", body, nil); status != http.StatusNoContent {
		t.Fatalf("logout: status %d", status)
	}
	res, err := (&http.Client{Transport: &client.Transport{Client: p.Client}}).Get(w.URL + "/v1/me")
	if err == nil {
		t.Errorf("status %d, want an error", res.StatusCode)
		check(t, res.Body.Close())
	}
	if !errors.Is(err, client.ErrSignedOut) || p.saved(t) != (client.State{}) {
		t.Errorf("error = %v, want ErrSignedOut and nothing saved", err)
	}
}

func loggedOutMeanwhile(t *testing.T, w *world) {
	p := newPhone(t, w, 0)
	p.sleep()
	p.network.does(func(req *http.Request, send http.RoundTripper) (*http.Response, error) {
		res, err := send.RoundTrip(req)
		return res, errors.Join(err, p.Logout(context.WithoutCancel(req.Context())))
	})
	if _, err := p.Token(t.Context()); !errors.Is(err, client.ErrSignedOut) || p.saved(t) != (client.State{}) {
		t.Errorf("error = %v, want ErrSignedOut and nothing saved", err)
	}
}

func loggedInMeanwhile(t *testing.T, w *world) {
	p := newPhone(t, w, 0)
	p.sleep()
	var newer string
	p.network.does(func(req *http.Request, _ http.RoundTripper) (*http.Response, error) {
		p.login(t)
		newer = p.saved(t).RefreshToken
		return answers(http.StatusUnauthorized, nil, `{"type":"urn:jotgate:problem:token-reused","code":"token-reused"}`)(req, nil)
	})
	p.works(t)
	if p.saved(t).RefreshToken != newer {
		t.Error("the new login was not kept")
	}
}

// diskFull fails to store the child: the next try gets the same one.
func diskFull(t *testing.T, w *world) {
	p := newPhone(t, w, 0)
	p.sleep()
	full := errors.New("no space left on device")
	p.config.Store = &fullStore{Store: client.NewFileStore(p.file), err: full}
	p.restart(t)
	if _, err := p.Token(t.Context()); !errors.Is(err, full) {
		t.Errorf("error = %v, want %v", err, full)
	}
	w.pass(time.Hour)
	p.config.Store = client.NewFileStore(p.file)
	p.restart(t)
	p.works(t)
}

type fullStore struct {
	client.Store

	err error
}

func (f *fullStore) Save(s client.State) error {
	if f.err != nil {
		return f.err
	}
	return f.Store.Save(s)
}

// TestShortLife is refreshed a quarter before its end.
func TestShortLife(t *testing.T) {
	w := newWorld(t, "JOTGATE_TOKEN_ACCESS_TTL=40s")
	p := newPhone(t, w, 0)
	for _, step := range []struct {
		pass     time.Duration
		requests int
	}{{0, 0}, {20 * time.Second, 0}, {11 * time.Second, 1}, {20 * time.Second, 1}, {11 * time.Second, 2}} {
		w.pass(step.pass)
		p.works(t)
		if n := len(p.network.keys()); n != step.requests {
			t.Errorf("%d refreshes, want %d", n, step.requests)
		}
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(p.file), "*")); err != nil || !slices.Equal(left, []string{p.file, p.file + ".lock", p.file + ".turn"}) {
		t.Errorf("files = %v, %v", left, err)
	}
}
