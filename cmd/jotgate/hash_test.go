package main

import (
	"bufio"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// TestServeHashesInProcesses holds that a server asks for a process to hash, and lets
// people in where it gets none.
func TestServeHashesInProcesses(t *testing.T) {
	var asked atomic.Int64
	_, url := serveBy(t, func(arg string) *exec.Cmd {
		if arg == hashPasswords {
			asked.Add(1)
		}
		return exec.Command("/nowhere")
	})
	body := strings.NewReader(`{"username":"ada","password":"correct horse battery staple"}`)
	res, err := http.Post(url+"/v1/users", "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusCreated || asked.Load() == 0 {
		t.Errorf("register: %d, %v, asked for %d processes", res.StatusCode, err, asked.Load())
	}
}

// TestHashingProcess holds that a process that hashes has no secret of the environment,
// outlives the signals that its server drains after, and not the server.
func TestHashingProcess(t *testing.T) {
	t.Setenv("JOTGATE_MASTER_KEY", "secret")
	cmd := again(hashPasswords)
	cmd.Args[0] = "jotgate" // by which the tests' program is the program
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if secret := func(s string) bool { return strings.HasPrefix(s, "JOTGATE_") }; slices.ContainsFunc(cmd.Environ(), secret) {
		t.Error("it has the secrets of the environment")
	}
	answers := bufio.NewReader(out)
	for _, sig := range []syscall.Signal{0, syscall.SIGINT, syscall.SIGTERM} {
		if err := cmd.Process.Signal(sig); err != nil {
			t.Errorf("%v: %v", sig, err)
		}
		const task = `{"Plain":"eA==","Params":{"MemoryKiB":8,"Passes":1,"Lanes":1},"Salt":"AAAAAAAAAAA="}` + "\n"
		if _, err := io.WriteString(in, task); err != nil {
			t.Errorf("after %v: %v", sig, err)
		}
		if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, `"Tag"`) {
			t.Errorf("after %v: %q, %v", sig, line, err)
		}
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("when its server has gone: %v", err)
	}
}
