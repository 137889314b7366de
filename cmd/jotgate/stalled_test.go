package main

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestServesWithoutAReaderOfItsLog fills the pipe that the log goes into, which nobody
// reads, and stops the server then.
func TestServesWithoutAReaderOfItsLog(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { r.Close(); w.Close() }()
	p, url := newServing(t, t.TempDir())
	p.err = w
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"serve"}, p) }()
	client := http.Client{Timeout: 5 * time.Second}
	answered := 0
	for end := time.Now().Add(patience); answered < 1500 && time.Now().Before(end); {
		res, err := client.Get(url + "/")
		if err == nil && res.Body.Close() == nil {
			answered++
		} else if answered > 0 {
			t.Errorf("after %d requests: %v", answered, err)
			break
		}
	}
	cancel()
	select {
	case code := <-ended:
		if code != 0 || answered < 1500 {
			t.Errorf("%d requests were answered, exit code %d", answered, code)
		}
	case <-time.After(patience):
		t.Fatalf("after %d requests it does not stop", answered)
	}
}

// TestLastWordsThatNobodyReads holds that a program that fails ends, even if nobody
// hears why.
func TestLastWordsThatNobodyReads(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { r.Close(); w.Close() }()
	ended := make(chan int, 1)
	go func() { ended <- run(t.Context(), []string{strings.Repeat("x", 1<<17)}, process{err: w}) }()
	select {
	case code := <-ended:
		if code != 1 {
			t.Errorf("exit code %d", code)
		}
	case <-time.After(patience):
		t.Error("it does not end")
	}
}
