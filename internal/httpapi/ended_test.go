package httpapi_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/client"
	"github.com/jotgate/jotgate/internal/pgtest"
)

// TestEndedMeanwhile brings what each writing request of a signed-in user came with to its
// end when the request is about to commit, the session or the token alone. That has to be
// answered as if it had been so from the beginning: a route that is not, does not look again
// in its transaction.
func TestEndedMeanwhile(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	meanwhile := a.beforeWriting()
	n := 0
	for _, r := range accessRoutes(t) {
		if r.method == http.MethodGet || r.class != "manage" {
			continue
		}
		for _, credential := range []string{"access token", "access cookie"} {
			for _, state := range append(deadSessions(), "role taken away", "expired", "signing key revoked") {
				n++
				h := a.newHolder(n, credential, "live")
				*meanwhile = func() { a.bring(h, credential, state) }
				got := a.present(h, r)
				if code, _ := got.problem(); code != "invalid-token" || *meanwhile != nil {
					t.Errorf("%s with %s, %s meanwhile: %d %s", r.name, credential, state, got.StatusCode, code)
				}
				cookie, over := credential == "access cookie", slices.Contains(deadSessions(), state)
				for name, want := range map[string]bool{"access": cookie, "refresh": cookie && over} {
					if cleared := strings.Contains(got.cookies(), "__Host-Http-jotgate-"+name+"="); cleared != want {
						t.Errorf("%s with %s, %s meanwhile: cookies %q", r.name, credential, state, got.cookies())
					}
				}
			}
		}
	}
}

// TestAdministratorEndedMeanwhile takes away what an administrator's credential may do
// before the turn of its request to write.
func TestAdministratorEndedMeanwhile(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	meanwhile := a.beforeWriting()
	n := 0
	for _, r := range accessRoutes(t) {
		if r.method == http.MethodGet || r.class != "admin" {
			continue
		}
		for _, tt := range []struct{ credential, state, want string }{
			{"API key", "revoked", "invalid-token"},
			{"API key", "user disabled", "invalid-token"},
			{"API key", "role taken away", "insufficient-scope"},
			{"API key", "expired", "invalid-token"},
			{"client token", "client deleted", "invalid-token"},
			{"client token", "secret changed", "invalid-token"},
			{"client token", "revoked", "invalid-token"},
			{"client token", "expired", "invalid-token"},
			{"client token", "signing key revoked", "invalid-token"},
			{"client token", "epoch bumped", "invalid-token"},
		} {
			n++
			h := a.newHolder(n, tt.credential, "scope admin")
			*meanwhile = func() { a.bring(h, tt.credential, tt.state) }
			got := a.present(h, r)
			if code, _ := got.problem(); code != tt.want || *meanwhile != nil {
				t.Errorf("%s with %s, %s meanwhile: %d %s", r.name, tt.credential, tt.state, got.StatusCode, code)
			}
		}
	}
	if n == 0 {
		t.Error("nothing is the administrators'")
	}
}

// beforeWriting makes an administrator, and returns where to put what is to be done once,
// just before the next transaction begins.
func (a *api) beforeWriting() *func() {
	a.administer()
	do := new(func())
	inTx := a.gate.InTx
	a.gate.InTx = func(ctx context.Context, f func(ctx context.Context) error) error {
		if now := *do; now != nil {
			*do = nil
			now()
		}
		return inTx(ctx, f)
	}
	return do
}

// TestClientsActOnEachOther has two administrators give each other a new secret, each of whom
// holds a client when the other comes: neither is refused because of the other.
func TestClientsActOnEachOther(t *testing.T) {
	t.Parallel()
	a := newAPI(t, func(o *options) { o.database = pgtest.DSN(t) })
	one, two := a.program([]string{"admin"}), a.program([]string{"admin"})
	asOne, asTwo := a.token(one, ""), a.token(two, "")
	inTx := a.gate.InTx
	a.gate.InTx = func(ctx context.Context, f func(ctx context.Context) error) error {
		return inTx(ctx, func(ctx context.Context) error { return f(context.WithValue(ctx, committing{}, true)) })
	}
	a.oauth.Clients.Store = &meeting{Store: a.oauth.Clients.Store, met: make(chan struct{})}
	var wg sync.WaitGroup
	for as, other := range map[string]program{asOne: two, asTwo: one} {
		wg.Go(func() {
			got := a.do("POST", "/v1/admin/clients/"+other.id+"/secret", object{"overlap": 60}, as)
			if got.StatusCode != http.StatusOK {
				t.Errorf("%d %s", got.StatusCode, got.body)
			}
		})
	}
	wg.Wait()
}

// committing marks the context of a transaction.
type committing struct{}

// meeting keeps whoever has found a client in a transaction, and so holds it, until another
// one has too, or soon if that waits.
type meeting struct {
	client.Store
	came atomic.Int32
	met  chan struct{}
}

func (m *meeting) ByID(ctx context.Context, id client.ID) (client.Client, error) {
	c, err := m.Store.ByID(ctx, id)
	if ctx.Value(committing{}) != nil {
		if m.came.Add(1) == 2 {
			close(m.met)
		}
		select {
		case <-m.met:
		case <-time.After(500 * time.Millisecond):
		}
	}
	return c, err
}
