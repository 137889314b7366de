package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/jotgate/jotgate/internal/config"
	"github.com/jotgate/jotgate/internal/keyset"
	"github.com/jotgate/jotgate/internal/store"
)

// Copied is what [CopyDatabase] did.
type Copied struct {
	store.CopyReport

	// MasterKey tells where the master key was found that opens the signing keys:
	// the path of a file, "master_key" for the setting, or nothing if there was none
	// to be found.
	MasterKey string `json:"master_key"`
}

// CopyDatabase copies the SQLite database at from to PostgreSQL, as job says. It
// does not begin if there is a master key and it is not that of the database.
func CopyDatabase(ctx context.Context, c config.Config, from string, job store.Copy, log *slog.Logger) (_ Copied, err error) {
	path, err := store.SQLitePath(from)
	if err != nil {
		return Copied{}, err
	}
	master, found, err := findMasterKey(c, path)
	if err != nil {
		return Copied{}, err
	}
	if job.From, err = store.OpenToCopy(ctx, store.Config{URL: from, Logger: log}); err != nil {
		return Copied{}, err
	}
	defer func() { err = errors.Join(err, job.From.Close()) }()
	if found != "" {
		if err := opens(ctx, master, job.From); err != nil {
			return Copied{}, fmt.Errorf("the master key of %s is not that of the source: %w", found, err)
		}
	}
	job.Logger, job.Now = log, time.Now
	report, err := job.Run(ctx)
	return Copied{report, found}, err
}

// findMasterKey looks for the key where a server on that database would, and
// makes none.
func findMasterKey(c config.Config, database string) (key keyset.MasterKey, found string, err error) {
	if c.MasterKey.Set() {
		key, err = keyset.ParseMasterKey(c.MasterKey.Reveal())
		return key, "master_key", err
	}
	for _, path := range []string{c.MasterKeyFile, filepath.Join(filepath.Dir(database), "master.key"), ownKeyPath(c)} {
		if _, err := os.Stat(path); path == "" || path != c.MasterKeyFile && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		key, err = keyset.LoadMasterKey(path)
		return key, path, err
	}
	return keyset.MasterKey{}, "", nil
}

func opens(ctx context.Context, master keyset.MasterKey, db *store.DB) error {
	return keyset.New(db.Keys(), master, keyset.Config{Now: time.Now}).Reload(ctx)
}
