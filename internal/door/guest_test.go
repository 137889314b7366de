package door

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// opened returns a door with short time-outs, and the way to it.
func opened(t *testing.T, h http.HandlerFunc) (*Door, net.Addr) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const short = 300 * time.Millisecond
	d := New(l, &http.Server{Handler: h, ReadHeaderTimeout: short, ReadTimeout: 2 * short, WriteTimeout: 3 * short, IdleTimeout: 3 * short})
	watch, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	served, watched := make(chan error, 1), make(chan struct{})
	go func() { served <- d.Serve() }()
	go func() { defer close(watched); d.Patrol(watch) }()
	t.Cleanup(func() {
		if err := d.server.Close(); err != nil {
			t.Error(err)
		}
		<-served
		stop()
		<-watched
	})
	return d, l.Addr()
}

func answered(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// TestNobodyKeepsAConnection holds the time-outs of the server against those who do
// not end what they begin.
func TestNobodyKeepsAConnection(t *testing.T) {
	const body = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx"
	for name, begin := range map[string]string{"nothing": "", "half a head": "GET / HT", "half a body": body, "idle": ask} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, addr := opened(t, answered)
			c := dial(t, addr)
			write(t, c, begin)
			began := time.Now()
			if _, err := io.Copy(io.Discard, c); err != nil {
				t.Errorf("read until the end: %v", err)
			}
			if took := time.Since(began); took < 300*time.Millisecond || took > 5*time.Second {
				t.Errorf("closed after %v", took)
			}
			if d.guests.mu.Lock(); len(d.guests.all) > 0 {
				t.Errorf("%d guests are left", len(d.guests.all))
			}
			d.guests.mu.Unlock()
		})
	}
}

func TestWhoDoesNotReadIsLeft(t *testing.T) {
	failed := make(chan error, 1)
	_, addr := opened(t, func(w http.ResponseWriter, _ *http.Request) {
		_, err := io.Copy(w, endless{})
		failed <- err
	})
	c := dial(t, addr)
	write(t, c, ask)
	select {
	case err := <-failed:
		if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() {
			t.Errorf("the write ended with %v, want a time-out", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the server writes to who does not read")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestDeadlinesAreThoseOfOneRequest sends requests over one connection for longer than
// any deadline, with pauses that are shorter, and one whose handler takes longer than
// its request may take to read: the deadline that ran out then is over for the next one.
func TestDeadlinesAreThoseOfOneRequest(t *testing.T) {
	_, addr := opened(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "slow") {
			time.Sleep(750 * time.Millisecond)
		}
		answered(w, r)
	})
	c := dial(t, addr)
	for range 8 {
		time.Sleep(200 * time.Millisecond)
		write(t, c, ask)
		wantAnswer(t, c)
	}
	write(t, c, strings.Replace(ask, "/", "/slow", 1))
	wantAnswer(t, c)
	write(t, c, ask)
	wantAnswer(t, c)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// accepted returns both ends of a connection that nobody serves and nobody patrols.
func accepted(t *testing.T) (here, there net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	there = dial(t, l.Addr())
	if here, err = (&guests{Listener: l, all: map[*guest]struct{}{}}).Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(here.Close(), there.Close(), l.Close()); err != nil {
			t.Error(err)
		}
	})
	return here, there
}

// TestADeadlineOfLongAgoEndsAReadAtOnce ends a read that is under way: net/http does so
// with a deadline of long ago when a handler is done.
func TestADeadlineOfLongAgoEndsAReadAtOnce(t *testing.T) {
	here, there := accepted(t)
	read := make(chan error, 1)
	go func() { _, err := here.Read(make([]byte, 1)); read <- err }()
	time.Sleep(10 * time.Millisecond)
	if err := here.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err, ok := errors.AsType[net.Error](<-read); !ok || !err.Timeout() {
		t.Errorf("the read ended with %v", err)
	}
	if err := here.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	write(t, there, "x")
	if _, err := here.Read(make([]byte, 1)); err != nil {
		t.Errorf("after the deadline was moved: %v", err)
	}
}

// TestWhoIsStillSendingGetsTheAnswer ends one direction of a connection, as net/http
// looks for it, and goes on reading.
func TestWhoIsStillSendingGetsTheAnswer(t *testing.T) {
	here, there := accepted(t)
	half, ok := here.(interface{ CloseWrite() error })
	if !ok {
		t.Fatal("net/http cannot end what it sends")
	}
	if err := half.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if n, err := there.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		t.Errorf("read %d, %v, want the end", n, err)
	}
	write(t, there, "x")
	if _, err := here.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
}
