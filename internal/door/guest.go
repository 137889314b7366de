package door

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// patrolEach is how often the deadlines of connections are looked at: how much
// later than asked for one may end.
const patrolEach = 250 * time.Millisecond

// guest is a connection that came through a door. net/http sets four deadlines for
// each request, nearly all of which never run out; timers for them are a good part of
// what a short request costs. Here a deadline is a note, and the socket is told of it
// once it has run out.
type guest struct {
	net.Conn

	came time.Time
	busy atomic.Bool // has a request, or has just come and will
	gone func()

	mu          sync.Mutex
	read, write deadline
}

// deadline is when one direction of a connection ends.
type deadline struct {
	at  time.Time // zero is never
	ran bool      // out, and the socket knows
}

// SetReadDeadline implements [net.Conn]. The deadline may be noticed a little later.
func (g *guest) SetReadDeadline(t time.Time) error { return g.note(&g.read, t, g.Conn.SetReadDeadline) }

// SetWriteDeadline implements [net.Conn] as SetReadDeadline does.
func (g *guest) SetWriteDeadline(t time.Time) error {
	return g.note(&g.write, t, g.Conn.SetWriteDeadline)
}

// SetDeadline implements [net.Conn] as SetReadDeadline does.
func (g *guest) SetDeadline(t time.Time) error {
	return errors.Join(g.SetReadDeadline(t), g.SetWriteDeadline(t))
}

// note writes a deadline down. One from before the connection came is meant for this
// moment: net/http ends a read under way so.
func (g *guest) note(d *deadline, t time.Time, tell func(time.Time) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	d.at = t
	if now := !t.IsZero() && t.Before(g.came); now || d.ran {
		d.ran = now
		if !now {
			t = time.Time{}
		}
		return tell(t)
	}
	return nil
}

// enforce tells the socket of the deadlines that have run out.
func (g *guest) enforce(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.read.runsOut(now) {
		_ = g.Conn.SetReadDeadline(g.read.at) //nolint:errcheck // it is closed
	}
	if g.write.runsOut(now) {
		_ = g.Conn.SetWriteDeadline(g.write.at) //nolint:errcheck // as above
	}
}

func (d *deadline) runsOut(now time.Time) bool {
	if d.ran || d.at.IsZero() || now.Before(d.at) {
		return false
	}
	d.ran = true
	return true
}

// CloseWrite ends what is sent, as [net.TCPConn.CloseWrite]: net/http does so before it
// closes a connection from which it has not read everything.
func (g *guest) CloseWrite() error {
	if c, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// Close implements [net.Conn].
func (g *guest) Close() error {
	g.gone()
	return g.Conn.Close()
}

// guests are the connections that are open. It is the listener of its door.
type guests struct {
	net.Listener

	mu  sync.Mutex
	all map[*guest]struct{}
}

// Accept implements [net.Listener]. Whoever comes is as busy as who has asked.
func (gs *guests) Accept() (net.Conn, error) {
	c, err := gs.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // net/http looks at it
	}
	g := &guest{Conn: c, came: time.Now()} //nolint:forbidigo // net/http takes its deadlines from the same clock
	g.busy.Store(true)
	g.gone = func() {
		gs.mu.Lock()
		defer gs.mu.Unlock()
		delete(gs.all, g)
	}
	gs.mu.Lock()
	defer gs.mu.Unlock()
	gs.all[g] = struct{}{}
	return g, nil
}

// follow is told by net/http what a connection does.
func follow(c net.Conn, state http.ConnState) {
	if g, ok := c.(*guest); ok {
		g.busy.Store(state == http.StateNew || state == http.StateActive)
	}
}

// quiet reports whether no connection has a request, or has just come and will.
func (gs *guests) quiet() bool {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	for g := range gs.all {
		if g.busy.Load() {
			return false
		}
	}
	return true
}

// patrol enforces the deadlines until ctx ends.
func (gs *guests) patrol(ctx context.Context) {
	tick := time.NewTicker(patrolEach)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			gs.mu.Lock()
			for g := range gs.all {
				g.enforce(now)
			}
			gs.mu.Unlock()
		}
	}
}
