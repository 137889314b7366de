package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/revocation"
)

func TestCopy(t *testing.T) {
	t.Parallel()
	s := newCopySetup(t)
	wantCounts(t, s.mustRun(t, false), first)
	wantCounts(t, s.mustRun(t, true), first)
	s.wantEqual(t)
	wantCounts(t, s.mustRun(t, true), map[string][3]int64{})

	s.exec(t, laterRows)
	wantCounts(t, s.mustRun(t, false), later)
	report := s.mustRun(t, true)
	wantCounts(t, report, later)
	s.wantEqual(t)
	wantCounts(t, s.mustRun(t, true), map[string][3]int64{})
	for _, table := range report.Tables {
		if len(table.SHA256) != 64 {
			t.Errorf("%s has the checksum %q", table.Name, table.SHA256)
		}
	}
}

func TestCopyOfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	s := &copySetup{path: filepath.Join(t.TempDir(), "x.db"), dsn: pgtest.DSN(t)}
	s.source = openTest(t, "sqlite:"+s.path)
	for range 2 {
		wantCounts(t, s.mustRun(t, true), map[string][3]int64{})
	}
	s.exec(t, oddRows)
	wantCounts(t, s.mustRun(t, true), first)
	s.wantEqual(t)
}

// A number that was given out is never given out again, though its row is gone.
func TestCopyGoesOnNumbering(t *testing.T) {
	t.Parallel()
	s := newCopySetup(t)
	s.mustRun(t, true)
	s.exec(t, laterRows) // no revocations are left
	s.mustRun(t, true)
	db := openTest(t, s.dsn)
	if err := db.Revocations().Append(t.Context(), []revocation.Entry{{Kind: revocation.Session, ID: "s"}}); err != nil {
		t.Fatal(err)
	}
	got, err := db.Revocations().After(t.Context(), 0, 9)
	if err != nil || len(got) != 1 || got[0].Seq != 8 {
		t.Errorf("revocations = %+v, %v; want one with seq 8, after the seven that there were", got, err)
	}
}

// TestCopyTakesAllTables fails when a migration makes a table on one database only,
// or one that the copy does not see.
func TestCopyTakesAllTables(t *testing.T) {
	t.Parallel()
	s := newCopySetup(t)
	var got []string
	for _, table := range s.mustRun(t, true).Tables {
		got = append(got, table.Name)
	}
	slices.Sort(got)
	for side, rows := range map[string]map[string][]string{"source": s.sourceRows(t), "target": s.targetRows(t)} {
		var want []string
		for name := range rows {
			want = append(want, name)
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-tables of the %s +copied:\n%s", side, diff)
		}
	}
}

func TestCopyDryRunWritesNothing(t *testing.T) {
	t.Parallel()
	s := newCopySetup(t)
	if err := s.source.Close(); err != nil { // the WAL is in the file now
		t.Fatal(err)
	}
	before := s.files(t)
	if report := s.mustRun(t, false); report.Applied {
		t.Error("a dry run says that it was applied")
	}
	if diff := cmp.Diff(before, s.files(t)); diff != "" {
		t.Errorf("files of the source: -before +after:\n%s", diff)
	}
	if got := s.targetRows(t); len(got) > 0 {
		t.Errorf("tables of the target: %v", got)
	}
	s.mustRun(t, true)
	if diff := cmp.Diff(before, s.files(t)); diff != "" {
		t.Errorf("files of the source after a copy: -before +after:\n%s", diff)
	}
	want := s.targetRows(t)
	s.source = openTest(t, "sqlite:"+s.path)
	s.exec(t, laterRows)
	s.mustRun(t, false)
	if diff := cmp.Diff(want, s.targetRows(t)); diff != "" {
		t.Errorf("rows of the target: -before +after:\n%s", diff)
	}
	s.mustRun(t, true)
	s.wantEqual(t)
}

// TestCopyInterrupted stops a first copy at places where it tells how far it is,
// and a second one too, and runs it again.
func TestCopyInterrupted(t *testing.T) {
	t.Parallel()
	stopped, whole := errors.New("stopped here"), 0
	for i := 1; whole < 2; i++ {
		n := 1 + 5*i*(i-1)/2
		s := newCopySetup(t)
		whole = 0
		for _, rows := range []string{"", laterRows} {
			s.exec(t, rows)
			ctx, cancel := context.WithCancelCause(t.Context())
			calls, began := 0, false
			_, err := s.run(ctx, true, func(p CopyProgress) {
				began = began || p.Step == "copy" || p.Step == "delete"
				if calls++; calls == n {
					cancel(stopped)
				}
			})
			switch {
			case err == nil && calls < n:
				whole++
			case err == nil && calls > n || err != nil && ctx.Err() == nil:
				t.Fatalf("stopped at call %d of %d: %v", n, calls, err)
			}
			if began {
				s.wantServable(t, err == nil)
			}
			cancel(nil)
			s.mustRun(t, true)
			s.wantServable(t, true)
			s.wantEqual(t)
		}
	}
}

// What is written while a copy runs is for the next one.
func TestCopyOfADatabaseInUse(t *testing.T) {
	t.Parallel()
	s := newCopySetup(t)
	want, n := s.sourceRows(t), 0
	if _, err := s.run(t.Context(), true, func(CopyProgress) {
		n++
		s.exec(t, fmt.Sprintf(`
INSERT INTO users (id, username, email_verified, roles, password_hash, disabled, created_at, tokens_valid_after)
	VALUES ('u%[1]d', 'u%[1]d', 0, '[]', '', 0, 1, 0);
INSERT INTO sessions (id, user_id, mode, device, ip, user_agent, created_at, generation, last_used_at, retry, expires_at, absolute_at, ended_at, end_reason)
	SELECT 's%[1]d', 'u%[1]d', 'bearer', '', '', '', 1, 1, 1, '', 1, 100, 0, '';
UPDATE sessions SET generation = generation + 1`, n))
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, s.targetRows(t)); diff != "" {
		t.Errorf("-source at the beginning +target:\n%s", diff)
	}
	s.mustRun(t, true)
	s.wantEqual(t)
}

func TestCopyNoticesWhatTheTargetMadeOfIt(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ body, want string }{
		"a lost row":      {"RETURN NULL;", "table sessions differs after the copy: the source has 28 rows"},
		"a changed value": {"NEW.device := NEW.device || ' '; RETURN NEW;", "the target 28 rows"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newCopySetup(t)
			s.migrateTarget(t)
			s.psql(t, `
CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN `+tt.body+` END $$;
CREATE TRIGGER spoil BEFORE INSERT ON sessions FOR EACH ROW WHEN (NEW.id = 'a-1') EXECUTE FUNCTION spoil()`)
			report, err := s.run(t.Context(), true, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "table users") || report.Applied {
				t.Errorf("applied %v: %v", report.Applied, err)
			}
			s.psql(t, "DROP TRIGGER spoil ON sessions")
			s.mustRun(t, true)
			s.wantEqual(t)
		})
	}
}

func TestCopyRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		arrange func(t *testing.T, s *copySetup)
		want    string
	}{
		"another installation": {func(t *testing.T, s *copySetup) {
			t.Helper()
			s.migrateTarget(t)
			s.psql(t, "INSERT INTO signing_keys (kid, alg, private, created_at, activates_at) VALUES ('kid1', 'ES256', '', 1, 1)")
		}, "1 rows in signing_keys; copy into an empty database"},
		"a target that was served from": {func(t *testing.T, s *copySetup) {
			t.Helper()
			s.mustRun(t, true)
			s.psql(t, "UPDATE sessions SET generation = 5 WHERE id = 'a-1'")
		}, "written to since it was copied"},
		"a copy of another source": {func(t *testing.T, s *copySetup) {
			t.Helper()
			s.mustRun(t, true)
			s.exec(t, "UPDATE signing_keys SET kid = 'o' || kid")
		}, "an earlier copy into it was of another source"},
		"a jotgate that serves": {func(t *testing.T, s *copySetup) {
			t.Helper()
			openTest(t, s.dsn)
		}, "a jotgate uses the target"},
		"another copy": {func(t *testing.T, s *copySetup) {
			t.Helper()
			target, err := dialTarget(t.Context(), s.dsn, true)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := target.close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}, "another copy into the target is under way"},
		"an old source": {func(t *testing.T, s *copySetup) {
			t.Helper()
			s.exec(t, "DELETE FROM goose_db_version WHERE version_id > 1")
		}, "run jotgate migrate up on it first"},
		"a source of a newer program": {func(t *testing.T, s *copySetup) {
			t.Helper()
			s.exec(t, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)")
		}, "start a newer jotgate"},
		"a table that only the source has": {func(t *testing.T, s *copySetup) {
			t.Helper()
			s.exec(t, "CREATE TABLE extra (id TEXT NOT NULL PRIMARY KEY) STRICT")
		}, "column extra.id of the target"},
		"no source":       {func(_ *testing.T, s *copySetup) { s.path += "x" }, "is not a database file"},
		"no target":       {func(_ *testing.T, s *copySetup) { s.dsn = "mysql://ada:s3cret@example.com" }, "the target must be postgres://"},
		"a broken target": {func(_ *testing.T, s *copySetup) { s.dsn = "postgres://ada:s3cret@[::1:5/x" }, "not one that PostgreSQL understands"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newCopySetup(t)
			tt.arrange(t, s)
			var before map[string][]string
			reachable := !strings.Contains(s.dsn, "s3cret")
			if reachable {
				before = s.targetRows(t)
			}
			for _, apply := range []bool{false, true} {
				if !apply && strings.Contains(name, "only the source") {
					continue // an empty target tells nothing yet
				}
				report, err := s.run(t.Context(), apply, nil)
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret") || report.Applied {
					t.Errorf("apply %v: applied %v: %v; want %q", apply, report.Applied, err, tt.want)
				}
			}
			if reachable && len(before) > 0 {
				if diff := cmp.Diff(before, s.targetRows(t)); diff != "" {
					t.Errorf("rows of the target: -before +after:\n%s", diff)
				}
			}
		})
	}
}

func TestTablesAreSortedByReference(t *testing.T) {
	table := func(name string, parents ...string) *copyTable { return &copyTable{name: name, parents: parents} }
	sorted, err := sortTables([]*copyTable{table("a", "c"), table("c", "d", "c"), table("b"), table("d")})
	var got []string
	for _, s := range sorted {
		got = append(got, s.name)
	}
	if want := []string{"b", "d", "c", "a"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("sorted = %v, %v; want %v", got, err, want)
	}
	if _, err := sortTables([]*copyTable{table("a", "b"), table("b", "a")}); err == nil {
		t.Error("a circle was sorted")
	}
}

func TestDigestsOfDifferentRowsDiffer(t *testing.T) {
	seen := map[string][]any{}
	for _, row := range [][]any{
		{nil}, {""}, {[]byte{}}, {int64(0)}, {"0"}, {nil, nil}, {"a", "b"}, {"ab", ""}, {"a;t1:b"}, {int64(1), int64(2)}, {int64(12)},
	} {
		d := newDigest()
		d.add(row)
		sum := d.sum().hex
		if other, ok := seen[sum]; ok {
			t.Errorf("%#v and %#v have the same checksum", row, other)
		}
		seen[sum] = row
	}
}
