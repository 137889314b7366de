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
	rate     float64 // answers a second
	p50, p99 time.Duration
}

// ask is one worker's next request, and what it makes of the answer.
type ask interface {
	next() []byte
	got(status int, body []byte) error
}

// fire sends requests for a while over one connection a worker, each its next one
// when the last is answered.
func fire(ctx context.Context, addr string, length time.Duration, workers []ask) (load, error) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
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
	slices.Sort(all)
	return load{
		rate: float64(len(all)) / elapsed.Seconds(), p50: all[len(all)/2], p99: all[len(all)*99/100],
	}, nil
}

func work(ctx context.Context, addr string, w ask) (took []time.Duration, err error) {
	conn, err := net.Dial("tcp", addr) //nolint:noctx // loopback
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	r := bufio.NewReaderSize(conn, 16<<10)
	for ctx.Err() == nil {
		begin := time.Now()
		if _, err := conn.Write(w.next()); err != nil {
			return nil, err
		}
		status, body, err := answer(r)
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

// answer reads one HTTP/1.1 answer with a Content-Length, or with no body.
func answer(r *bufio.Reader) (status int, body []byte, err error) {
	length := 0
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case first:
			if status, err = strconv.Atoi(string(line[len("HTTP/1.1 ") : len("HTTP/1.1 ")+3])); err != nil {
				return 0, nil, err
			}
		case len(line) == 0:
			body = make([]byte, length)
			_, err := io.ReadFull(r, body)
			return status, body, err
		case bytes.HasPrefix(line, []byte("Content-Length: ")):
			if length, err = strconv.Atoi(string(line[len("Content-Length: "):])); err != nil {
				return 0, nil, err
			}
		}
	}
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
	conn, err := net.Dial("tcp", addr) //nolint:noctx // loopback
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.Write(text); err != nil {
		return 0, nil, err
	}
	return answer(bufio.NewReader(conn))
}
