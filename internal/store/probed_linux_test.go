package store

import (
	"errors"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// TestConnectionsAreProbed holds that the connections that the store makes have what
// [postgresDialer] gives them: eleven seconds until a silent host is gone.
func TestConnectionsAreProbed(t *testing.T) {
	t.Parallel()
	conf, err := postgresConfig("postgres://postgres@example.com/postgres")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := conf.DialFunc(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for option, want := range map[int]int{unix.TCP_KEEPIDLE: 5, unix.TCP_KEEPINTVL: 2, unix.TCP_KEEPCNT: 3} {
		var got int
		var unread error
		err := raw.Control(func(fd uintptr) { got, unread = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, option) })
		if err := errors.Join(err, unread); err != nil || got != want {
			t.Errorf("option %d = %d, %v; want %d", option, got, err, want)
		}
	}
	if err := errors.Join(conn.Close(), l.Close()); err != nil {
		t.Error(err)
	}
}
