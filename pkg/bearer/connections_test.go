package bearer

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// pipes forwards connections until they are told to swallow what comes.
type pipes struct {
	to string

	mu   sync.Mutex
	dead []*atomic.Bool
}

func (p *pipes) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", p.to)
		if err != nil {
			return
		}
		dead := &atomic.Bool{}
		p.mu.Lock()
		p.dead = append(p.dead, dead)
		p.mu.Unlock()
		go forward(s, c, dead)
		go forward(c, s, dead)
	}
}

func forward(to io.WriteCloser, from io.ReadCloser, dead *atomic.Bool) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			to.Close()
			return
		}
		if dead.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// swallow is the network dying under all connections that are there.
func (p *pipes) swallow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.dead {
		d.Store(true)
	}
}

// TestDeadConnection is asked over once, and then another one is.
func TestDeadConnection(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &pipes{to: s.Listener.Addr().String()}
	go p.serve(l)

	client := clientOf(nil)
	transport, ok := client.Transport.(*http.Transport)
	if !ok || transport.HTTP2 == nil {
		t.Fatalf("the transport is %T, and does not ping", client.Transport)
	}
	trusting, ok := s.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("the server's client has another transport")
	}
	transport.TLSClientConfig = trusting.TLSClientConfig
	transport.HTTP2.SendPingTimeout /= 20 // nobody has ten seconds for a test
	transport.HTTP2.PingTimeout /= 20
	client.Timeout = time.Second
	ask := func() string {
		res, err := client.Get("https://" + l.Addr().String())
		if err != nil {
			return err.Error()
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return err.Error()
		}
		return string(body)
	}
	if got := ask(); got != "HTTP/2.0" {
		t.Fatalf("the first answer: %s", got)
	}
	p.swallow()
	if got := ask(); got == "HTTP/2.0" {
		t.Fatal("the connection is not dead")
	}
	if got := ask(); got != "HTTP/2.0" {
		t.Errorf("after the connection died: %s", got)
	}
}
