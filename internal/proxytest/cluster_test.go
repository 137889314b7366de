package proxytest

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/apptest"
	"github.com/jotgate/jotgate/internal/needs"
)

// replica answers as the test wants, and counts.
type replica struct {
	*httptest.Server
	asked atomic.Int64
}

func startReplica(t *testing.T, h http.HandlerFunc) *replica {
	t.Helper()
	r := &replica{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.asked.Add(1)
		h(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *replica) addr() string { return r.Listener.Addr().String() }

// hangUp reads the request and answers nothing.
func hangUp(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
		_ = conn.Close() // that is all there is to do
	}
}

// startCluster runs nginx with the shipped configuration before three addresses and
// returns its URL.
func startCluster(t *testing.T, replicas ...string) string {
	t.Helper()
	nginx := needs.Program(t, "nginx", "nginx", "/usr/sbin/nginx")
	shipped, err := os.ReadFile("../../configs/nginx-cluster.conf")
	check(t, err)
	addr, dir := apptest.FreeAddr(t), t.TempDir()
	changes := map[string]string{
		"listen 8080;": "listen " + addr + ";", "error_log /dev/stderr warn;": "error_log stderr warn;",
		"worker_processes auto;": "daemon off; master_process off;",
	}
	for i, replica := range replicas {
		changes["jotgate-"+strconv.Itoa(i+1)+":8080"] = replica
	}
	text := string(shipped)
	for old, by := range changes {
		if strings.Count(text, old) != 1 {
			t.Fatalf("%q is not once in configs/nginx-cluster.conf", old)
		}
		text = strings.Replace(text, old, by, 1)
	}
	text = strings.ReplaceAll(text, " /tmp/", " "+dir+"/")
	check(t, os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(text), 0o600))
	run(t, dir, addr, nginx)
	return "http://" + addr
}

func ask(t *testing.T, method, url string, headers ...string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader("{}"))
	check(t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	check(t, err)
	text, err := io.ReadAll(res.Body)
	check(t, err)
	check(t, res.Body.Close())
	return res.StatusCode, string(text)
}

func TestClusterSendsNoWriteTwice(t *testing.T) {
	r := startReplica(t, hangUp)
	url := startCluster(t, r.addr(), r.addr(), r.addr())
	for _, method := range []string{"POST", "PATCH"} {
		before := r.asked.Load()
		if status, _ := ask(t, method, url+"/v1/refresh"); status != http.StatusBadGateway {
			t.Errorf("%s = %d", method, status)
		}
		if n := r.asked.Load() - before; n != 1 {
			t.Errorf("%s reached %d replicas", method, n)
		}
	}
}

func TestClusterAsksTheNextReplica(t *testing.T) {
	dead, well := startReplica(t, hangUp), startReplica(t, func(http.ResponseWriter, *http.Request) {})
	url := startCluster(t, dead.addr(), dead.addr(), well.addr())
	for range 5 {
		if status, _ := ask(t, "GET", url+"/v1/me"); status != http.StatusOK {
			t.Errorf("GET = %d", status)
		}
	}
}

// What could not be sent at all is sent to another replica, whatever its method.
func TestClusterPassesByWhoeverIsAway(t *testing.T) {
	well := startReplica(t, func(http.ResponseWriter, *http.Request) {})
	url := startCluster(t, apptest.FreeAddr(t), apptest.FreeAddr(t), well.addr())
	for range 5 {
		if status, _ := ask(t, "POST", url+"/v1/login"); status != http.StatusOK {
			t.Errorf("POST = %d", status)
		}
	}
	if n := well.asked.Load(); n != 5 {
		t.Errorf("%d requests arrived, want 5", n)
	}
}

func TestClusterSaysWhoAsks(t *testing.T) {
	r := startReplica(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.WriteString(w, strings.Join(r.Header.Values("X-Forwarded-For"), "|")+" "+strings.Join(r.Header.Values("Forwarded"), "|")); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	url := startCluster(t, r.addr(), r.addr(), r.addr())
	for _, path := range []string{"/v1/me", "/v1/revocations"} {
		if _, body := ask(t, "GET", url+path, "X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1"); body != "127.0.0.1 " {
			t.Errorf("%s: replicas hear %q, want nginx's own word", path, body)
		}
	}
}

// A stream of revocations arrives piece by piece, and a held answer is waited for.
func TestClusterStreamsRevocations(t *testing.T) {
	read := make(chan struct{})
	r := startReplica(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 2 {
			if _, err := io.WriteString(w, "event: revocations\n"); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			<-read
		}
	})
	url := startCluster(t, r.addr(), r.addr(), r.addr())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v1/revocations", http.NoBody)
	check(t, err)
	res, err := http.DefaultClient.Do(req)
	check(t, err)
	lines := bufio.NewScanner(res.Body)
	for range 2 {
		if !lines.Scan() || lines.Text() != "event: revocations" {
			t.Fatalf("%q, %v", lines.Text(), lines.Err())
		}
		read <- struct{}{}
	}
	check(t, res.Body.Close())

	text, err := os.ReadFile("../../configs/nginx-cluster.conf")
	check(t, err)
	_, location, _ := strings.Cut(string(text), "location = /v1/revocations")
	wait := regexp.MustCompile(`proxy_read_timeout (\w+);`).FindStringSubmatch(location)
	if wait == nil {
		t.Fatal("no proxy_read_timeout")
	}
	if d, err := time.ParseDuration(wait[1]); err != nil || d <= 25*time.Second {
		t.Errorf("proxy_read_timeout = %s, %v: answers are held for 25 seconds", d, err)
	}
}
