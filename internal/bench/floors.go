package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/crypto/argon2"
	_ "modernc.org/sqlite" // the driver that jotgate uses

	"github.com/jotgate/jotgate/internal/pgtest"
)

// floorArg is the first argument of a process that does one bare thing; the name of
// the thing follows, and what it takes.
const floorArg = "floor"

// floor does one bare thing. It prints how often a second, or where it serves.
func floor(ctx context.Context, args []string, out io.Writer) error {
	name, args := args[0], args[1:]
	switch name {
	case "hello":
		return hello(ctx, args[0])
	case "postgres":
		return postgres(ctx, out)
	}
	length, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	works := map[string]func(context.Context, time.Duration, []string) (float64, error){
		"hash": hashes, "sign": signatures, "rows": groups, "update": updates,
	}
	rate, err := works[name](ctx, length, args[1:])
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(rate)
}

// rateOf runs a floor for a while on some cores, and returns how often a second.
func rateOf(ctx context.Context, cpus []int, length time.Duration, name string, args ...string) (float64, error) {
	rate, _, err := runFloor(ctx, cpus, length, name, args...)
	return rate, err
}

// runFloor returns the process, too, when it is over.
func runFloor(ctx context.Context, cpus []int, length time.Duration, name string, args ...string) (rate float64, over *os.ProcessState, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, nil, err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{floorArg, name, length.String()}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, nil, err
	}
	if err := startOn(cpus, cmd); err != nil {
		return 0, nil, err
	}
	err = json.NewDecoder(out).Decode(&rate)
	err = errors.Join(err, cmd.Wait())
	return rate, cmd.ProcessState, err
}

// hello is a Gin server that answers JSON and does nothing else.
func hello(ctx context.Context, addr string) error {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.GET("/healthz", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"status": "ok"}) })
	s := &http.Server{Addr: addr, Handler: r, ReadHeaderTimeout: time.Second}
	context.AfterFunc(ctx, func() {
		if err := s.Close(); err != nil {
			return // it is over in any case
		}
	})
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// repeat does f over and over on n goroutines, and returns how often a second. What each
// does first does not count: it makes what the others find.
func repeat(length time.Duration, n int, f func(worker int) error) (float64, error) {
	var done atomic.Int64
	errs := make([]error, n)
	together := func(f func(i int)) time.Duration {
		var wg sync.WaitGroup
		begin := time.Now()
		for i := range n {
			wg.Go(func() { f(i) })
		}
		wg.Wait()
		return time.Since(begin)
	}
	together(func(i int) { errs[i] = f(i) })
	begin := time.Now()
	took := together(func(i int) {
		for time.Since(begin) < length && errs[i] == nil {
			if errs[i] = f(i); errs[i] == nil {
				done.Add(1)
			}
		}
	})
	return float64(done.Load()) / took.Seconds(), errors.Join(errs...)
}

// hashes makes argon2id hashes at jotgate's default parameters, some at once.
func hashes(_ context.Context, length time.Duration, args []string) (float64, error) {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return 0, err
	}
	return repeat(length, n, func(int) error {
		argon2.IDKey([]byte("correct horse battery staple"), []byte("0123456789abcdef"), 2, hashMiB*1024, 1, 32)
		return nil
	})
}

// signatures signs access tokens with golang-jwt.
func signatures(_ context.Context, length time.Duration, _ []string) (float64, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return 0, err
	}
	return repeat(length, 1, func(int) error {
		_, err := accessToken(key, "j")
		return err
	})
}

// accessToken makes one as jotgate's are.
func accessToken(key *ecdsa.PrivateKey, jti string) (string, error) {
	now := time.Now()
	t := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": "i", "aud": "a", "sub": "s", "sid": "s", "client_id": "c", "jti": jti, "mode": "bearer", "scope": "", "amr": []string{"pwd"},
		"roles": []string{}, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "auth_time": now.Unix(),
	})
	t.Header["typ"], t.Header["kid"] = "at+jwt", "k"
	return t.SignedString(key)
}

// groups changes rows of an SQLite file, 32 in a transaction, and returns how many a second.
func groups(ctx context.Context, length time.Duration, args []string) (rate float64, err error) {
	db, err := sql.Open("sqlite", "file:"+args[0]+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	const table = `CREATE TABLE s (id TEXT PRIMARY KEY, generation INTEGER NOT NULL, last_used_at INTEGER NOT NULL,
		retry TEXT NOT NULL, expires_at INTEGER NOT NULL, ended_at INTEGER NOT NULL) WITHOUT ROWID`
	if _, err := db.ExecContext(ctx, table); err != nil {
		return 0, err
	}
	for i := range sessions {
		if _, err := db.ExecContext(ctx, "INSERT INTO s VALUES (?, 1, 0, '', 1, 0)", strconv.Itoa(i)); err != nil {
			return 0, err
		}
	}
	change, err := db.PrepareContext(ctx, "UPDATE s SET generation = generation + 1, last_used_at = ?, expires_at = ? WHERE id = ? AND ended_at = 0")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, change.Close()) }()
	rate, err = repeat(length, 1, func(int) error { return group(ctx, db, change) })
	return rate * sessions, err
}

func group(ctx context.Context, db *sql.DB, change *sql.Stmt) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	now := time.Now().UnixMicro()
	in := tx.StmtContext(ctx, change) //nolint:sqlclosecheck // the transaction closes it
	for i := range sessions {
		if _, err := in.ExecContext(ctx, now, now+1, strconv.Itoa(i)); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// postgres runs a PostgreSQL until its standard input ends, on the cores of this
// process, and prints where.
func postgres(_ context.Context, out io.Writer) error {
	signal.Ignore(os.Interrupt, syscall.SIGTERM) // who started this tells it by closing its input
	url, stop, err := pgtest.Start()
	if err != nil {
		return err
	}
	fmt.Fprintln(out, url)
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, stop())
}
