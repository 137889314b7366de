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

// startNginx runs nginx on addr before the replicas.
func startNginx(t *testing.T, addr string, replicas []*replica) *process {
	t.Helper()
	path := needs.Program(t, "nginx", "nginx", "/usr/sbin/nginx")
	dir := t.TempDir()
	var servers strings.Builder
	for _, r := range replicas {
		fmt.Fprintf(&servers, "server %s max_fails=1 fail_timeout=1s;\n", r.addr)
	}
	conf := filepath.Join(dir, "nginx.conf")
	check(t, os.WriteFile(conf, []byte(strings.NewReplacer("@dir", dir, "@addr", addr, "@servers", servers.String()).Replace(nginxConf)), 0o600))
	p := start(t, program{path: path, args: []string{"-p", dir, "-c", conf, "-e", "stderr"}, parting: syscall.SIGKILL})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("nginx: %s", p.log.lines("upstream", 300))
		}
	})
	eventually(t, "nginx listens", func() error {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	return p
}

// nginxConf hands a request to another replica if the first one did not get it,
// or if doing it twice is doing it once. It waits for an answer longer than a
// replica takes for one.
const nginxConf = `
daemon off;
master_process off;
pid @dir/pid;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path @dir/body;
  proxy_temp_path @dir/proxy;
  fastcgi_temp_path @dir/fastcgi;
  uwsgi_temp_path @dir/uwsgi;
  scgi_temp_path @dir/scgi;
  upstream jotgate {
    @servers
    keepalive 16;
  }
  server {
    listen @addr;
    keepalive_requests 1000000;
    location / {
      proxy_pass http://jotgate;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_connect_timeout 2s;
      proxy_read_timeout 18s;
      proxy_next_upstream error timeout;
      proxy_next_upstream_tries 3;
    }
  }
}
`
