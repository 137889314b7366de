package clustertest

import (
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/needs"
)

// startRedis runs a Redis and returns the line to it.
func startRedis(t *testing.T) *line {
	t.Helper()
	path := needs.Program(t, "redis", "redis-server", "valkey-server")
	addr := freeAddr(t)
	_, port, err := net.SplitHostPort(addr)
	check(t, err)
	start(t, program{path: path, args: []string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"}, parting: syscall.SIGKILL})
	eventually(t, "Redis listens", func() error {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	return newLine(t, "redis", addr)
}

// redisIsAway, then slow, then silent: nobody notices, because each replica goes on by
// itself.
func (s *site) redisIsAway(t *testing.T) {
	t.Helper()
	s.calm(t, "Redis is cut off", func() {
		s.redis.cut()
		time.Sleep(2 * time.Second)
		s.redis.mend(t)
	})
	for _, trouble := range []struct {
		name, kind, attribute string
		value                 int
	}{
		{"Redis is 300 ms away", "latency", "latency", 300},
		{"Redis is a black hole", "timeout", "timeout", 0},
	} {
		s.calm(t, trouble.name, func() {
			s.redis.poison(t, trouble.kind, trouble.attribute, trouble.value)
			time.Sleep(3 * time.Second)
			s.redis.cure(t, trouble.kind)
		})
	}
	s.waitWell(t, "Redis was away")
}
