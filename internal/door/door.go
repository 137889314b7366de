// Package door is the way into the program for connections: a server of net/http that loses
// nobody when it closes, and that spends little on the time-outs of those who keep to them.
package door

import (
	"context"
	"errors"
	"net"
	"net/http"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// pause spaces out the looks at what still waits.
	pause = 2 * time.Millisecond
	// patience is how long the door waits for a moment in which nobody comes.
	patience = time.Second
)

// Door is a server with its listener, which closes without losing anybody. With
// Shutdown of net/http alone there are two who are: a connection that the kernel
// has taken and the server has not accepted yet is reset, and one whose request
// the server has not read yet is closed. A proxy that has sent a POST there can
// only answer 502.
type Door struct {
	server *http.Server
	guests *guests
}

// New returns a Door in which s serves those who come to l. It sets the ConnState of s, and
// [Door.Patrol] enforces its time-outs.
func New(l net.Listener, s *http.Server) *Door {
	s.ConnState = follow
	return &Door{server: s, guests: &guests{Listener: l, all: map[*guest]struct{}{}}}
}

// Serve lets guests in until the door is closed, and returns why it ended, as
// [http.Server.Serve] does.
func (d *Door) Serve() error { return d.server.Serve(d.guests) }

// Patrol ends connections whose time-outs run out, up to 250 ms late, until ctx ends.
func (d *Door) Patrol(ctx context.Context) { d.guests.patrol(ctx) }

// Close takes in those who are before the door already, shuts it and waits until
// they all have their answers. It cuts off those who have none when ctx ends, and returns
// the error of ctx then.
func (d *Door) Close(ctx context.Context) error {
	lull, cancel := context.WithTimeout(ctx, patience)
	wait(lull, func() bool { return shut(d.guests.Listener) })
	cancel()
	_ = d.guests.Close() //nolint:errcheck // it is closed already after a failure
	wait(ctx, d.guests.quiet)
	err := d.server.Shutdown(ctx)
	if err == nil || errors.Is(err, net.ErrClosed) {
		return nil // the listener is closed, which Shutdown may find before Serve does
	}
	return errors.Join(err, d.server.Close())
}

// wait returns when done says so or ctx ends.
func wait(ctx context.Context, done func() bool) {
	for ctx.Err() == nil && !done() {
		time.Sleep(pause)
	}
}

// shut stops l from taking connections, unless one waits to be accepted. It does
// both in one go: Close of a listener lets the kernel take more of them, and reset
// them, until Accept has heard of it.
func shut(l net.Listener) (done bool) {
	socket, ok := l.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return true
	}
	if err := raw.Control(func(fd uintptr) { done = shutSocket(fd) }); err != nil {
		return true // it is closed
	}
	return done
}

// shutSocket reports false if a connection waits. Where the kernel cannot shut a
// socket that listens, closing it does.
func shutSocket(fd uintptr) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0) //nolint:gosec // a descriptor is small
	if err == nil && n > 0 {
		return false
	}
	_ = unix.Shutdown(int(fd), unix.SHUT_RD) //nolint:errcheck // closing does it too
	return true
}
