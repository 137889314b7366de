package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/storetest"
	"github.com/jotgate/jotgate/internal/user"
)

func openTraced(t *testing.T, url string) (*store.DB, *sdktrace.TracerProvider, *tracetest.SpanRecorder) {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	db, err := store.Open(t.Context(), store.Config{URL: url, Logger: slog.New(slog.DiscardHandler), Spans: provider})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db, provider, recorder
}

// TestTracedSQLite sees that spans change nothing.
func TestTracedSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) *store.DB {
		t.Helper()
		db, _, _ := openTraced(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
		return db
	})
}

func TestStatementsBecomeSpansWithoutValues(t *testing.T) {
	for name, url := range map[string]string{
		"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "x.db"), "postgresql": pgtest.DSN(t),
	} {
		t.Run(name, func(t *testing.T) {
			db, provider, recorder := openTraced(t, url)
			ctx, request := provider.Tracer("test").Start(t.Context(), "request")
			u := user.User{ID: "canary-id", Username: "canary-name", PasswordHash: "canary-hash", CreatedAt: time.Unix(1, 0), TokensValidAfter: time.Unix(1, 0)}
			err := db.InTx(ctx, func(ctx context.Context) error { return db.Users().Create(ctx, u) })
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Users().Create(ctx, u); !errors.Is(err, user.ErrIdentityTaken) {
				t.Fatalf("the user once more: %v, want %v", err, user.ErrIdentityTaken)
			}
			if _, err := db.Users().ByID(ctx, u.ID); err != nil {
				t.Fatal(err)
			}
			request.End()
			names := map[string]bool{}
			for _, s := range recorder.Ended() {
				if s.Parent().SpanID() != request.SpanContext().SpanID() {
					continue // of the migrations, and the request
				}
				names[s.Name()] = true
				if text := fmt.Sprint(s.Attributes()); strings.Contains(text, "canary") || !strings.Contains(text, name) {
					t.Errorf("attributes of %s: %s", s.Name(), text)
				}
			}
			for _, want := range []string{"sql.conn.begin_tx", "INSERT", "SELECT", "sql.tx.commit"} {
				if !names[want] {
					t.Errorf("no span %s in %v", want, names)
				}
			}
		})
	}
}

// TestNobodyPaysForSpansThatNobodyWants looks at what is between the pools and
// their drivers.
func TestNobodyPaysForSpansThatNobodyWants(t *testing.T) {
	for _, url := range []string{"sqlite:" + filepath.Join(t.TempDir(), "x.db"), pgtest.DSN(t)} {
		for name, pool := range open(t, url).SQLDB() {
			if driver := fmt.Sprintf("%T", pool.Driver()); strings.Contains(driver, "otelsql") {
				t.Errorf("%s: connections are of %s", name, driver)
			}
		}
	}
}
