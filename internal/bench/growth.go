package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	grownUsers    = 1_000_000
	grownSessions = 10_000_000
	quickly       = 100 // what the sizes are divided by with -quick
	fewUsers      = 64  // in the database that is called empty
	// growthClients is how many clients ask at once.
	growthClients = 8
	// cycle is how many sessions are refreshed in turn.
	cycle = 1024
	// flat is how much longer than on an empty database something may take.
	flat = 1.2
	// startBound is how many milliseconds a start may take.
	startBound = 2000
)

// ground is a kind of database, two of which are compared.
type ground struct {
	kind string
	url  func(database string) string
	b    *bench
	seeding
}

// The two databases.
const (
	few  = "few"
	many = "many"
)

// growthOnSQLite compares a database of many users and sessions with one of few.
func (b *bench) growthOnSQLite(ctx context.Context) error {
	g := &ground{kind: "SQLite", b: b, url: func(database string) string {
		return "sqlite:" + filepath.Join(b.dir, "growth-"+database, "jotgate.db")
	}}
	return g.measure(ctx)
}

// growthOnPostgres does so on a PostgreSQL on the server's core.
func (b *bench) growthOnPostgres(ctx context.Context) (err error) {
	url, stop, err := b.startPostgres(ctx)
	if err != nil {
		b.row("growth on PostgreSQL", "not measured: "+err.Error())
		return nil
	}
	defer func() { err = errors.Join(err, stop()) }()
	db, err := openSQL(url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, database := range []string{few, many} {
		if _, err := db.ExecContext(ctx, "CREATE DATABASE "+database); err != nil {
			return err
		}
	}
	g := &ground{kind: "PostgreSQL", b: b, url: func(database string) string {
		return strings.Replace(url, "/postgres?", "/"+database+"?", 1)
	}}
	return g.measure(ctx)
}

func (g *ground) measure(ctx context.Context) error {
	g.users, g.sessions = grownUsers, grownSessions
	if g.b.quick {
		g.users, g.sessions = grownUsers/quickly, grownSessions/quickly
	}
	for _, step := range []func(context.Context) error{g.seed, g.prunedBeside, g.slices, g.flatness, g.starts, g.longFeed} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (g *ground) start(ctx context.Context, database string) (*child, error) {
	return g.b.startJotgate(ctx, "growth-"+database, noLimits, cheapMemory, cheapPasses, masterKey, "JOTGATE_DATABASE_URL="+g.url(database))
}

// with runs f beside a server on a database.
func (g *ground) with(ctx context.Context, database string, f func(*child) error) error {
	return with(func() (*child, error) { return g.start(ctx, database) }, f)
}

// seed has the program make its tables and one user, and gives the others that user's
// password.
func (g *ground) seed(ctx context.Context) (err error) {
	if err := g.with(ctx, many, func(c *child) error { _, err := signIn(c.addr, 1); return err }); err != nil {
		return err
	}
	if g.hash, err = hashOf(ctx, g.url(many)); err != nil {
		return err
	}
	g.now = time.Now()
	if err := fill(ctx, g.url(many), g.tables()); err != nil {
		return err
	}
	g.b.row("the full database, "+g.kind, fmt.Sprintf("%d users, %d sessions, %d of which are due for pruning; filled in %s",
		g.users, g.sessions+g.due(), g.due(), time.Since(g.now).Round(time.Second)))
	return nil
}

// hashOf returns the hash of the password of the one user of a database.
func hashOf(ctx context.Context, url string) (hash string, err error) {
	db, err := openSQL(url)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.QueryRowContext(ctx, "SELECT password_hash FROM users").Scan(&hash)
	return hash, err
}

// visitor names users of a database one after another, all over it.
type visitor struct{ at, users int }

func (v *visitor) name() string {
	v.at++
	return usernameOf(scattered(v.at, v.users))
}

// entering is a client that logs one user in after another.
type entering struct{ *visitor }

func (e entering) next() []byte {
	return request("POST", "/v1/login", strings.Replace(login, `"ada"`, `"`+e.name()+`"`, 1))
}

func (e entering) got(status int, body []byte) error {
	return wantStatus("login", http.StatusOK, status, body)
}

func wantStatus(what string, want, status int, body []byte) error {
	if status != want {
		return fmt.Errorf("%s: %d %s", what, status, body)
	}
	return nil
}

// taking is a client that keeps what it got for its logins, until it has enough.
type taking struct {
	entering

	left int
	took []tokens
}

func (t *taking) next() []byte {
	if t.left == 0 {
		return nil
	}
	t.left--
	return t.entering.next()
}

func (t *taking) got(status int, body []byte) error {
	var one tokens
	if err := json.Unmarshal(body, &one); err != nil || status != http.StatusOK {
		return fmt.Errorf("login: %d %s", status, body)
	}
	t.took = append(t.took, one)
	return nil
}

// circling is a client that refreshes its sessions in turn.
type circling struct {
	all []*rotating
	at  int
}

func (c *circling) next() []byte { c.at = (c.at + 1) % len(c.all); return c.all[c.at].next() }

func (c *circling) got(status int, body []byte) error { return c.all[c.at].got(status, body) }

// leaving is a client that ends its sessions one after another.
type leaving struct{ all []tokens }

func (l *leaving) next() []byte {
	if len(l.all) == 0 {
		return nil
	}
	first := l.all[0]
	l.all = l.all[1:]
	return request("POST", "/v1/logout", "", first.header())
}

func (*leaving) got(status int, body []byte) error {
	return wantStatus("logout", http.StatusNoContent, status, body)
}

// crowd is the clients of one server.
type crowd struct {
	addr                      string
	visitors                  []*visitor
	logins, refreshes, leaves *measured
}

// newCrowd has the users of a database sign in, so that there is something to refresh.
func newCrowd(ctx context.Context, addr string, users int) (*crowd, error) {
	c := &crowd{addr: addr, logins: &measured{addr: addr}, refreshes: &measured{addr: addr}, leaves: &measured{addr: addr}}
	for i := range growthClients {
		v := &visitor{at: i * users, users: users}
		c.visitors = append(c.visitors, v)
		c.logins.asks = append(c.logins.asks, entering{v})
	}
	signedIn, err := c.signIn(ctx, cycle)
	if err != nil {
		return nil, err
	}
	for _, some := range signedIn {
		one := &circling{}
		for _, t := range some {
			one.all = append(one.all, &rotating{t.Refresh})
		}
		c.refreshes.asks = append(c.refreshes.asks, one)
	}
	return c, nil
}

// signIn returns some logins for each client.
func (c *crowd) signIn(ctx context.Context, n int) ([][]tokens, error) {
	var asks []ask
	var all []*taking
	for _, v := range c.visitors {
		t := &taking{entering: entering{v}, left: n / growthClients}
		asks, all = append(asks, t), append(all, t)
	}
	if _, err := drive(ctx, c.addr, asks); err != nil {
		return nil, err
	}
	took := make([][]tokens, len(all))
	for i, t := range all {
		took[i] = t.took
	}
	return took, nil
}

// leave ends as many sessions as there were made for it. How long that takes is not
// given, how many there are is.
func (c *crowd) leave(ctx context.Context, n int) error {
	signedIn, err := c.signIn(ctx, n)
	if err != nil {
		return err
	}
	c.leaves.asks = nil
	for _, some := range signedIn {
		c.leaves.asks = append(c.leaves.asks, &leaving{some})
	}
	return c.leaves.round(ctx, time.Minute)
}

// flatness asks both databases in turn.
func (g *ground) flatness(ctx context.Context) error {
	return g.with(ctx, few, func(c *child) error {
		for i := range fewUsers {
			status, body, err := once(c.addr, request("POST", "/v1/users", strings.Replace(user, "ada", usernameOf(i), 1)))
			if err := errors.Join(err, wantStatus("register", http.StatusCreated, status, body)); err != nil {
				return err
			}
		}
		return g.with(ctx, many, func(full *child) error {
			empty, err := newCrowd(ctx, c.addr, fewUsers)
			if err != nil {
				return err
			}
			crowded, err := newCrowd(ctx, full.addr, g.users)
			if err != nil {
				return err
			}
			return g.compare(ctx, empty, crowded)
		})
	})
}

func (g *ground) compare(ctx context.Context, empty, full *crowd) error {
	turn := []*crowd{empty, full}
	for range g.b.rounds * perRound {
		for _, kind := range []func(*crowd) error{
			func(c *crowd) error { return c.logins.round(ctx, g.b.length/perRound) },
			func(c *crowd) error { return c.refreshes.round(ctx, g.b.length/perRound) },
			func(c *crowd) error { return c.leave(ctx, cycle/perRound) },
		} {
			for _, c := range turn {
				if err := kind(c); err != nil {
					return err
				}
			}
		}
		slices.Reverse(turn) // neither is always the one that comes after the other
	}
	for _, kind := range []struct {
		name        string
		full, empty *measured
	}{
		{"POST /v1/login", full.logins, empty.logins},
		{"POST /v1/refresh", full.refreshes, empty.refreshes},
		{"POST /v1/logout", full.leaves, empty.leaves},
	} {
		g.b.add(fmt.Sprintf("%s, %d users and %d sessions, p50, %s", kind.name, g.users, g.sessions, g.kind),
			fmt.Sprintf("p50 %.2f ms, p99 %.1f ms; empty p50 %.2f ms, p99 %.1f ms",
				median(kind.full.p50s), median(kind.full.p99), median(kind.empty.p50s), median(kind.empty.p99)),
			byRound(shares(kind.full.p50s, kind.empty.p50s)), "of an empty database's", atMost(flat))
	}
	return nil
}

// starts measures from the start of the program until it says that it is ready.
func (g *ground) starts(ctx context.Context) error {
	return g.startsOn(ctx, fmt.Sprintf("start on a database of %d sessions, until it is ready, %s", g.sessions, g.kind))
}

func (g *ground) startsOn(ctx context.Context, work string) error {
	var starts, memory []float64
	for range g.b.rounds {
		begin := time.Now()
		if err := g.with(ctx, many, func(c *child) error {
			if err := ready(ctx, c.addr); err != nil {
				return err
			}
			starts = append(starts, ms(time.Since(begin)))
			mib, err := c.memory("VmHWM")
			memory = append(memory, mib)
			return err
		}); err != nil {
			return err
		}
	}
	g.b.add(work, fmt.Sprintf("%.0f ms, %.0f MiB at most", median(starts), median(memory)), starts, milliseconds, atMost(startBound))
	return nil
}

func ready(ctx context.Context, addr string) error {
	for end := time.Now().Add(patience); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(time.Millisecond) {
		status, _, err := once(addr, request("GET", "/readyz", ""))
		if err != nil || status == http.StatusOK {
			return err
		}
	}
	return errors.New("it does not become ready")
}

// longFeed measures the start where the feed holds a day of many revocations that are in
// force no more.
func (g *ground) longFeed(ctx context.Context) error {
	s := g.seeding
	s.now = time.Now()
	rows := g.sessions / 10
	if err := empty(ctx, g.url(many), []string{"DELETE FROM revocations"}); err != nil {
		return err
	}
	if err := fill(ctx, g.url(many), []table{s.feed(rows)}); err != nil {
		return err
	}
	return g.startsOn(ctx, fmt.Sprintf("the same with %d revocations that have expired, %s", rows, g.kind))
}
