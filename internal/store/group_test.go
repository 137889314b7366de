package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/jotgate/jotgate/internal/user"
)

func someone(i int) user.User {
	return user.User{ID: user.ID(strconv.Itoa(i)), Username: user.Username("u" + strconv.Itoa(i))}
}

// grouped lets writes gather behind one that is held, and returns what became of each.
// The first, number 0, is the one that is held.
func grouped(t *testing.T, db *DB, writes ...func(ctx context.Context) error) []error {
	t.Helper()
	db.group.span = time.Minute
	results := make([]error, len(writes))
	held, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		results[0] = db.InTx(t.Context(), func(ctx context.Context) error {
			close(held)
			<-release
			return writes[0](ctx)
		})
	})
	<-held
	for i, w := range writes[1:] {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					results[1+i] = fmt.Errorf("%w: %v", errPanicked, p)
				}
			}()
			results[1+i] = db.InTx(t.Context(), w)
		})
		waitFor(t, db, i+1)
	}
	close(release)
	wg.Wait()
	return results
}

// waitFor returns when n writes wait, or with an error of t when they do not. It ends no
// test, since a write that is held calls it too.
func waitFor(t *testing.T, db *DB, n int) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(time.Millisecond) {
		db.group.mu.Lock()
		waiting := len(db.group.waiting)
		db.group.mu.Unlock()
		if waiting >= n {
			return
		}
	}
	t.Errorf("never were %d waiting", n)
}

func add(db *DB, i int) func(ctx context.Context) error {
	return func(ctx context.Context) error { return db.Users().Create(ctx, someone(i)) }
}

func users(t *testing.T, db *DB) string {
	t.Helper()
	all, err := db.Users().List(t.Context(), "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, u := range all {
		ids = append(ids, string(u.ID))
	}
	return fmt.Sprint(ids)
}

func TestWritesThatWaitShareACommit(t *testing.T) {
	db := openTest(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	var commits []int64
	reader, err := db.SQLDB()["readers"].Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	note := func(i int) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			// A reader sees another number after each commit of the writer's.
			var v int64
			err := reader.QueryRowContext(t.Context(), "PRAGMA data_version").Scan(&v)
			commits = append(commits, v)
			return errors.Join(err, add(db, i)(ctx))
		}
	}
	for i, err := range grouped(t, db, note(0), note(1), note(2), note(3)) {
		if err != nil {
			t.Errorf("write %d: %v", i, err)
		}
	}
	if fmt.Sprint(commits[1:]) != fmt.Sprint(commits[:3]) {
		t.Errorf("there was a commit between them: %v", commits)
	}
	if got := users(t, db); got != "[0 1 2 3]" {
		t.Errorf("users: %s", got)
	}
}

// TestThoseWhoCanRunShareACommit holds that a group waits for whoever is about to write
// already. On one processor none of them runs by itself while the first one's commit
// waits for the disk.
func TestThoseWhoCanRunShareACommit(t *testing.T) {
	db := openTest(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	reader, err := db.SQLDB()["readers"].Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	const writers = 32
	var versions [writers]int64
	errs := make([]error, writers)
	begin := make(chan struct{})
	var wg sync.WaitGroup
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for i := range writers {
		wg.Go(func() {
			<-begin
			errs[i] = db.InTx(t.Context(), func(ctx context.Context) error {
				err := reader.QueryRowContext(t.Context(), "PRAGMA data_version").Scan(&versions[i])
				return errors.Join(err, add(db, i)(ctx))
			})
		})
	}
	close(begin)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	slices.Sort(versions[:])
	if commits := len(slices.Compact(versions[:])); commits > writers/4 {
		t.Errorf("%d commits of %d writes", commits, writers)
	}
}

func TestOneThatFailsIsUndoneAlone(t *testing.T) {
	refused := errors.New("refused")
	failing := map[string]struct {
		write func(db *DB, ctx context.Context) error
		want  error
	}{
		"by itself": {func(db *DB, ctx context.Context) error { return errors.Join(add(db, 9)(ctx), refused) }, refused},
		"by a constraint": {
			func(db *DB, ctx context.Context) error { return errors.Join(add(db, 9)(ctx), add(db, 1)(ctx)) }, user.ErrIdentityTaken,
		},
	}
	for name, f := range failing {
		for _, place := range []int{0, 2, 3} {
			t.Run(fmt.Sprintf("%s, in place %d", name, place), func(t *testing.T) {
				db := openTest(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
				if err := add(db, 1)(t.Context()); err != nil {
					t.Fatal(err)
				}
				writes := []func(ctx context.Context) error{add(db, 2), add(db, 3), add(db, 4), add(db, 5)}
				writes[place] = func(ctx context.Context) error { return f.write(db, ctx) }
				want := []string{"2", "3", "4", "5"}
				for i, err := range grouped(t, db, writes...) {
					if i == place && !errors.Is(err, f.want) || i != place && err != nil {
						t.Errorf("write %d: %v", i, err)
					}
				}
				want = append([]string{"1"}, append(want[:place:place], want[place+1:]...)...)
				if got := users(t, db); got != fmt.Sprint(want) {
					t.Errorf("users: %s, want %v", got, want)
				}
			})
		}
	}
}

func TestOneThatPanicsIsUndoneAlone(t *testing.T) {
	db := openTest(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	results := grouped(t, db, add(db, 0), func(ctx context.Context) error {
		_ = add(db, 3)(ctx)
		panic("boom")
	}, add(db, 2))
	if !errors.Is(results[1], errPanicked) || errors.Join(results[0], results[2]) != nil {
		t.Errorf("results %v", results)
	}
	if err := add(db, 4)(t.Context()); err != nil {
		t.Error(err)
	}
	if got := users(t, db); got != "[0 2 4]" {
		t.Errorf("users: %s", got)
	}
}

func TestOneThatGivesUpIsUndoneAlone(t *testing.T) {
	db := openTest(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	ctx, cancel := context.WithCancel(t.Context())
	var during error
	results := grouped(t, db, add(db, 0), func(context.Context) error {
		// Another one waits, and gives up before its turn.
		var wg sync.WaitGroup
		waits, leave := context.WithCancel(t.Context())
		var left error
		wg.Go(func() { left = db.InTx(waits, add(db, 7)) })
		time.Sleep(10 * time.Millisecond)
		leave()
		wg.Wait()
		if !errors.Is(left, context.Canceled) {
			t.Errorf("one that left the queue: %v", left)
		}
		return nil
	}, add(db, 2))
	during = db.InTx(ctx, func(ctx context.Context) error {
		cancel()
		return add(db, 8)(ctx)
	})
	if !errors.Is(during, context.Canceled) || errors.Join(results...) != nil {
		t.Errorf("one that gave up in its turn: %v, the others %v", during, results)
	}
	if got := users(t, db); got != "[0 2]" {
		t.Errorf("users: %s", got)
	}
}

// TestAcknowledgedIsThere fills the disk, as SQLite sees it, under many writes at once:
// what was acknowledged is there, and nothing else.
func TestAcknowledgedIsThere(t *testing.T) {
	db := openTest(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	limit := func(pages int) {
		if _, err := db.SQLDB()["writer"].ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Error(err)
		}
	}
	var mu sync.Mutex
	there := map[string]bool{}
	var failed int
	round := func(from int) {
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				u := someone(from + i)
				u.PasswordHash = fmt.Sprintf("%02000d", i)
				err := db.InTx(t.Context(), func(ctx context.Context) error { return db.Users().Create(ctx, u) })
				mu.Lock()
				defer mu.Unlock()
				there[string(u.ID)] = err == nil
				if err != nil {
					failed++
					if _, ok := errors.AsType[*UnavailableError](err); !ok {
						t.Errorf("user %s: %v", u.ID, err)
					}
				}
			})
		}
		wg.Wait()
	}
	round(100)
	var pages int
	if err := db.SQLDB()["writer"].QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit(pages + 10)
	round(200)
	if failed == 0 {
		t.Error("nothing failed")
	}
	limit(1 << 30)
	round(300)
	all, err := db.Users().List(t.Context(), "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, u := range all {
		found[string(u.ID)] = true
	}
	for id, acknowledged := range there {
		if acknowledged != found[id] {
			t.Errorf("user %s: acknowledged %t, there %t", id, acknowledged, found[id])
		}
	}
}

// TestLoserWaitsForTheWinner has two take one name in one group, which a third one keeps
// open. Who loses is not told before the winner is in the database.
func TestLoserWaitsForTheWinner(t *testing.T) {
	db := openTest(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	told := make(chan struct{})
	var early bool
	var lost error
	var wg sync.WaitGroup
	results := grouped(t, db, func(ctx context.Context) error {
		wg.Go(func() {
			lost = db.InTx(t.Context(), add(db, 1))
			close(told)
		})
		waitFor(t, db, 1)
		wg.Go(func() {
			if err := db.InTx(t.Context(), func(context.Context) error {
				select {
				case <-told:
					early = true
				case <-time.After(50 * time.Millisecond):
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
		waitFor(t, db, 2)
		return add(db, 1)(ctx)
	})
	wg.Wait()
	if early || results[0] != nil || !errors.Is(lost, user.ErrIdentityTaken) {
		t.Errorf("told early: %t; the winner %v, the loser %v", early, results[0], lost)
	}
}

// TestWhoHasGoneDoesNotBegin gives somebody their turn who left at the same moment.
func TestWhoHasGoneDoesNotBegin(t *testing.T) {
	t.Parallel()
	for _, single := range []bool{true, false} {
		ctx, leave := context.WithCancel(t.Context())
		leave()
		m := &member{ctx: ctx, over: make(chan error, 1), task: task{single: single, f: func(context.Context, *gorm.DB) error {
			t.Errorf("a write of who has gone began, single %t", single)
			return nil
		}}}
		err := m.run(part{ctx: t.Context()})
		if told := <-m.over; !errors.Is(err, context.Canceled) || !errors.Is(told, context.Canceled) {
			t.Errorf("single %t: %v, and the group is told %v", single, err, told)
		}
	}
}

// What SQLite keeps beside the file is gone with the last connection, and so is every lock.
func TestClosedIsClosed(t *testing.T) {
	t.Parallel()
	for range 30 {
		path := filepath.Join(t.TempDir(), "x.db")
		db, err := Open(t.Context(), Config{URL: "sqlite:" + path, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := db.Users().Create(t.Context(), someone(1)); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("a connection outlived Close: %v", err)
		}
	}
}

// A write that does not come back holds up no stop.
func TestCloseDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	db, err := Open(t.Context(), Config{
		URL: "sqlite:" + filepath.Join(t.TempDir(), "x.db"), Logger: slog.New(slog.DiscardHandler), Timeout: 300 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	held, release, over := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		over <- db.InTx(t.Context(), func(context.Context) error {
			close(held)
			<-release
			return nil
		})
	}()
	<-held
	closed := make(chan error, 1)
	go func() { closed <- db.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("Close waits for a write that does not come back")
	}
	close(release)
	<-over
}
