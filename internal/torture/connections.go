package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

const (
	idleConnections = 500
	slowConnections = 100
	loginFlood      = 80 // at once, ten times the hashes that two cores make at once and more
)

// crowdConnections holds connections that say nothing, half of something or a
// byte a second, and then sends ten times the logins that there is room for.
// Whoever has a token is answered meanwhile.
func (tt *torture) crowdConnections(ctx context.Context, t *tally) (err error) {
	s, err := tt.newSite(ctx, t, filepath.Join(tt.dir, t.fault), "JOTGATE_PASSWORD_MEMORY_KIB=19456", "JOTGATE_PASSWORD_PASSES=2", "JOTGATE_PASSWORD_PARALLEL=1")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	s.crowd.ledger.wire.whole = true
	p, _ := s.prepare(ctx, refresh)
	length := time.Duration(tt.count(3, 20)) * time.Second
	var slowest time.Duration
	for _, crowd := range []func(context.Context) error{
		func(ctx context.Context) error { return s.hold(ctx, idleConnections, "") },
		func(ctx context.Context) error {
			return s.hold(ctx, slowConnections, "POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 64\r\n\r\n{\"identifier\":\"")
		},
		func(ctx context.Context) error {
			return s.hold(ctx, slowConnections, "GET /v1/me HTTP/1.1\r\nHost: loc")
		},
		s.floodLogins,
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
	t.remark = fmt.Sprintf("the slowest verified request took %d ms", slowest.Milliseconds())
	return nil
}

// hold opens connections, begins each, and adds a byte a second until ctx ends.
func (s *site) hold(ctx context.Context, n int, begin string) error {
	var dialer net.Dialer
	for range n {
		conn, err := dialer.DialContext(ctx, "tcp", s.server.addr)
		if err != nil {
			return fmt.Errorf("dial: %w", err)
		}
		defer func() { _ = conn.Close() }() //nolint:errcheck // the server may have closed it
		if begin == "" {
			continue
		}
		go func() {
			_, err := io.WriteString(conn, begin)
			for err == nil && ctx.Err() == nil {
				pause(ctx, time.Second)
				_, err = io.WriteString(conn, "x")
			}
		}()
	}
	<-ctx.Done()
	return nil
}

// floodLogins sends right and wrong logins, all at once. Each is answered, refused or
// told to come back.
func (s *site) floodLogins(ctx context.Context) error {
	p := s.crowd.people[0]
	var all sync.WaitGroup
	var in, out atomic.Int64
	for i := range loginFlood {
		password, want := p.password, http.StatusOK
		if i%2 == 1 {
			password, want = newPassword(), http.StatusUnauthorized
		}
		all.Go(func() {
			for ctx.Err() == nil {
				switch a := s.crowd.ledger.wire.send(context.WithoutCancel(ctx), login(p.name, password)); {
				case a.status == want:
					in.Add(1)
				case a.unknown():
					out.Add(1)
				case a.status == http.StatusOK:
					s.tally.add(letIn, "%s logs in with a wrong password", p.name)
				default:
					s.tally.add(odd, "login: %v", a)
				}
			}
		})
	}
	all.Wait()
	s.tally.count(int(in.Load()), int(out.Load()))
	return nil
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
