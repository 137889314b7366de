package store

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/jotgate/jotgate/internal/pgtest"
)

// tunnel stands before a server. What goes through it before it is blocked is taken
// and never handed on again, as by a host that is gone without a word; what comes
// later goes through.
type tunnel struct {
	net.Listener

	target  string
	swallow string // what goes after a text with this in it is not handed on either
	mu      sync.Mutex
	pairs   []*[2]net.Conn
	lost    chan struct{}
}

func newTunnel(t *testing.T, target, swallow string) *tunnel {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &tunnel{Listener: l, target: target, swallow: swallow, lost: make(chan struct{})}
	var accepting, serving sync.WaitGroup
	accepting.Go(func() { w.accept(&serving) })
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		accepting.Wait()
		w.block()
		for _, p := range w.pairs {
			_ = errors.Join(p[0].Close(), p[1].Close())
		}
		serving.Wait()
	})
	return w
}

func (w *tunnel) accept(serving *sync.WaitGroup) {
	for {
		client, err := w.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", w.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		w.mu.Lock()
		lost := w.lost
		w.pairs = append(w.pairs, &[2]net.Conn{client, server})
		w.mu.Unlock()
		serving.Go(func() { w.carry(server, client, lost) })
		serving.Go(func() { w.carry(client, server, lost) })
	}
}

func (w *tunnel) carry(to, from net.Conn, lost <-chan struct{}) {
	text := make([]byte, 16<<10)
	for {
		n, err := from.Read(text)
		if w.swallow != "" && bytes.Contains(text[:n], []byte(w.swallow)) {
			w.block()
		}
		select {
		case <-lost:
			if err != nil {
				return
			}
			continue
		default:
		}
		if _, failed := to.Write(text[:n]); errors.Join(err, failed) != nil {
			_ = errors.Join(to.Close(), from.Close())
			return
		}
	}
}

func (w *tunnel) block() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.lost)
	w.lost = make(chan struct{})
}

// TestHostThatVanishes has a host go without a word under many idle connections, and
// another one take its place.
func TestHostThatVanishes(t *testing.T) {
	const many = 6
	u, err := url.Parse(pgtest.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	way := newTunnel(t, u.Host, "")
	u.Host = way.Addr().String()
	db := openTest(t, u.String())
	var together, done sync.WaitGroup
	together.Add(many)
	for range many {
		done.Go(func() {
			if err := db.InTx(t.Context(), func(context.Context) error {
				together.Done()
				together.Wait()
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	time.Sleep(1100 * time.Millisecond) // what was used just now is taken to be there
	way.block()
	for i := range many {
		begin := time.Now()
		err := db.Ping(t.Context())
		took := time.Since(begin)
		if err != nil || (i == 0 && took > 2*pingPatience) || (i > 0 && took > pingPatience/2) {
			t.Errorf("caller %d: after %s: %v", i, took, err)
		}
	}
}

// TestHostThatVanishesWhenAskedToLead, or when it is called for that: the question is given
// up, so that it is asked again.
func TestHostThatVanishesWhenAskedToLead(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"tcp_keepalives_count", "pg_try_advisory_lock"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			u, err := url.Parse(pgtest.DSN(t))
			if err != nil {
				t.Fatal(err)
			}
			u.Host = newTunnel(t, u.Host, at).Addr().String()
			db, err := Open(t.Context(), Config{URL: u.String(), Timeout: time.Second, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			led, err := db.AsLeader(t.Context(), Pruning, func(context.Context) error { return nil })
			if _, ok := errors.AsType[*UnavailableError](err); led || !ok || time.Since(begin) >= connectTimeout {
				t.Errorf("AsLeader = %t, %v, after %s", led, err, time.Since(begin))
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWhoGivesUpSuspectsNobody: that a caller leaves while a connection is asked says nothing
// about the others.
func TestWhoGivesUpSuspectsNobody(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), pgtest.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if !suspect(ctx, stdlib.ShouldPingParams{Conn: conn, IdleDuration: 2 * pingAfter}, func() { t.Error("all are dropped") }) {
		t.Error("a connection is used that gave no answer")
	}
}
