package store

import (
	"errors"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// TestConnectionsAreProbed holds that the connections that the store makes have what
// [postgresDialer] gives them.
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
	var idle int
	err = raw.Control(func(fd uintptr) { idle, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE) })
	if err != nil || idle != 5 {
		t.Errorf("a silent host is asked after %d s, %v", idle, err)
	}
	if err := errors.Join(conn.Close(), l.Close()); err != nil {
		t.Error(err)
	}
}
