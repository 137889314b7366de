package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// load is what came of asking for a while over many connections.
type load struct {
	rate           float64 // answers a second
	p50, p99, most time.Duration
	took           []time.Duration
	length         time.Duration
}

// with is what both came to together.
func (l load) with(other load) load {
	return summary(append(l.took, other.took...)).within(l.length + other.length)
}

// within is l with the time in which all its answers came.
func (l load) within(length time.Duration) load {
	l.length, l.rate = length, float64(len(l.took))/length.Seconds()
	return l
}

// ask is one worker's next request, and what it makes of the answer. It is done when
// there is no next one.
type ask interface {
	next() []byte
	got(status int, body []byte) error
}

// fire sends requests for a while over one connection a worker, each its next one
// when the last is answered.
func fire(ctx context.Context, addr string, length time.Duration, workers []ask) (load, error) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	return drive(ctx, addr, workers)
}

// drive does so until the workers are done or ctx ends.
func drive(ctx context.Context, addr string, workers []ask) (load, error) {
	var mu sync.Mutex
	var all []time.Duration
	var errs []error
	var wg sync.WaitGroup
	begin := time.Now()
	for _, w := range workers {
		wg.Go(func() {
			took, err := work(ctx, addr, w)
			mu.Lock()
			defer mu.Unlock()
			all, errs = append(all, took...), append(errs, err)
		})
	}
	wg.Wait()
	elapsed := time.Since(begin)
	if err := errors.Join(errs...); err != nil {
		return load{}, err
	}
	if len(all) == 0 {
		return load{}, errors.New("no answer in time")
	}
	return summary(all).within(elapsed), nil
}

func summary(took []time.Duration) load {
	slices.Sort(took)
	return load{p50: took[len(took)/2], p99: took[len(took)*99/100], most: took[len(took)-1], took: took}
}

func work(ctx context.Context, addr string, w ask) (took []time.Duration, err error) {
	c := &client{addr: addr}
	defer func() { err = errors.Join(err, c.close()) }()
	for ctx.Err() == nil {
		text := w.next()
		if text == nil {
			break
		}
		begin := time.Now()
		status, body, err := c.do(text)
		if err != nil {
			return nil, err
		}
		took = append(took, time.Since(begin))
		if err := w.got(status, body); err != nil {
			return nil, err
		}
	}
	return took, nil
}

// client is one connection, made anew when the server has closed it.
type client struct {
	addr string
	conn net.Conn
	r    *bufio.Reader
}

func (c *client) do(text []byte) (status int, body []byte, err error) {
	if c.conn == nil {
		if c.conn, err = net.Dial("tcp", c.addr); err != nil { //nolint:noctx // loopback
			return 0, nil, err
		}
		c.r = bufio.NewReaderSize(c.conn, 16<<10)
	}
	if _, err := c.conn.Write(text); err != nil {
		return 0, nil, err
	}
	status, body, last, err := answer(c.r)
	if last && err == nil {
		err = c.close()
	}
	return status, body, err
}

func (c *client) close() error {
	if c.conn == nil {
		return nil
	}
	err := c.conn.Close()
	c.conn = nil
	return err
}

// answer reads one HTTP/1.1 answer with a Content-Length, or with no body, and tells
// whether it is the last on its connection.
func answer(r *bufio.Reader) (status int, body []byte, last bool, err error) {
	length := 0
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, nil, false, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if first {
			if status, err = statusOf(line); err != nil {
				return 0, nil, false, err
			}
			continue
		}
		if len(line) == 0 {
			body = make([]byte, length)
			_, err := io.ReadFull(r, body)
			return status, body, last, err
		}
		switch name, value, _ := bytes.Cut(line, []byte(": ")); {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, nil, false, err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			return 0, nil, false, fmt.Errorf("an answer in the transfer encoding %s", value)
		case bytes.EqualFold(name, []byte("Connection")):
			last = bytes.EqualFold(value, []byte("close"))
		}
	}
}

func statusOf(line []byte) (int, error) {
	rest, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	if !ok || len(rest) < 3 {
		return 0, fmt.Errorf("not an answer of HTTP/1.1: %q", line)
	}
	return strconv.Atoi(string(rest[:3]))
}

func request(method, path, body string, headers ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\n", method, path)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	return []byte(b.String())
}

// same asks the same again and again.
type same struct {
	request []byte
	status  int
}

func (s same) next() []byte { return s.request }

func (s same) got(status int, body []byte) error {
	if status != s.status {
		return fmt.Errorf("status %d, want %d: %s", status, s.status, body)
	}
	return nil
}

func times[T ask](n int, a T) []ask {
	workers := make([]ask, n)
	for i := range workers {
		workers[i] = a
	}
	return workers
}

// once sends one request on a connection of its own.
func once(addr string, text []byte) (status int, body []byte, err error) {
	c := &client{addr: addr}
	defer func() { err = errors.Join(err, c.close()) }()
	return c.do(text)
}
