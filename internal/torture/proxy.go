package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// manner is how a connection breaks.
type manner int

const (
	unsent     manner = iota // the message does not arrive
	unanswered               // it is carried out, and the answer does not arrive
	late                     // its sender is cut off, and then it arrives
)

func (m manner) String() string { return [...]string{"unsent", "unanswered", "late"}[m] }

// cut is the nth message from now on at which a connection breaks. Where an answer
// is at stake, only messages count that are answered, or only commits.
type cut struct {
	how     manner
	nth     int
	commits bool
}

func (c cut) counts(m message) bool {
	return (c.how == unsent || m.answered) && (m.commits || !c.commits)
}

// message is what a client sends at once, and whether it then waits for an answer.
type message struct {
	text              []byte
	answered, commits bool
}

// reader takes the next message from a client. It is made for each connection.
type reader func(in *bufio.Reader) (message, error)

// proxy stands before a server and cuts connections.
type proxy struct {
	listener net.Listener
	target   string
	reader   func() reader

	mu    sync.Mutex
	armed *cut
	left  int
	hit   bool
	shut  bool // takes no connection
	conns map[*pair]struct{}
}

// pair is one connection and its other half.
type pair struct {
	client, server *net.TCPConn

	deaf     atomic.Bool   // nothing more goes to the client
	answered chan struct{} // the server said something to the deaf client
	once     sync.Once
}

func newProxy(target string, r func() reader) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, target: target, reader: r, conns: map[*pair]struct{}{}}
	go p.accept()
	return p, nil
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) close() error {
	p.cutAll()
	return p.listener.Close()
}

// arm makes c happen, once.
func (p *proxy) arm(c cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.left, p.hit = &c, c.nth, false
}

// broke says whether what it was armed with has happened.
func (p *proxy) broke() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hit
}

// disarm says so too, and lets everything through from then on.
func (p *proxy) disarm() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = nil
	return p.hit
}

// cutAll resets every connection that there is.
func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.reset()
	}
}

// refuse has new connections reset at once, or lets them through again.
func (p *proxy) refuse(shut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = shut
}

// fate counts m, and says whether its connection breaks at it, and how.
func (p *proxy) fate(m message) (how manner, now bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.armed == nil || p.hit || !p.armed.counts(m) {
		return 0, false
	}
	p.left--
	p.hit = p.left == 0
	return p.armed.how, p.hit
}

func (p *proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(conn.(*net.TCPConn)) //nolint:errcheck,forcetypeassert // a TCP listener has no others
	}
}

func (p *proxy) serve(client *net.TCPConn) {
	conn, err := net.Dial("tcp", p.target) //nolint:noctx // loopback
	if err != nil {
		abort(client)
		return
	}
	c := &pair{client: client, server: conn.(*net.TCPConn), answered: make(chan struct{})} //nolint:errcheck,forcetypeassert // see above
	p.mu.Lock()
	p.conns[c] = struct{}{}
	shut := p.shut
	p.mu.Unlock()
	if !shut {
		go c.backward()
		p.forward(c)
	}
	c.reset()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// forward hands on what the client sends until one of the two is gone.
func (p *proxy) forward(c *pair) {
	in, next := bufio.NewReader(c.client), p.reader()
	for {
		m, err := next(in)
		if err != nil {
			return
		}
		how, now := p.fate(m)
		if now {
			c.part(how, m)
			return
		}
		if _, err := c.server.Write(m.text); err != nil {
			return
		}
	}
}

// part breaks the connection at m.
func (c *pair) part(how manner, m message) {
	if how == unsent {
		return
	}
	c.deaf.Store(true)
	if how == late {
		abort(c.client)
		time.Sleep(lateness)
	}
	if _, err := c.server.Write(m.text); err != nil {
		return
	}
	select {
	case <-c.answered:
	case <-time.After(patience):
	}
}

// backward hands on what the server says.
func (c *pair) backward() {
	defer c.heard()
	text := make([]byte, 16<<10)
	for {
		n, err := c.server.Read(text)
		if n > 0 && c.deaf.Load() {
			c.heard()
			continue
		}
		if n > 0 {
			if _, failed := c.client.Write(text[:n]); failed != nil {
				err = failed
			}
		}
		if err != nil && !c.deaf.Load() {
			c.reset()
		}
		if err != nil {
			return
		}
	}
}

func (c *pair) heard() { c.once.Do(func() { close(c.answered) }) }

func (c *pair) reset() {
	abort(c.client)
	abort(c.server)
}

// abort closes with a reset, as a machine does that has forgotten the connection.
func abort(c *net.TCPConn) {
	_ = errors.Join(c.SetLinger(0), c.Close()) //nolint:errcheck // it may be gone
}

// readPostgres reads PostgreSQL's messages without TLS: the first has a length and
// no type. A simple query and a Sync are answered at once.
func readPostgres() reader {
	started := false
	return func(in *bufio.Reader) (message, error) {
		head := 5
		if !started {
			head, started = 4, true
		}
		text, err := in.Peek(head)
		if err != nil {
			return message{}, err
		}
		kind, length := text[0], int(binary.BigEndian.Uint32(text[head-4:]))
		m := message{text: make([]byte, length+head-4), answered: head == 5 && (kind == 'Q' || kind == 'S')}
		_, err = io.ReadFull(in, m.text)
		m.commits = m.answered && bytes.HasPrefix(m.text[head:], []byte("commit"))
		return m, err
	}
}
