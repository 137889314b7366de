package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/jotgate/jotgate/internal/needs"
	"github.com/jotgate/jotgate/internal/pgtest"
)

// TestMain lets the test binary be the program: scripts run it as "jotgate".
func TestMain(m *testing.M) {
	testscript.Main(pgtest.Tests{M: m}, map[string]func(){
		"jotgate": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			context.AfterFunc(ctx, stop)
			os.Exit(run(ctx, os.Args[1:], process{in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ(), again: again}))
		},
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/e2e",
		RequireExplicitExec: true,
		Setup:               setup,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"ready": ready, "http": callHTTP, "login": login, "mode": mode, "stopped": stopped, "capture": capture,
			"terminate": terminate, "client": clientToken,
		},
	})
}

// setup gives a script two free ports, a cheap hash and an empty home.
func setup(env *testscript.Env) error {
	ports, err := freePorts(2)
	if err != nil {
		return err
	}
	env.Setenv("JOTGATE_HTTP_ADDR", "127.0.0.1:"+ports[0])
	env.Setenv("JOTGATE_OPS_ADDR", "127.0.0.1:"+ports[1])
	env.Setenv("JOTGATE_PUBLIC_URL", "http://localhost:"+ports[0])
	env.Setenv("JOTGATE_PASSWORD_MEMORY_KIB", "64")
	env.Setenv("JOTGATE_PASSWORD_PASSES", "1")
	env.Setenv("URL", "http://127.0.0.1:"+ports[0])
	env.Setenv("OPS", "http://127.0.0.1:"+ports[1])
	keys, err := filepath.Abs("../../testdata/keys")
	env.Setenv("KEYS", keys)
	return err
}

func freePorts(n int) ([]string, error) {
	var ports []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, l.Close()) }()
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}

const patience = 15 * time.Second

// ready waits until the server of the script takes requests.
func ready(ts *testscript.TestScript, _ bool, _ []string) {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		res, err := http.Get(ts.Getenv("URL") + "/readyz")
		if err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusOK {
			return
		}
	}
	ts.Fatalf("the server is not ready")
}

// stopped waits until nobody listens any more.
func stopped(ts *testscript.TestScript, _ bool, _ []string) {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, err := http.Get(ts.Getenv("URL") + "/healthz"); err != nil { //nolint:bodyclose // there is none when it fails, and else the process ends
			return
		}
	}
	ts.Fatalf("the server still answers")
}

// callHTTP is "http STATUS METHOD PATH [BODY]": one request, with the bearer token
// in $TOKEN if there is one. The answer is left in the file "answer".
func callHTTP(ts *testscript.TestScript, _ bool, args []string) {
	body := ""
	if len(args) == 4 {
		body = args[3]
	}
	base := ts.Getenv("URL")
	path, operations := strings.CutPrefix(args[2], "ops:")
	if operations {
		base = ts.Getenv("OPS")
	}
	req, err := http.NewRequestWithContext(context.Background(), args[1], base+path, strings.NewReader(body))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/json")
	if token := ts.Getenv("TOKEN"); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	text, err := io.ReadAll(res.Body)
	ts.Check(errors.Join(err, res.Body.Close()))
	ts.Check(os.WriteFile(ts.MkAbs("answer"), text, 0o600))
	if strconv.Itoa(res.StatusCode) != args[0] {
		ts.Fatalf("%s %s: %d, want %s: %s", args[1], args[2], res.StatusCode, args[0], text)
	}
}

// login is "login IDENTIFIER PASSWORD": it sets $TOKEN and $REFRESH.
func login(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv("TOKEN", "")
	callHTTP(ts, false, []string{"200", "POST", "/v1/login", fmt.Sprintf(`{"identifier":%q,"password":%q}`, args[0], args[1])})
	text, err := os.ReadFile(ts.MkAbs("answer"))
	ts.Check(err)
	for env, member := range map[string]string{"TOKEN": "access_token", "REFRESH": "refresh_token"} {
		ts.Setenv(env, regexp.MustCompile(`"` + member + `":"([^"]+)"`).FindStringSubmatch(string(text))[1])
	}
}

// clientToken is "client ID SECRET": it sets $TOKEN to a token of that client.
func clientToken(ts *testscript.TestScript, _ bool, args []string) {
	res, err := http.PostForm(ts.Getenv("URL")+"/oauth/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {args[0]}, "client_secret": {args[1]},
	})
	ts.Check(err)
	var got struct {
		Token string `json:"access_token"`
	}
	ts.Check(errors.Join(json.NewDecoder(res.Body).Decode(&got), res.Body.Close()))
	ts.Setenv("TOKEN", got.Token)
}

// capture is "capture NAME REGEXP FILE": it sets $NAME to the first group.
func capture(ts *testscript.TestScript, _ bool, args []string) {
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile(args[2]))
	if found == nil {
		ts.Fatalf("%s has no %s", args[2], args[1])
	}
	ts.Setenv(args[0], found[1])
}

// terminate sends SIGTERM, which testscript's kill does not know, to the last
// program that was started in the background.
func terminate(ts *testscript.TestScript, _ bool, _ []string) {
	running := ts.BackgroundCmds()
	ts.Check(running[len(running)-1].Process.Signal(syscall.SIGTERM))
}

// mode is "mode OCTAL FILE".
func mode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// TestREADME executes the transcripts of README, as they are written, against
// the program: $ is a command of one shell, … stands for anything.
func TestREADME(t *testing.T) {
	for _, program := range []string{"bash", "curl"} {
		needs.Program(t, program, program)
	}
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 2 {
		t.Fatalf("README has %d transcripts, want those of bearer and of cookies", len(blocks))
	}
	dir, url := serve(t)
	var script strings.Builder
	var wants []string
	for _, b := range blocks {
		for line := range strings.Lines(b[1]) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				fmt.Fprintf(&script, "%secho; echo %q\n", command, mark)
				wants = append(wants, "")
				continue
			}
			wants[len(wants)-1] += line
		}
	}
	commands := strings.NewReplacer("http://localhost:8080", url, "localhost:8080", strings.TrimPrefix(url, "http://")).Replace(script.String())
	cmd := exec.CommandContext(t.Context(), "bash", "-c", commands)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "JOTGATE_PUBLIC_URL="+url)
	asProgram(t, filepath.Join(dir, "bin"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	gots := strings.Split(string(out), mark+"\n")
	for i, want := range wants {
		pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(want)), "…", ".*")
		if got := strings.TrimSpace(gots[i]); !regexp.MustCompile("^" + pattern + "$").MatchString(got) {
			t.Errorf("command %d answers\n%s\nand README says\n%s", i+1, got, want)
		}
	}
}

// asProgram puts this test binary into dir under the name by which it is the
// program.
func asProgram(t *testing.T, dir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Symlink(self, filepath.Join(dir, "jotgate"))); err != nil {
		t.Fatal(err)
	}
}

const mark = "--next--"

// serve runs the program in an empty directory until the test is over.
func serve(t *testing.T) (dir, url string) {
	t.Helper()
	return serveBy(t, nil)
}

// serveBy is serve for a program that can start itself.
func serveBy(t *testing.T, again func(arg string) *exec.Cmd) (dir, url string) {
	t.Helper()
	dir = t.TempDir()
	p, url := newServing(t, dir)
	p.again = again
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	started, out := make(chan struct{}), &notifying{}
	out.first = func() { close(started) }
	p.out = out
	running.Go(func() {
		code := run(ctx, []string{"serve"}, p)
		if code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	select {
	case <-started:
	case <-time.After(patience):
		t.Fatal("the server does not start")
	}
	return dir, url
}

// newServing is what a server has of the world, with its data in dir, and where it listens.
func newServing(t *testing.T, dir string) (p process, url string) {
	t.Helper()
	ports, err := freePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	url = "http://localhost:" + ports[0]
	return process{in: strings.NewReader(""), out: io.Discard, err: io.Discard, environ: []string{
		"JOTGATE_HTTP_ADDR=127.0.0.1:" + ports[0], "JOTGATE_OPS_ADDR=127.0.0.1:" + ports[1], "JOTGATE_PUBLIC_URL=" + url,
		"JOTGATE_DATA_DIR=" + filepath.Join(dir, "data"), "JOTGATE_PASSWORD_MEMORY_KIB=64", "JOTGATE_PASSWORD_PASSES=1",
	}}, url
}

// notifying calls first at the first write.
type notifying struct {
	once  sync.Once
	first func()
}

func (n *notifying) Write(p []byte) (int, error) {
	n.once.Do(n.first)
	return len(p), nil
}
