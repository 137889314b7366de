package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/jotgate/jotgate/internal/config"
	"github.com/jotgate/jotgate/internal/keyset"
	"github.com/jotgate/jotgate/internal/store"
)

// ErrNoDatabase is a database that nothing has made yet.
var ErrNoDatabase = errors.New("there is no database yet")

// FindDatabase returns the path of the SQLite database of c, or [ErrNoDatabase] if
// nothing has made it yet. On PostgreSQL it returns nothing.
func FindDatabase(c config.Config) (string, error) {
	if !usesSQLite(c) {
		return "", nil
	}
	path, err := store.SQLitePath(c.Database.URL.Reveal())
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return "", fmt.Errorf("%w at %s; jotgate serve makes it", ErrNoDatabase, path)
	}
	return path, nil // what else may be wrong with it, opening it tells
}

// FindTables returns [ErrNoDatabase] if the database of c has no tables yet, and another
// error if they are older than this program: a migration may lock out the replicas that
// run on them, so that only what is told to migrate does. It makes and changes nothing.
func FindTables(ctx context.Context, c config.Config, log *slog.Logger) error {
	return find(ctx, c, log, func(*store.DB) error { return nil })
}

// FindKeys is FindTables, but returns [ErrNoDatabase] as well if the tables hold no signing
// key: whoever opens them makes one.
func FindKeys(ctx context.Context, c config.Config, log *slog.Logger) error {
	return find(ctx, c, log, func(db *store.DB) error {
		have, err := db.Keys().All(ctx)
		if err == nil && len(have) == 0 {
			err = fmt.Errorf("%w: its tables hold no signing key; jotgate serve makes one", ErrNoDatabase)
		}
		return err
	})
}

// find has a database judged that has the tables of this program.
func find(ctx context.Context, c config.Config, log *slog.Logger, judge func(*store.DB) error) (err error) {
	path, err := FindDatabase(c)
	if err != nil {
		return err
	}
	db, err := OpenStore(ctx, c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	s, err := db.MigrationStatus(ctx)
	switch {
	case err != nil:
		return err
	case s.Current == 0:
		place := "in PostgreSQL: that of database.url"
		if path != "" {
			place = "at " + path + ": the file"
		}
		return fmt.Errorf("%w %s has no tables; jotgate serve, migrate up or user create makes them", ErrNoDatabase, place)
	case s.Pending() > 0:
		return fmt.Errorf("the database is at migration %d of %d; run jotgate migrate up first (operating.md, Upgrade)", s.Current, s.Latest)
	}
	return judge(db)
}

// OpenStore opens the database of c, in a data directory that it makes, and
// leaves its tables as they are.
func OpenStore(ctx context.Context, c config.Config, log *slog.Logger) (*store.DB, error) {
	return openStore(ctx, c, store.Config{Logger: log})
}

func openStore(ctx context.Context, c config.Config, s store.Config) (*store.DB, error) {
	if usesSQLite(c) {
		if err := makeDataDir(c.DataDir); err != nil {
			return nil, err
		}
	}
	s.URL = c.Database.URL.Reveal()
	return store.Open(ctx, s)
}

// NewScratch is [New] on an empty database that nobody else uses and that [App.Close]
// takes away.
func NewScratch(ctx context.Context, c config.Config, b Build, log *slog.Logger) (*App, error) {
	dir, err := os.MkdirTemp("", "jotgate-")
	if err != nil {
		return nil, fmt.Errorf("make a database that is not kept: %w; name a directory for it with TMPDIR", err)
	}
	c.DataDir, c.Redis.URL = dir, config.Secret{}
	c.Database.URL = config.NewSecret("sqlite:" + filepath.Join(dir, "jotgate.db"))
	a, err := New(ctx, c, b, log)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	a.scratch = dir
	return a, nil
}

func usesSQLite(c config.Config) bool { return strings.HasPrefix(c.Database.URL.Reveal(), "sqlite:") }

// makeDataDir makes the directory for its owner alone, or checks the one that is
// there.
func makeDataDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create the data directory: %w", err)
	}
	return checkDataDir(dir)
}

// checkDataDir checks that nobody else can put files into the directory, if it is
// there.
func checkDataDir(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the data directory: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("data directory %s has mode %04o, which lets others write there; run: chmod 700 %s", dir, mode, dir)
	}
	return nil
}

// givenKeys returns the master keys that the settings give, each the zero key if
// they give none.
func givenKeys(c config.Config) (master, other keyset.MasterKey, err error) {
	master, err = givenKey(c.MasterKey, c.MasterKeyFile)
	other, otherErr := givenKey(c.MasterKeyOther, c.MasterKeyOtherFile)
	return master, other, errors.Join(err, otherErr)
}

func givenKey(text config.Secret, file string) (keyset.MasterKey, error) {
	switch {
	case text.Set():
		return keyset.ParseMasterKey(text.Reveal())
	case file != "":
		return keyset.LoadMasterKey(file)
	}
	return keyset.MasterKey{}, nil
}

func ownKeyPath(c config.Config) string { return filepath.Join(c.DataDir, "master.key") }

// migrate brings the database up to date and returns its master key: the one given, if
// any, or its own. What a lost one sealed is left as it is, for whoever goes back to the
// version before.
func (a *App) migrate(ctx context.Context, given keyset.MasterKey) (keyset.MasterKey, error) {
	if given.Set() {
		return given, a.db.Migrate(ctx)
	}
	if err := refuseLostKey(ctx, a.config, a.db); errors.Is(err, errLostKey) {
		return keyset.MasterKey{}, err
	}
	if err := a.db.Migrate(ctx); err != nil {
		return keyset.MasterKey{}, err
	}
	return ownKey(ctx, a.config, a.db)
}

// ownKey returns the master key in the data directory, which is made there the
// first time.
func ownKey(ctx context.Context, c config.Config, db *store.DB) (keyset.MasterKey, error) {
	if err := makeDataDir(c.DataDir); err != nil {
		return keyset.MasterKey{}, err
	}
	if err := refuseLostKey(ctx, c, db); err != nil {
		return keyset.MasterKey{}, err
	}
	return keyset.LoadOrCreateMasterKey(ownKeyPath(c))
}

var errLostKey = errors.New("not there")

const lostKeyPage = ", or see operating.md, The master key is lost"

// refuseLostKey keeps a master key from being made beside signing keys: it would open
// none. They are read before it is looked for, since another process may just make both.
// Its error is [errLostKey], or that of a database that is not migrated yet.
func refuseLostKey(ctx context.Context, c config.Config, db *store.DB) error {
	sealed, err := db.Keys().All(ctx)
	if err != nil {
		return err
	}
	path := ownKeyPath(c)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) && len(sealed) > 0 {
		return fmt.Errorf("the database has signing keys but the master key %s that opens them is %w; restore that file from a backup"+lostKeyPage, path, errLostKey)
	}
	return nil
}
