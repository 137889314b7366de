package main

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestReadersTakeMessagesApart(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		read reader
		text []string
		want []message
	}{
		"PostgreSQL": {
			readPostgres(),
			[]string{"\x00\x00\x00\x08\x00\x03\x00\x00", "P\x00\x00\x00\x06ab", "S\x00\x00\x00\x04", "Q\x00\x00\x00\x0bcommit\x00"},
			[]message{{}, {}, {answered: true}, {answered: true, commits: true}},
		},
		"Redis": {
			readRedis(),
			[]string{"*1\r\n$4\r\nPING\r\n", "*2\r\n$3\r\nGET\r\n$2\r\n\r\n\r\n"},
			[]message{{answered: true}, {answered: true}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := bufio.NewReader(strings.NewReader(strings.Join(tt.text, "")))
			for i, want := range tt.want {
				got, err := tt.read(in)
				if err != nil || string(got.text) != tt.text[i] || got.answered != want.answered || got.commits != want.commits {
					t.Errorf("message %d is %q, answered: %t, commits: %t: %v", i, got.text, got.answered, got.commits, err)
				}
			}
			if _, err := tt.read(in); err == nil {
				t.Error("there is one more message")
			}
		})
	}
}

// TestProxyCutsWhereItIsArmed has a server that tells what arrives, and a client that
// sends three commands.
func TestProxyCutsWhereItIsArmed(t *testing.T) {
	t.Parallel()
	const command = "*1\r\n$4\r\nPING\r\n"
	for how, want := range map[manner]int{unsent: 1, unanswered: 2, late: 2} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		arrived := make(chan string, 1)
		go func() {
			var all strings.Builder
			conn, err := l.Accept()
			for text := make([]byte, len(command)); err == nil; {
				if _, err = io.ReadFull(conn, text); err == nil {
					all.Write(text)
					_, err = conn.Write([]byte("+PONG\r\n"))
				}
			}
			arrived <- all.String()
		}()
		p, err := newProxy(l.Addr().String(), readRedis)
		if err != nil {
			t.Fatal(err)
		}
		p.arm(cut{how: how, nth: 2})
		answers := ask(t, p.addr(), command)
		if got := <-arrived; got != strings.Repeat(command, want) || answers != 1 || !p.disarm() {
			t.Errorf("%s: %q arrived, %d were answered", how, got, answers)
		}
		if err := p.close(); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// ask sends commands one after another, and returns how many were answered.
func ask(t *testing.T, addr, command string) (answers int) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for range 3 {
		if _, err := io.WriteString(conn, command); err != nil {
			break
		}
		if _, err := io.ReadFull(conn, make([]byte, len("+PONG\r\n"))); err != nil {
			break
		}
		answers++
	}
	return answers
}
