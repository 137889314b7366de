package store

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/session"
)

func openPostgresTest(t *testing.T) (*DB, *rotations) {
	t.Helper()
	db := openTest(t, pgtest.DSN(t))
	return db, rotationsOf(t, db)
}

func rotationsOf(t *testing.T, db *DB) *rotations {
	t.Helper()
	d, ok := db.dialect.(*postgresDialect)
	if !ok {
		t.Fatalf("%T", db.dialect)
	}
	return d.rotations
}

// inOneBatch sends rotations when all are there, and returns how each went.
func inOneBatch(t *testing.T, r *rotations, all ...session.Rotation) []error {
	t.Helper()
	r.mu.Lock()
	r.batches += batchesAtOnce // nobody goes at once
	r.mu.Unlock()
	results := make([]chan error, len(all))
	for i, want := range all {
		results[i] = make(chan error, 1)
		go func() {
			h := held{s: rotatedRow(want)}
			results[i] <- r.do(t.Context(), append(rotationValues(want), text(want.ID)), append(rotatedFields(&h.s), userFields(&h.u)...))
		}()
		queued(t, r, i+1)
	}
	r.work()
	r.mu.Lock()
	r.batches -= batchesAtOnce - 1 // work counted one as over
	r.mu.Unlock()
	errs := make([]error, len(all))
	for i := range all {
		errs[i] = <-results[i]
	}
	return errs
}

// queued waits until n rotations are waiting.
func queued(t *testing.T, r *rotations, n int) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < 5*time.Second; time.Sleep(time.Millisecond) {
		r.mu.Lock()
		waiting := len(r.waiting)
		r.mu.Unlock()
		if waiting == n {
			return
		}
	}
	t.Fatalf("never were %d waiting", n)
}

// transactions returns in how many transactions the sessions were last written.
func transactions(t *testing.T, db *DB) (n int) {
	t.Helper()
	if err := db.writer.Raw("SELECT count(DISTINCT xmin::text) FROM sessions").Scan(&n).Error; err != nil {
		t.Fatal(err)
	}
	return n
}

func generation(t *testing.T, db *DB, id session.ID) session.Generation {
	t.Helper()
	s, err := db.Sessions().ByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return s.Generation
}

func TestRotationsShareACommit(t *testing.T) {
	db, r := openPostgresTest(t)
	signedIn(t, db, "a", "b", "c")
	errs := inOneBatch(t, r, rotation("a", 1), rotation("b", 1), rotation("c", 1), rotation("a", 1), rotation("b", 9))
	if want := []error{nil, nil, nil, errAlone, errAlone}; !slices.EqualFunc(errs, want, errors.Is) {
		t.Errorf("got %v, want %v", errs, want)
	}
	if n := transactions(t, db); n != 1 {
		t.Errorf("it took %d transactions", n)
	}
	if g := generation(t, db, "a"); g != 2 {
		t.Errorf("generation %d", g)
	}
}

func TestBatchIsBounded(t *testing.T) {
	db, r := openPostgresTest(t)
	var ids []session.ID
	var all []session.Rotation
	for i := range batchMembers + 1 {
		id := session.ID("s" + strconv.Itoa(i))
		ids, all = append(ids, id), append(all, rotation(id, 1))
	}
	signedIn(t, db, ids...)
	if err := errors.Join(inOneBatch(t, r, all...)...); err != nil {
		t.Fatal(err)
	}
	if n := transactions(t, db); n != 2 {
		t.Errorf("it took %d transactions", n)
	}
}

func TestBatchWaitsForNoLock(t *testing.T) {
	db, r := openPostgresTest(t)
	signedIn(t, db, "held", "free")
	if err := db.InTx(t.Context(), func(ctx context.Context) error {
		if _, err := db.Sessions().End(ctx, session.Which{ID: "held"}, session.ReasonLogout, begun()); err != nil {
			return err
		}
		if errs := inOneBatch(t, r, rotation("held", 1), rotation("free", 1)); !slices.EqualFunc(errs, []error{errAlone, nil}, errors.Is) {
			t.Errorf("beside who holds one: %v", errs)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.RotateHolder(t.Context(), rotation("held", 1), unused); !errors.Is(err, session.ErrConflict) {
		t.Errorf("the one that was ended: %v", err)
	}
}

// TestErrorInABatchIsItsOwn has PostgreSQL refuse one of two.
func TestErrorInABatchIsItsOwn(t *testing.T) {
	db, r := openPostgresTest(t)
	signedIn(t, db, "good", "bad")
	onUpdate(t, db, "RAISE EXCEPTION 'no'")
	if errs := inOneBatch(t, r, rotation("good", 1), rotation("bad", 1)); !slices.EqualFunc(errs, []error{errAlone, errAlone}, errors.Is) {
		t.Errorf("in the batch: %v", errs)
	}
	if g := generation(t, db, "good"); g != 1 {
		t.Errorf("generation %d after a batch that failed", g)
	}
	if _, _, err := db.RotateHolder(t.Context(), rotation("good", 1), unused); err != nil {
		t.Errorf("the good one: %v", err)
	}
	if _, _, err := db.RotateHolder(t.Context(), rotation("bad", 1), unused); err == nil || errors.Is(err, errAlone) {
		t.Errorf("the bad one: %v", err)
	}
}

// TestLostBatchIsUnknown loses the connection: what was sent is not sent again, since it
// may have been committed.
func TestLostBatchIsUnknown(t *testing.T) {
	db, r := openPostgresTest(t)
	signedIn(t, db, "good", "bad")
	onUpdate(t, db, "PERFORM pg_terminate_backend(pg_backend_pid())")
	for _, err := range inOneBatch(t, r, rotation("good", 1), rotation("bad", 1)) {
		if err == nil || errors.Is(err, errAlone) || !unavailable(err) {
			t.Errorf("a lost connection: %v", err)
		}
	}
}

// TestStalledBatchEnds has a batch that nobody answers make room for others.
func TestStalledBatchEnds(t *testing.T) {
	db, r := openPostgresTest(t)
	signedIn(t, db, "good", "bad")
	onUpdate(t, db, "PERFORM pg_sleep(4)")
	r.timeout = 200 * time.Millisecond
	begin := time.Now()
	if err := inOneBatch(t, r, rotation("bad", 1))[0]; err == nil || errors.Is(err, errAlone) || !unavailable(err) {
		t.Errorf("the stalled one: %v", err)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
	r.timeout = defaultTimeout
	if _, _, err := db.RotateHolder(t.Context(), rotation("good", 1), unused); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

// onUpdate does something whenever the session bad is changed.
func onUpdate(t *testing.T, db *DB, what string) {
	t.Helper()
	for _, statement := range []string{
		"CREATE FUNCTION strike() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN " + what + "; RETURN NEW; END $$",
		"CREATE TRIGGER strike BEFORE UPDATE ON sessions FOR EACH ROW WHEN (NEW.id = 'bad') EXECUTE FUNCTION strike()",
	} {
		if err := db.writer.Exec(statement).Error; err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhoLeavesTheQueueIsNotRotated(t *testing.T) {
	db, r := openPostgresTest(t)
	signedIn(t, db, "a")
	r.batches = batchesAtOnce
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, _, err := db.RotateHolder(ctx, rotation("a", 1), unused)
		left <- err
	}()
	queued(t, r, 1)
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left: %v", err)
	}
	r.work()
	if g := generation(t, db, "a"); g != 1 {
		t.Errorf("generation %d", g)
	}
}

// givesUp rotates the session bad, for somebody who gives up once the database is at it.
func givesUp(t *testing.T, db *DB, ctx context.Context) error {
	t.Helper()
	ctx, giveUp := context.WithCancel(ctx)
	gaveUp := make(chan error, 1)
	go func() {
		_, _, err := db.RotateHolder(ctx, rotation("bad", 1), unused)
		gaveUp <- err
	}()
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		var sleeping int
		if err := db.writer.Raw("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'").Scan(&sleeping).Error; err != nil {
			t.Fatal(err)
		}
		if sleeping > 0 {
			break
		}
		if time.Since(begin) > 5*time.Second {
			t.Fatal("the database is not at it")
		}
	}
	giveUp()
	return <-gaveUp
}

// recorded is the context of a request that is traced, whose rotations go alone.
func recorded(t *testing.T) context.Context {
	t.Helper()
	ctx, span := sdktrace.NewTracerProvider().Tracer("test").Start(t.Context(), "request")
	t.Cleanup(func() { span.End() })
	return ctx
}

// inEachWay has somebody give up on a rotation that is under way, together with others or
// alone, while the database does what statement says.
func inEachWay(t *testing.T, statement string, check func(t *testing.T, db *DB, told error)) {
	t.Helper()
	for name, ctx := range map[string]context.Context{"together": t.Context(), "alone": recorded(t)} {
		t.Run(name, func(t *testing.T) {
			db, _ := openPostgresTest(t)
			signedIn(t, db, "bad")
			onUpdate(t, db, statement)
			check(t, db, givesUp(t, db, ctx))
		})
	}
}

// TestWhoGivesUpIsToldWhatBecameOfIt: they are about to come again, and when the write was
// done is when their grace begins.
func TestWhoGivesUpIsToldWhatBecameOfIt(t *testing.T) {
	inEachWay(t, "PERFORM pg_sleep(0.5)", func(t *testing.T, db *DB, told error) {
		if told != nil {
			t.Errorf("told: %v", told)
		}
		if g := generation(t, db, "bad"); g != 2 {
			t.Errorf("generation %d", g)
		}
	})
}

// TestWhoGivesUpIsToldThatNobodyKnows loses the connection after that.
func TestWhoGivesUpIsToldThatNobodyKnows(t *testing.T) {
	inEachWay(t, "PERFORM pg_sleep(0.5), pg_terminate_backend(pg_backend_pid())", func(t *testing.T, _ *DB, told error) {
		if _, ok := errors.AsType[*UnavailableError](told); !ok {
			t.Errorf("told: %v", told)
		}
	})
}

// TestWhoIsInABatchIsAnsweredInTime has a batch that may go on for longer than one waits.
func TestWhoIsInABatchIsAnsweredInTime(t *testing.T) {
	db, _ := openPostgresTest(t)
	signedIn(t, db, "bad")
	onUpdate(t, db, "PERFORM pg_sleep(4)")
	db.timeout = 200 * time.Millisecond
	begin := time.Now()
	_, _, err := db.RotateHolder(t.Context(), rotation("bad", 1), unused)
	if _, ok := errors.AsType[*UnavailableError](err); !ok || time.Since(begin) > 3*time.Second {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}
}

// TestWhoHasNoConnectionYetIsNotRotated gives up while others have all connections.
func TestWhoHasNoConnectionYetIsNotRotated(t *testing.T) {
	db, _ := openPostgresTest(t)
	signedIn(t, db, "a")
	pool := db.SQLDB()["postgres"]
	pool.SetMaxOpenConns(1)
	conn, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, giveUp := context.WithCancel(recorded(t))
	gaveUp := make(chan error, 1)
	go func() {
		_, _, err := db.RotateHolder(ctx, rotation("a", 1), unused)
		gaveUp <- err
	}()
	for begin := time.Now(); pool.Stats().WaitCount == 0 && time.Since(begin) < 5*time.Second; time.Sleep(time.Millisecond) {
	}
	giveUp()
	time.Sleep(50 * time.Millisecond)
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up: %v", err)
	}
	if g := generation(t, db, "a"); g != 1 {
		t.Errorf("generation %d", g)
	}
}

// TestRotationOfATransactionIsAPartOfIt undoes one.
func TestRotationOfATransactionIsAPartOfIt(t *testing.T) {
	db, _ := openPostgresTest(t)
	signedIn(t, db, "a")
	undo := errors.New("undo")
	if err := db.InTx(t.Context(), func(ctx context.Context) error {
		_, _, err := db.RotateHolder(ctx, rotation("a", 1), unused)
		return errors.Join(undo, err)
	}); !errors.Is(err, undo) {
		t.Fatal(err)
	}
	if g := generation(t, db, "a"); g != 1 {
		t.Errorf("generation %d", g)
	}
}

// TestTracedRotation has the statement of a request that is traced in its trace.
func TestTracedRotation(t *testing.T) {
	db, r := openPostgresTest(t)
	signedIn(t, db, "a")
	r.batches = batchesAtOnce // a batch would wait in vain
	ctx, cancel := context.WithTimeout(recorded(t), 5*time.Second)
	defer cancel()
	if _, _, err := db.RotateHolder(ctx, rotation("a", 1), unused); err != nil {
		t.Error(err)
	}
}

// TestRotationOfARequestThatIsNotTraced is where others are.
func TestRotationOfARequestThatIsNotTraced(t *testing.T) {
	db := openConfigured(t, Config{URL: pgtest.DSN(t), Spans: sdktrace.NewTracerProvider()})
	signedIn(t, db, "a")
	if errs := inOneBatch(t, rotationsOf(t, db), rotation("a", 1)); errs[0] != nil {
		t.Error(errs[0])
	}
}
