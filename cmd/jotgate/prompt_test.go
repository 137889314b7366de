package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// awaited calls before each time that something is to be read.
type awaited struct {
	io.Reader

	before func()
}

func (a awaited) Read(p []byte) (int, error) {
	a.before()
	return a.Reader.Read(p)
}

// TestInputThatDoesNotCome interrupts commands that wait for some.
func TestInputThatDoesNotCome(t *testing.T) {
	for want, args := range map[string][]string{
		"no password was read": {"user", "create", "--username", "ada"},
		"no input was read":    {"token", "inspect"},
	} {
		t.Run(want, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { w.Close(); r.Close() }()
			ctx, cancel := context.WithCancel(t.Context())
			var errs bytes.Buffer
			ended := make(chan int, 1)
			go func() {
				ended <- run(ctx, args, process{
					in: awaited{r, cancel}, err: &errs, environ: []string{"JOTGATE_DATA_DIR=" + t.TempDir()},
				})
			}()
			select {
			case code := <-ended:
				if code != 1 || !strings.Contains(errs.String(), want) {
					t.Errorf("exit code %d: %s", code, &errs)
				}
			case <-time.After(patience):
				t.Error("it does not end")
			}
		})
	}
}
