package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/client"
	"github.com/jotgate/jotgate/internal/keyset"
	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/revocation"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
)

// statement is one that GORM ran.
type statement struct {
	text   string
	values []any
}

// recorder keeps the statements that GORM runs.
type recorder struct {
	slowLog

	statements []statement
}

// Trace implements GORM's logger.
func (r *recorder) Trace(_ context.Context, _ time.Time, what func() (string, int64), _ error) {
	what()
}

// ParamsFilter implements GORM's ParamsFilter.
func (r *recorder) ParamsFilter(_ context.Context, text string, values ...any) (string, []any) {
	r.statements = append(r.statements, statement{text, values})
	return text, nil
}

// smallTables do not grow with use, so that reading all of one is as good as any.
var smallTables = map[string]string{
	"signing_keys": "a few keys, all of which are needed",
	"token_lives":  "one row for each length of a token's life that was configured",
	"installation": "one row",
}

var byID = regexp.MustCompile(`\bid = (\?|\$)`)

// TestNoStatementScans calls every method once and asks the database how it finds the
// rows, so that no table's growth makes anything slower. SQLite decides by the tables,
// and PostgreSQL by what is in them.
func TestNoStatementScans(t *testing.T) {
	for name, tt := range map[string]struct {
		url    func(t *testing.T) string
		fill   string
		faults func(t *testing.T, db *DB, s statement) []string
	}{
		"sqlite": {
			func(t *testing.T) string { t.Helper(); return "sqlite:" + filepath.Join(t.TempDir(), "x.db") }, "SELECT 1", sqliteFaults,
		},
		"postgres": {func(t *testing.T) string { t.Helper(); return pgtest.DSN(t) }, fillPostgres, postgresFaults},
	} {
		t.Run(name, func(t *testing.T) {
			db := openTest(t, tt.url(t))
			if err := db.writer.Exec(tt.fill).Error; err != nil {
				t.Fatal(err)
			}
			r := &recorder{slowLog: slowLog{slog.New(slog.DiscardHandler)}}
			db.writer.Logger, db.readers.Logger = r, r
			callAll(t, db)
			if len(r.statements) < 40 {
				t.Fatalf("only %d statements were recorded", len(r.statements))
			}
			for _, text := range []string{holder, rotate} { // what is asked most
				begin, _, _ := strings.Cut(text, "?")
				if !slices.ContainsFunc(r.statements, func(s statement) bool { return strings.HasPrefix(s.text, begin) }) {
					t.Errorf("not recorded: %s", text)
				}
			}
			for _, s := range r.statements {
				for _, fault := range tt.faults(t, db, s) {
					t.Errorf("%s\n%s", s.text, fault)
				}
			}
		})
	}
}

func sqliteFaults(t *testing.T, db *DB, s statement) (faults []string) {
	t.Helper()
	rows, err := db.SQLDB()["writer"].QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+s.text, s.values...)
	if err != nil {
		t.Fatalf("%s: %v", s.text, err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
		if fields := strings.Fields(detail); fields[0] == "SCAN" && !small(fields[1]) {
			faults = append(faults, detail)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(plan, "; ")
	mine := strings.Contains(s.text, "user_id = ?") && !byID.MatchString(s.text)
	if mine && !strings.Contains(all, "_user_id (") && !strings.Contains(all, "(user_id=? AND ended_at=?)") {
		faults = append(faults, "does not start from the user, or from what of theirs lives: "+all)
	}
	if strings.Contains(s.text, "DELETE") && strings.Contains(all, "TEMP B-TREE") {
		faults = append(faults, "sorts: "+all)
	}
	return faults
}

func small(table string) bool {
	_, ok := smallTables[table]
	return ok || table == "CONSTANT"
}

// fillPostgres puts enough into each table that grows for a scan to cost more than an
// index, and has PostgreSQL look at it.
const fillPostgres = `
INSERT INTO users (id, username, email, email_verified, roles, external_id, password_hash, disabled, created_at, tokens_valid_after)
	SELECT 'user' || i, 'user' || i, i || '@example.com', false, '[]', 'other:' || i, '$argon2id$', false, i, 0 FROM generate_series(1, 5000) i;
INSERT INTO sessions (id, user_id, mode, device, ip, user_agent, created_at, generation, last_used_at, retry, expires_at, absolute_at, ended_at, end_reason, prune_at)
	SELECT 'session' || i, 'user' || (i % 5000 + 1), 'bearer', '', '', '', 1767225000000000 + i, 1, 1, '', 1767225600000000 + i * 1000000::bigint,
		1767225600000000 + i * 1000000::bigint, CASE WHEN i % 4 = 0 THEN 1767225600000000 + i ELSE 0 END, '', 1767225600000000 + i * 1000000::bigint FROM generate_series(1, 20000) i;
INSERT INTO revocations (kind, subject_id, not_before, expires_at)
	SELECT 'session', 'session' || i, 0, 1767225600000000 + i * 1000000::bigint FROM generate_series(1, 20000) i;
INSERT INTO audit_events (at, kind, user_id, session_id, detail, ip, user_agent, request_id)
	SELECT 1767225600000000 + i * 1000000::bigint, 'logged_in', 'user1', '', '', '', '', '' FROM generate_series(1, 20000) i;
INSERT INTO password_attempts (bucket, tat) SELECT 'bucket' || i, 1767225600000000 + i * 1000000::bigint FROM generate_series(1, 20000) i;
INSERT INTO api_keys (id, user_id, hash, hint, name, scopes, created_at, expires_at, last_used_at)
	SELECT 'key' || i, 'user' || (i % 5000 + 1), 'hash' || i, '', '', '[]', 0, 1767225600000000 + i * 1000000::bigint, 0 FROM generate_series(1, 20000) i;
INSERT INTO oauth_clients (id, name, scopes, audiences, created_at, secret_hash, previous_hash, previous_until, tokens_valid_after)
	SELECT 'client' || i, '', '[]', '[]', 0, 'hash', '', 0, 0 FROM generate_series(1, 20000) i;
ANALYZE`

// node is a part of PostgreSQL's plan.
type node struct {
	Type     string `json:"Node Type"`
	Relation string `json:"Relation Name"`
	Index    string `json:"Index Name"`
	Cond     string `json:"Index Cond"`
	Plans    []node
}

// faults are scans of tables that grow, and of the whole of an index.
func (n node) faults() (found []string) {
	switch {
	case n.Type == "Seq Scan" && !small(n.Relation), strings.Contains(n.Type, "Index") && n.Cond == "" && !small(n.Relation):
		found = append(found, fmt.Sprintf("%s of %s %s", n.Type, n.Relation, n.Index))
	}
	for _, below := range n.Plans {
		found = append(found, below.faults()...)
	}
	return found
}

// sorts reports whether rows are put in order below a limit: all of them have to be
// found before.
func (n node) sorts(limited bool) bool {
	if limited && strings.HasSuffix(n.Type, "Sort") {
		return true
	}
	limited = limited || n.Type == "Limit"
	return slices.ContainsFunc(n.Plans, func(below node) bool { return below.sorts(limited) })
}

func postgresFaults(t *testing.T, db *DB, s statement) (faults []string) {
	t.Helper()
	var text string
	if err := db.SQLDB()["postgres"].QueryRowContext(t.Context(), "EXPLAIN (FORMAT JSON) "+s.text, s.values...).Scan(&text); err != nil {
		t.Fatalf("%s: %v", s.text, err)
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal([]byte(text), &plans); err != nil {
		t.Fatal(err)
	}
	for _, p := range plans {
		faults = append(faults, p.Plan.faults()...)
		if strings.Contains(s.text, "DELETE") && p.Plan.sorts(false) {
			faults = append(faults, "sorts before it limits: "+text)
		}
	}
	return slices.Compact(faults)
}

// callAll calls every method that runs a statement of its own.
func callAll(t *testing.T, db *DB) {
	t.Helper()
	ctx, now := t.Context(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	users, sessions, feed := db.Users(), db.Sessions(), db.Revocations()
	must(nil, users.Create(ctx, user.User{ID: "u", Username: "ada", Email: "ada@example.com", ExternalID: "django:1"}))
	must(users.ByID(ctx, "u"))
	must(users.ByIdentifier(ctx, user.Identifier{Username: "ada"}))
	must(users.ByIdentifier(ctx, user.Identifier{Email: "ada@example.com"}))
	must(users.List(ctx, "", 9))
	disabled := true
	must(nil, users.Update(ctx, "u", user.Change{Disabled: &disabled}))
	must(nil, sessions.Create(ctx, session.Session{
		ID: "s", UserID: "u", Mode: session.Bearer, Generation: 1, ExpiresAt: now.Add(1000), AbsoluteAt: now.Add(1000),
	}))
	must(sessions.ByID(ctx, "s"))
	must(nil, sessions.Remember(ctx, "s", 1, "k"))
	must(nil, db.InTx(ctx, func(ctx context.Context) error { _, err := sessions.ByID(ctx, "s"); return err }))
	if _, _, err := db.Holder(ctx, "s"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.RotateHolder(ctx, session.Rotation{
		ID: "s", UserID: "u", Mode: session.Bearer, From: 1, At: now, IdleUntil: now.Add(time.Hour),
	}, unused); err != nil {
		t.Fatal(err)
	}
	must(sessions.Living(ctx, "u", now, 9))
	for _, w := range []session.Which{{ID: "s"}, {ID: "s", UserID: "u"}, {UserID: "u"}, {UserID: "u", Except: "s"}, {UserID: "u", Except: "s", Keep: 9, Limit: 9}, {Before: now, Limit: 9}} {
		must(sessions.End(ctx, w, session.ReasonLogout, now))
	}
	must(sessions.Prune(ctx, now, 9))
	must(nil, feed.Append(ctx, []revocation.Entry{{Kind: revocation.Session, ID: "s"}}))
	must(feed.After(ctx, 0, 9))
	if _, _, err := feed.Head(ctx); err != nil {
		t.Fatal(err)
	}
	must(feed.Unexpired(ctx, now.Add(19_900*time.Second))) // of 20,000 that fillPostgres makes
	must(nil, feed.NextEpoch(ctx))
	must(feed.Prune(ctx, now, 9))
	must(nil, db.Audit().Append(ctx, audit.Event{Kind: audit.LoggedIn}))
	must(db.Audit().Prune(ctx, now, 9))
	for range 2 {
		must(db.Attempts().Charge(ctx, "b", user.Allowance{Burst: 1, Recovery: time.Minute}, now))
	}
	must(nil, db.Attempts().Clear(ctx, "b", "c"))
	must(db.Attempts().Prune(ctx, now, 9))
	must(users.ByExternalID(ctx, "django:1"))
	must(nil, db.Ping(ctx))
	callPrograms(t, db)
	must(nil, db.TokenLives().Seen(ctx, time.Minute, now))
	must(db.TokenLives().Longest(ctx, now, time.Minute))
	must(db.TokenLives().Latest(ctx, now))
	must(db.TokenLives().Shortest(ctx, now))
	must(db.TokenLives().Prune(ctx, now, 9))
	must(nil, db.Keys().Change(ctx, func([]keyset.Sealed) ([]keyset.Sealed, error) {
		return []keyset.Sealed{{KID: "k", Algorithm: keyset.ES256, Private: []byte{1}}}, nil
	}))
	must(nil, db.InTx(ctx, func(ctx context.Context) error { _, err := users.ByID(ctx, "u"); return err }))
	must(nil, users.Delete(ctx, "u"))
}

func callPrograms(t *testing.T, db *DB) {
	t.Helper()
	ctx, now := t.Context(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	keys, clients := db.APIKeys(), db.Clients()
	k, c := apikey.Key{ID: "k", UserID: "u"}, client.Client{ID: "c", SecretHash: "h"}
	_, byHash := keys.ByHash(ctx, "none")
	_, listed := keys.List(ctx, "u")
	_, pruned := keys.Prune(ctx, now, 9)
	_, byID := clients.ByID(ctx, "none")
	_, all := clients.List(ctx, "", 9)
	_, deleted := keys.DeleteAll(ctx, "u")
	if !errors.Is(byHash, apikey.ErrNotFound) || !errors.Is(byID, client.ErrNotFound) {
		t.Fatalf("%v, %v", byHash, byID)
	}
	if err := errors.Join(
		listed, pruned, all, deleted, keys.Create(ctx, k, "hash"), keys.Touch(ctx, "k", now, now), keys.Delete(ctx, "k", "u"),
		clients.Create(ctx, c), clients.SetSecret(ctx, c), clients.Delete(ctx, "c"),
	); err != nil {
		t.Fatal(err)
	}
}
