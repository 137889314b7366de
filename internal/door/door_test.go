package door

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

const ask = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

// TestDoorLosesNobody closes a door before which somebody waits whom the server
// has not accepted, and behind which somebody is who has not asked yet.
func TestDoorLosesNobody(t *testing.T) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	accepting := make(chan struct{})
	d := New(&lateListener{TCPListener: l, accepting: accepting}, &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }),
	})
	served := make(chan error, 1)
	go func() { served <- d.Serve() }()
	before, silent := dial(t, l.Addr()), dial(t, l.Addr())
	write(t, before, ask)
	closed := make(chan error, 1)
	go func() { closed <- d.Close(t.Context()) }()
	time.Sleep(20 * time.Millisecond) // in which a close that does not wait would be over
	close(accepting)
	wantAnswer(t, before)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) { // until the door is shut
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			break
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(end) {
			t.Fatal("the door is never shut")
		}
	}
	time.Sleep(20 * time.Millisecond) // as above
	write(t, silent, ask)
	wantAnswer(t, silent)
	for _, c := range []net.Conn{before, silent} {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	<-served
}

// lateListener accepts nobody before it is told to.
type lateListener struct {
	*net.TCPListener

	accepting chan struct{}
}

func (l *lateListener) Accept() (net.Conn, error) {
	<-l.accepting
	return l.TCPListener.Accept()
}

func dial(t *testing.T, a net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", a.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func wantAnswer(t *testing.T, c net.Conn) {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Errorf("no answer: %v", err)
		return
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusNoContent {
		t.Errorf("status %d, %v", res.StatusCode, err)
	}
}
