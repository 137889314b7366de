package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	idleConnections = 500
	slowConnections = 100
	deafConnections = 50

	// Of these the server waits for the rest.
	halfHead = "GET /v1/me HTTP/1.1\r\nHost: loc"
	halfBody = "POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 64\r\n\r\n{\"identifier\":\""
)

// crowdConnections opens connections that say nothing, half of something or a byte
// a second, that ask and do not listen, that are gone without a word, and more than
// anybody needs. Whoever has a token is answered meanwhile.
func (tt *torture) crowdConnections(ctx context.Context, t *tally) (err error) {
	s, err := tt.newSite(ctx, t, filepath.Join(tt.dir, t.fault), defaultCost...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	s.crowd.ledger.wire.whole = true
	p, _ := s.prepare(ctx, refresh)
	length := time.Duration(tt.count(1000, 20_000)) * time.Millisecond
	var slowest time.Duration
	for _, crowd := range []func(context.Context) error{
		func(ctx context.Context) error { return s.hold(ctx, idleConnections, "") },
		func(ctx context.Context) error { return s.hold(ctx, slowConnections, halfHead) },
		func(ctx context.Context) error { return s.hold(ctx, slowConnections, halfBody) },
		s.neverListen, s.vanish, s.flood,
	} {
		during, enough := context.WithTimeout(ctx, length)
		over := make(chan error, 1)
		go func() { over <- crowd(during) }()
		slowest = max(slowest, s.askVerified(during, p))
		enough()
		if err := <-over; err != nil {
			return err
		}
		t.points++
		s.crowd.compare(ctx, true)
	}
	t.remark = strings.TrimSpace(fmt.Sprintf("the slowest verified request took %d ms %s", slowest.Milliseconds(), t.remark))
	if tt.long {
		s.awaitQuiet(ctx)
	}
	return nil
}

// dial opens n connections.
func (s *site) dial(ctx context.Context, n int) (all []*net.TCPConn, err error) {
	var dialer net.Dialer
	for range n {
		conn, err := dialer.DialContext(ctx, "tcp", s.server.addr)
		if err != nil {
			return all, fmt.Errorf("dial: %w", err)
		}
		all = append(all, conn.(*net.TCPConn)) //nolint:errcheck,forcetypeassert // that is what it dials
	}
	return all, nil
}

const (
	// longestRequest is how long the server waits for one, and then some.
	longestRequest = 12 * time.Second
	// longestAnswer is how long it tries to write one, and then some.
	longestAnswer = 17 * time.Second
)

// hold opens connections, begins each, and adds a byte a second until ctx ends. Those
// that last for so long are closed by the server.
func (s *site) hold(ctx context.Context, n int, begin string) error {
	conns, err := s.dial(ctx, n)
	var all sync.WaitGroup
	var open atomic.Int64
	began := time.Now()
	for _, conn := range conns {
		all.Go(func() {
			defer func() { _ = conn.Close() }() //nolint:errcheck // the server may have closed it
			if begin == "" {
				<-ctx.Done()
				return
			}
			_, err := io.WriteString(conn, begin)
			for err == nil && ctx.Err() == nil {
				pause(ctx, time.Second)
				_, err = io.WriteString(conn, "x")
			}
			if err == nil && time.Since(began) > longestRequest {
				open.Add(1)
			}
		})
	}
	all.Wait()
	if open.Load() > 0 {
		s.tally.add(odd, "%d slow connections are open after %v", open.Load(), time.Since(began))
	}
	return err
}

// neverListen asks for more than the kernel keeps for who does not read. If it lasts for
// longer than an answer may, the server lets go of them while they are still there.
func (s *site) neverListen(ctx context.Context) error {
	began := time.Now()
	conns, err := s.dial(ctx, deafConnections)
	ask := strings.Repeat("GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n", 200)
	for _, conn := range conns {
		defer abort(conn)
		if err := errors.Join(conn.SetReadBuffer(4096), conn.SetWriteDeadline(time.Now().Add(time.Second))); err != nil {
			return err
		}
		go func() { _, _ = io.WriteString(conn, ask) }() //nolint:errcheck // it may take no more
	}
	<-ctx.Done()
	if time.Since(began) > longestAnswer {
		s.awaitQuiet(context.WithoutCancel(ctx))
	}
	return err
}

// vanish leaves connections behind whose clients are gone, and half of what they asked.
// A socket that is being repaired is closed without a word, which only root may do.
func (s *site) vanish(ctx context.Context) error {
	const tcpRepair = 19
	began := time.Now()
	conns, err := s.dial(ctx, slowConnections)
	for i, conn := range conns {
		if i%2 == 0 {
			if _, err := io.WriteString(conn, halfBody); err != nil {
				return err
			}
		}
		raw, err := conn.SyscallConn()
		if err != nil {
			return err
		}
		err = raw.Control(func(fd uintptr) {
			if err := syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpRepair, 1); err != nil {
				s.tally.remark = fmt.Sprintf("(clients do not vanish: %v)", err)
			}
		})
		if err := errors.Join(err, conn.Close()); err != nil {
			return err
		}
	}
	<-ctx.Done()
	if time.Since(began) > longestRequest {
		s.awaitQuiet(context.WithoutCancel(ctx)) // before a port is used again, whose server would hear of it
	}
	return err
}

// flood opens connections and resets them, as fast as it can.
func (s *site) flood(ctx context.Context) error {
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				conns, _ := s.dial(ctx, 10) //nolint:errcheck // the server's queue may be full, and ctx ends
				for i, conn := range conns {
					if i%2 == 0 {
						_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") //nolint:errcheck // as above
					}
					abort(conn)
				}
			}
		})
	}
	all.Wait()
	return nil
}

// awaitQuiet waits until the server has let go of whoever is gone.
func (s *site) awaitQuiet(ctx context.Context) {
	const few = 60 // its files, its listeners and those who ask
	files := 0
	for end := time.Now().Add(2 * patience); time.Now().Before(end) && ctx.Err() == nil; pause(ctx, 100*time.Millisecond) {
		list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.server.pid()))
		if files = len(list); err == nil && files < few {
			return
		}
	}
	s.tally.add(odd, "the server still has %d files open", files)
}

// askVerified asks with a token until ctx ends and returns the longest wait.
func (s *site) askVerified(ctx context.Context, p *person) (slowest time.Duration) {
	for ; ctx.Err() == nil; pause(ctx, 5*time.Millisecond) {
		began := time.Now()
		if a := s.crowd.ledger.wire.send(context.WithoutCancel(ctx), me(p.devices[0])); a.status != http.StatusOK {
			s.tally.add(odd, "a verified request: %v", a)
		}
		slowest = max(slowest, time.Since(began))
	}
	return slowest
}
