package app_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// told is an answer as it was read.
type told struct {
	status int
	closes bool
	body   string
}

// raw sends text over one connection and returns the answers to requests of these
// methods, and whether the connection ended after them.
func raw(t *testing.T, addr net.Addr, text string, methods ...string) (answers []told, ended bool) {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	for _, method := range methods {
		res, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return answers, errors.Is(err, io.ErrUnexpectedEOF)
		}
		body, err := io.ReadAll(res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, told{res.StatusCode, res.Close, string(body)})
	}
	return answers, false
}

// TestChunkedRequestIsTheLast holds that nobody can hide a request behind one whose
// length its two readers see differently (RFC 9112, section 6.1).
func TestChunkedRequestIsTheLast(t *testing.T) {
	r := start(t, newApp(t, settings(t)))
	const next = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, addr := range []net.Addr{r.API, r.Operations} {
		for head, kept := range map[string]bool{
			"Content-Length: 2\r\n\r\n{}":                                                  true,
			"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n":                                  false,
			"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n":             false,
			"Content-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n": false,
		} {
			first := "POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + head
			answers, ended := raw(t, addr, first+next, http.MethodPost, http.MethodGet)
			if len(answers) == 0 || answers[0].closes == kept || (len(answers) == 2) != kept || ended == kept {
				t.Errorf("%q: %d answers, want the connection kept: %t", head, len(answers), kept)
			}
		}
	}
}

// TestOptionsOfTheServer is answered like any other path that is none.
func TestOptionsOfTheServer(t *testing.T) {
	r := start(t, newApp(t, settings(t)))
	for _, addr := range []net.Addr{r.API, r.Operations} {
		answers, _ := raw(t, addr, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", http.MethodOptions)
		if len(answers) != 1 || answers[0].status != http.StatusNotFound || !strings.Contains(answers[0].body, "no-such-route") {
			t.Errorf("OPTIONS * = %+v", answers)
		}
	}
}
