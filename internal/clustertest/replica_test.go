package clustertest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// release is one build of the program.
type release struct{ version, binary string }

// build makes the binary as it is shipped, under a version of its own.
func build(t *testing.T, version string) release {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jotgate-"+version)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w -X main.version="+version, "-o", path, "../../cmd/jotgate")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return release{version, path}
}

// replica is one jotgate. It keeps its addresses when its process is another one.
type replica struct {
	addr, ops string
	environ   []string
	process   *process
}

// newReplica returns a replica that is not started. environ is what all replicas share.
func newReplica(t *testing.T, environ []string) *replica {
	t.Helper()
	r := &replica{addr: freeAddr(t), ops: freeAddr(t)}
	r.environ = append([]string{"JOTGATE_HTTP_ADDR=" + r.addr, "JOTGATE_OPS_ADDR=" + r.ops}, environ...)
	return r
}

func (r *replica) start(t *testing.T, binary string) {
	t.Helper()
	p := program{path: binary, args: []string{"serve"}, environ: r.environ, parting: syscall.SIGKILL}
	if r.process != nil {
		p.log = r.process.log
	}
	r.process = start(t, p)
}

// waitReady waits until the replica says that it is ready, on both listeners.
func (r *replica) waitReady(t *testing.T) {
	t.Helper()
	eventually(t, "replica "+r.addr+" is ready", func() error {
		if !r.process.running() {
			t.Fatalf("replica %s has ended: %s", r.addr, r.process.log.lines("", 20))
		}
		return r.ready(t)
	})
}

func (r *replica) ready(t *testing.T) error {
	t.Helper()
	for _, addr := range []string{r.addr, r.ops} {
		if status, body, err := get(t, "http://"+addr+"/readyz"); err != nil || status != http.StatusOK {
			return fmt.Errorf("readyz of %s: %d %s %w", addr, status, body, err)
		}
	}
	return nil
}

// version is what the replica says it was built from.
func (r *replica) version(t *testing.T) string {
	t.Helper()
	_, metrics, err := get(t, "http://"+r.ops+"/metrics")
	check(t, err)
	_, rest, _ := strings.Cut(metrics, "jotgate_build_info{")
	_, rest, _ = strings.Cut(rest, `version="`)
	version, _, _ := strings.Cut(rest, `"`)
	return version
}

// command runs the binary as an operator does beside the replica, and reads the
// JSON that it prints.
func (r *replica) command(t *testing.T, binary string, answer any, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = r.environ
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("jotgate %s: %v\n%s", strings.Join(args, " "), err, said.String())
	}
	check(t, json.Unmarshal(out, answer))
}

func get(t *testing.T, url string) (status int, body string, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	check(t, err)
	req.Close = true
	client := http.Client{Timeout: bound}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	text, err := io.ReadAll(res.Body)
	_ = res.Body.Close() // read to its end
	return res.StatusCode, string(text), err
}
