package clustertest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/jotgate/jotgate/internal/needs"
)

// line is a connection that can be cut, slowed and stalled: the network between
// the replicas and what they depend on.
type line struct{ proxy *toxiproxy.Proxy }

// newLine returns a line to addr.
func newLine(t *testing.T, name, addr string) *line {
	t.Helper()
	zerolog.SetGlobalLevel(zerolog.Disabled)
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	l := &line{toxiproxy.NewProxy(server, name, freeAddr(t), addr)}
	check(t, l.proxy.Start())
	t.Cleanup(l.proxy.Stop)
	return l
}

// addr is where the line begins.
func (l *line) addr() string { return l.proxy.Listen }

// cut ends all connections and refuses new ones.
func (l *line) cut() { l.proxy.Stop() }

func (l *line) mend(t *testing.T) {
	t.Helper()
	check(t, l.proxy.Start())
}

// leadTo ends all connections and takes new ones to addr, as a virtual address
// does that moves to another machine.
func (l *line) leadTo(t *testing.T, addr string) {
	t.Helper()
	l.cut()
	check(t, l.proxy.Update(&toxiproxy.Proxy{Listen: l.proxy.Listen, Upstream: addr, Enabled: true}))
}

// poison adds a toxic to what comes back along the line.
func (l *line) poison(t *testing.T, kind, attribute string, value int) {
	t.Helper()
	_, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(
		`{"name":%q,"type":%q,"stream":"downstream","attributes":{%q:%d}}`, kind, kind, attribute, value)))
	check(t, err)
}

func (l *line) cure(t *testing.T, kind string) {
	t.Helper()
	check(t, l.proxy.Toxics.RemoveToxic(t.Context(), kind))
}

// startNginx runs the configuration that is shipped for a cluster on addr before
// the replicas.
func startNginx(t *testing.T, addr string, replicas []*replica) {
	t.Helper()
	path := needs.Program(t, "nginx", "nginx", "/usr/sbin/nginx")
	shipped, err := os.ReadFile("../../configs/nginx-cluster.conf")
	check(t, err)
	dir := t.TempDir()
	changes := []string{"listen 8080;", "listen " + addr + ";", " /tmp/", " " + dir + "/"}
	for i, r := range replicas {
		changes = append(changes, fmt.Sprintf("server jotgate-%d:8080", i+1), "server "+r.addr)
	}
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(string(shipped), changes[i]) {
			t.Fatalf("configs/nginx-cluster.conf has no %q", changes[i])
		}
	}
	conf := filepath.Join(dir, "nginx.conf")
	check(t, os.WriteFile(conf, []byte(strings.NewReplacer(changes...).Replace(string(shipped))), 0o600))
	// One process, so that it ends with the test.
	p := start(t, program{path: path, parting: syscall.SIGKILL, args: []string{
		"-p", dir, "-c", conf, "-e", "stderr", "-g", "daemon off; master_process off;",
	}})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("nginx: %s", p.log.lines("upstream", 20))
		}
	})
	eventually(t, "nginx listens", func() error {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}
