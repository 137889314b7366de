// Package djangousers brings the users of a Django project in: it reads Django's
// own table, or a dump of it, and hands each row to the flow that imports users.
//
// It is a package because it is an edge like the API, with another program's
// data on the outside: what comes in is checked here, row by row, and one that
// cannot be taken is told of and stops nothing. It reads and never writes there.
package djangousers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// DefaultTable is the table of Django's own user model.
const DefaultTable = "auth_user"

// Source is where users are read.
type Source struct {
	// Location is postgres://…, or the path of an SQLite database or of what
	// "manage.py dumpdata" wrote. Which of the two a file is, it says itself.
	Location string
	// Table is the user model's table; in a dump, the model with an underscore
	// for its dot.
	Table string
}

// Row is one user as Django keeps it.
type Row struct {
	ID                       string
	Username, Email          string // empty if there is none
	Password                 string // as Django encodes it
	Active, Staff, Superuser bool
	Joined                   time.Time // zero if the model does not keep it
}

// RowError is a row that does not say what a user must have.
type RowError struct {
	ID     string // empty if the row has none
	Reason string
}

func (e *RowError) Error() string { return fmt.Sprintf("djangousers: row %q: %s", e.ID, e.Reason) }

// tableName is one that needs no quoting but for its case.
var tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)

// sqliteMagic begins every SQLite database (SQLite's file format, section 1.3).
const sqliteMagic = "SQLite format 3\x00"

// Read calls each for every row, in the order of their ids where a database
// gives them, and stops at its first error. A row that cannot be read comes as a
// [*RowError]. Read's own errors are one line and hold no password.
func Read(ctx context.Context, s Source, each func(r Row, bad *RowError) error) error {
	if !tableName.MatchString(s.Table) {
		return fmt.Errorf("djangousers: %q is not the name of a table", s.Table)
	}
	if strings.HasPrefix(s.Location, "postgres://") || strings.HasPrefix(s.Location, "postgresql://") {
		return readPostgres(ctx, s, each)
	}
	return readFile(ctx, s, each)
}

func readFile(ctx context.Context, s Source, each func(Row, *RowError) error) (err error) {
	f, err := os.Open(s.Location)
	if err != nil {
		return fmt.Errorf("djangousers: open the source: %w", withoutPath(err))
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	in := bufio.NewReader(f)
	head, err := in.Peek(len(sqliteMagic))
	switch {
	case string(head) == sqliteMagic:
		return readSQLite(ctx, s, each)
	case len(head) == 0 && err != nil:
		return fmt.Errorf("djangousers: read the source: %w", withoutPath(err))
	}
	return readDump(in, s.Table, each)
}

// withoutPath drops the path that os adds: what looks like a file to this
// package may be a misspelt URL with a password in it.
func withoutPath(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	return err
}

// check refuses text that no column of ours can hold.
func (r Row) check() *RowError {
	if !utf8.ValidString(r.ID) || r.ID == "" {
		return &RowError{Reason: "it has no id"}
	}
	for name, text := range map[string]string{"username": r.Username, "email": r.Email, "password": r.Password} {
		if !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
			return &RowError{ID: r.ID, Reason: name + " is not text"}
		}
	}
	return nil
}

// parseTime reads a time as the databases print it and as a dump has it. One
// without a zone is UTC, which Django keeps unless USE_TZ is off.
func parseTime(s string) (time.Time, bool) {
	if s == "" {
		return time.Time{}, true
	}
	for _, layout := range []string{
		"2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07", "2006-01-02 15:04:05.999999999Z07:00",
		time.RFC3339Nano, "2006-01-02T15:04:05.999999999",
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
