package store

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
)

// TestWhoLeft asks for somebody who has left, for what has not been prepared yet.
func TestWhoLeft(t *testing.T) {
	for name, url := range map[string]string{
		"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "x.db"), "postgres": pgtest.DSN(t),
	} {
		t.Run(name, func(t *testing.T) {
			db := openTest(t, url)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			for name, ask := range map[string]func() error{
				"holder":   func() error { _, _, err := db.Holder(ctx, "s"); return err },
				"user":     func() error { _, err := db.Users().ByID(ctx, "u"); return err },
				"session":  func() error { _, err := db.Sessions().ByID(ctx, "s"); return err },
				"rotation": func() error { _, _, err := db.RotateHolder(ctx, session.Rotation{ID: "s"}, unused); return err },
			} {
				if err := ask(); !errors.Is(err, context.Canceled) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func unused(session.Session, user.User) {}
