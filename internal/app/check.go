package app

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"

	"github.com/jotgate/jotgate/internal/config"
	"github.com/jotgate/jotgate/internal/keyset"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/telemetry"
)

// Check returns what [New] would refuse of the settings and of the files that they
// name. It connects to nothing and makes nothing.
func Check(ctx context.Context, c config.Config) error {
	master, _, err := givenKeys(c)
	errs := []error{err, store.CheckURL(c.Database.URL.Reveal()), checkTracing(ctx, c)}
	if usesSQLite(c) {
		errs = append(errs, checkDataDir(c.DataDir))
	}
	if err == nil && !master.Set() {
		errs = append(errs, checkOwnKey(c))
	}
	return errors.Join(errs...)
}

func checkTracing(ctx context.Context, c config.Config) error {
	if !c.Traces {
		return nil
	}
	t, err := telemetry.NewTracing(ctx, "", slog.New(slog.DiscardHandler))
	return errors.Join(err, t.Close(ctx))
}

// checkOwnKey reads the key in the data directory if it is there.
func checkOwnKey(c config.Config) error {
	path := ownKeyPath(c)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, err := keyset.LoadOrCreateMasterKey(path)
	return err
}
