package store

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/revocation"
)

// TestListen has one process append and another one hear of it, also after its
// connection was cut, and not of what was rolled back.
func TestListen(t *testing.T) {
	url := pgtest.DSN(t)
	writer, reader := openTest(t, url), openTest(t, url)
	ctx, stop := context.WithCancel(t.Context())
	var listening sync.WaitGroup
	heard := make(chan struct{}, 1)
	listening.Go(func() { reader.Listen(ctx, func() { heard <- struct{}{} }) })
	defer listening.Wait()
	defer stop()
	wait := func(what string) {
		t.Helper()
		select {
		case <-heard:
		case <-time.After(time.Minute):
			t.Fatalf("not heard: %s", what)
		}
	}
	entry := []revocation.Entry{{Kind: revocation.Session, ID: "s"}}
	wait("that it listens")
	if err := writer.Revocations().Append(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	wait("an entry")
	if err := writer.writer.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE query LIKE 'LISTEN %' AND datname = current_database()`).Error; err != nil {
		t.Fatal(err)
	}
	wait("that it listens again")
	if err := writer.Revocations().Append(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	wait("an entry after the cut")
}
