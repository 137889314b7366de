package proxytest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/apptest"
	"github.com/jotgate/jotgate/internal/needs"
)

// proxy is nginx with the shipped configuration, jotgate and an application
// behind it.
type proxy struct {
	url    string // https://localhost:<port>, jotgate's issuer too
	client *http.Client
	app    *application
}

// application answers 200 and records what reaches it.
type application struct {
	mu   sync.Mutex
	seen []seen
}

type seen struct {
	Method, URI, Body string
	Header            http.Header
}

func (a *application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	a.mu.Lock()
	a.seen = append(a.seen, seen{r.Method, r.RequestURI, string(body), r.Header.Clone()})
	a.mu.Unlock()
	if r.Header.Get("Upgrade") != "" {
		openSocket(w)
		return
	}
	if status := r.URL.Query().Get("answer"); status != "" {
		w.Header().Set("X-From", "application")
		w.WriteHeader(map[string]int{"401": 401, "403": 403, "500": 500}[status])
		return
	}
	w.WriteHeader(http.StatusOK)
}

// openSocket answers a WebSocket's handshake, says something and goes.
func openSocket(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nfrom the socket")
	if errors.Join(err, conn.Close()) != nil {
		return // the client sees half of it
	}
}

// taken returns what reached the application since it was last asked.
func (a *application) taken() []seen {
	a.mu.Lock()
	defer a.mu.Unlock()
	taken := a.seen
	a.seen = nil
	return taken
}

// startNginx runs nginx with jotgate behind it.
func startNginx(t *testing.T) *proxy {
	t.Helper()
	return nginxBefore(t, func(url string) string {
		return apptest.Start(t, "JOTGATE_PUBLIC_URL="+url, "JOTGATE_TRUSTED_PROXIES=127.0.0.1").Addr
	})
}

// nginxBefore runs nginx with whatever jotgate returns the address of, for the URL
// of the proxy.
func nginxBefore(t *testing.T, jotgate func(url string) string) *proxy {
	t.Helper()
	nginx := needs.Program(t, "nginx", "nginx", "/usr/sbin/nginx")
	addr := apptest.FreeAddr(t)
	_, port, err := net.SplitHostPort(addr)
	check(t, err)
	p := &proxy{url: "https://localhost:" + port, app: &application{}}
	upstream := httptest.NewServer(p.app)
	t.Cleanup(upstream.Close)

	dir := t.TempDir()
	certificate := makeCertificate(t, dir)
	p.client = &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: certificate}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(p.client.CloseIdleConnections)
	shipped, err := os.ReadFile("../../configs/nginx.conf")
	check(t, err)
	text := string(shipped)
	for old, by := range map[string]string{
		"listen 443 ssl;": "listen " + addr + " ssl;", "server 127.0.0.1:8080;": "server " + jotgate(p.url) + ";",
		"server 127.0.0.1:3000;": "server " + upstream.Listener.Addr().String() + ";", "app.example.com;": "localhost;",
		"/etc/ssl/certs/app.example.com.pem": dir + "/cert.pem", "/etc/ssl/private/app.example.com.key": dir + "/key.pem",
	} {
		if strings.Count(text, old) != 1 {
			t.Fatalf("%q is not once in configs/nginx.conf", old)
		}
		text = strings.Replace(text, old, by, 1)
	}
	check(t, os.WriteFile(filepath.Join(dir, "jotgate.conf"), []byte(text), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(around(dir)), 0o600))
	run(t, dir, addr, nginx)
	return p
}

// around is what Debian's nginx.conf is around a file in conf.d, in dir and as one
// process.
func around(dir string) string {
	conf := "daemon off;\nmaster_process off;\npid " + dir + "/pid;\nevents {}\nhttp {\naccess_log off;\ninclude " + dir + "/jotgate.conf;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		conf += kind + "_temp_path " + dir + "/" + kind + ";\n"
	}
	return conf + "}\n"
}

func run(t *testing.T, dir, addr, nginx string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, nginx, "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr")
	var log bytes.Buffer
	cmd.Stderr = &log
	dieWithParent(cmd)
	check(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // killed below
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		if t.Failed() {
			t.Logf("nginx: %s", log.String())
		}
	})
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", addr); err == nil {
			check(t, conn.Close())
			return
		}
		select {
		case <-ended:
			t.Fatalf("nginx ended: %s", log.String())
		default:
		}
	}
	t.Fatal("nginx does not listen")
}

// makeCertificate writes a certificate for localhost into dir and returns the pool
// that trusts it.
func makeCertificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	check(t, os.WriteFile(filepath.Join(dir, "cert.pem"), certificate, 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	return pool
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

type answer struct {
	*http.Response
	body string
}

// do makes one request through the proxy. Headers are "Name: value", and go out in
// the case in which they are written.
func (p *proxy) do(t *testing.T, method, path, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.url+path, strings.NewReader(body))
	check(t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header[name] = append(req.Header[name], value)
	}
	res, err := p.client.Do(req)
	check(t, err)
	text, err := io.ReadAll(res.Body)
	check(t, err)
	check(t, res.Body.Close())
	return answer{res, string(text)}
}

// want checks the status, and the code of the problem document if there is to be one.
func (a answer) want(t *testing.T, status int, code string) answer {
	t.Helper()
	var problem struct {
		Code   string
		Status int
	}
	if code != "" {
		if err := json.Unmarshal([]byte(a.body), &problem); err != nil || problem.Status != status {
			t.Errorf("the body %q is no problem of status %d", a.body, status)
		}
	}
	if a.StatusCode != status || problem.Code != code {
		t.Errorf("%s %s = %d %q, want %d %q", a.Request.Method, a.Request.URL.Path, a.StatusCode, problem.Code, status, code)
	}
	return a
}

// signedIn is one user's two ways in.
type signedIn struct{ userID, bearer, cookie, bearerToken, cookieToken string }

// signIn signs a user in through the proxy.
func (p *proxy) signIn(t *testing.T, username string) signedIn {
	t.Helper()
	login := `{"identifier":"` + username + `","password":"` + apptest.Password + `"`
	p.do(t, "POST", "/v1/users", `{"username":"`+username+`","password":"`+apptest.Password+`"}`, "Content-Type: application/json").want(t, 201, "")
	var tokens apptest.Tokens
	res := p.do(t, "POST", "/v1/login", login+"}", "Content-Type: application/json").want(t, 200, "")
	check(t, json.Unmarshal([]byte(res.body), &tokens))
	s := signedIn{userID: tokens.User.ID, bearer: "Authorization: Bearer " + tokens.Access, bearerToken: tokens.Access}
	res = p.do(t, "POST", "/v1/login", login+`,"mode":"cookie"}`, "Content-Type: application/json", "Origin: "+p.url).want(t, 200, "")
	for _, c := range res.Cookies() {
		if strings.HasSuffix(c.Name, "-access") {
			s.cookie, s.cookieToken = "Cookie: "+c.Name+"="+c.Value, c.Value
		}
	}
	if s.cookie == "" || s.userID == "" {
		t.Fatalf("signed in as %+v", s)
	}
	p.app.taken()
	return s
}
