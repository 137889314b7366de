package clustertest

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"
)

var soak = flag.Duration("cluster.soak", 0, "how long TestCluster goes on taking things away; at the least each once")

// TestCluster is the one test: everything in it is started once.
func TestCluster(t *testing.T) {
	began := time.Now()
	s := newSite(t)
	s.migratedOnce(t)
	leave := s.populate(t)
	defer leave() // before anything is stopped
	s.calm(t, "nothing", func() { time.Sleep(2 * time.Second) })
	for round := 0; round == 0 || time.Since(began) < *soak; round++ {
		for _, scene := range s.scenes() {
			scene(t)
		}
	}
	s.calm(t, "nothing", func() { time.Sleep(time.Second) })
	s.audit(t, leave())
	t.Logf("%s in %.0f s", s.book.table(), time.Since(began).Seconds())
}

// scenes is everything that is done to the site, in an order in which each leaves
// what the next one needs.
func (s *site) scenes() []func(*testing.T) {
	return []func(*testing.T){
		s.logoutsAreHeardOf, s.replicaIsKilled, s.replicaDrains,
		s.databaseIsCut, s.databaseIsSlow, s.databaseIsNarrow, s.databaseStalls,
		s.redisIsAway, s.databaseRestarts, s.databaseCrashes, s.databaseFailsOver, s.releaseIsRolled,
	}
}

// migratedOnce looks at what three replicas made of an empty database at once.
func (s *site) migratedOnce(t *testing.T) {
	t.Helper()
	for what, sql := range map[string]string{
		"a migration ran twice":   "SELECT count(*) FROM (SELECT 1 FROM goose_db_version GROUP BY version_id HAVING count(*) > 1) AS twice",
		"more than one key signs": "SELECT count(*) - 1 FROM signing_keys",
	} {
		if n := s.primary.count(t, sql); n != 0 {
			t.Errorf("%s: %d", what, n)
		}
	}
	var sets []string
	for _, r := range s.replicas {
		_, set, err := get(t, "http://"+r.addr+"/.well-known/jwks.json")
		check(t, err)
		sets = append(sets, set)
	}
	if len(slices.Compact(sets)) != 1 {
		t.Errorf("the replicas publish different keys: %q", sets)
	}
}

// logoutsAreHeardOf ends sessions on one replica and waits until the others refuse
// their access tokens, which nobody asks the database about.
func (s *site) logoutsAreHeardOf(t *testing.T) {
	t.Helper()
	var slowest time.Duration
	s.calm(t, "logouts", func() {
		p := newPerson(t, s)
		p.register(p.name, p.password)
		for i := range 2 * replicas {
			d := p.login()
			for _, w := range s.direct {
				check(t, expect(w.send(forwardAuth(d)), http.StatusNoContent))
			}
			check(t, expect(s.direct[i%replicas].send(logout(d)), http.StatusNoContent))
			done := time.Now()
			for j, w := range s.direct {
				eventually(t, "replica "+s.replicas[j].addr+" hears of a logout", func() error {
					return expect(w.send(forwardAuth(d)), http.StatusUnauthorized)
				})
			}
			slowest = max(slowest, time.Since(done))
		}
	})
	t.Logf("the slowest of %d logouts was heard of everywhere after %.2f s", 2*replicas, slowest.Seconds())
}

func (s *site) replicaIsKilled(t *testing.T) {
	t.Helper()
	s.storm(t, "a replica is killed", func(w *storm) {
		r := s.replicas[0]
		s.weather.kill(w, func() { _ = r.process.end(t, syscall.SIGKILL) }) // says that it was killed
		time.Sleep(2 * time.Second)
		r.start(t, s.release.binary)
		r.waitReady(t)
	})
}

func (s *site) replicaDrains(t *testing.T) {
	t.Helper()
	s.calm(t, "a replica is stopped", func() {
		s.replace(t, s.replicas[1])
	})
}

// replace stops a replica as every supervisor does, and starts the present binary.
func (s *site) replace(t *testing.T, r *replica) {
	t.Helper()
	if err := r.process.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("replica %s ended with %v: %s", r.addr, err, r.process.log.lines("", 5))
	}
	time.Sleep(500 * time.Millisecond)
	r.start(t, s.release.binary)
	r.waitReady(t)
}

func (s *site) databaseIsCut(t *testing.T) {
	t.Helper()
	s.bites(t, "the database is cut off", func(*storm) {
		s.database.cut()
		time.Sleep(3 * time.Second)
		s.database.mend(t)
	})
}

func (s *site) databaseIsSlow(t *testing.T) {
	t.Helper()
	s.poisoned(t, "the database is 300 ms away", "latency", "latency", 300, 4*time.Second)
}

func (s *site) databaseIsNarrow(t *testing.T) {
	t.Helper()
	s.poisoned(t, "the database is behind 20 KB/s", "bandwidth", "rate", 20, 4*time.Second)
}

// databaseStalls for longer than a request may take.
func (s *site) databaseStalls(t *testing.T) {
	t.Helper()
	before := s.book.total(away)
	s.poisoned(t, "the database is a black hole", "timeout", "timeout", 0, 14*time.Second)
	if s.book.total(away) == before {
		t.Error("nobody noticed a database that does not answer")
	}
}

func (s *site) poisoned(t *testing.T, name, kind, attribute string, value int, lasts time.Duration) {
	t.Helper()
	s.storm(t, name, func(*storm) {
		s.database.poison(t, kind, attribute, value)
		time.Sleep(lasts)
		s.database.cure(t, kind)
	})
}

// bites is a storm of which somebody must have noticed something.
func (s *site) bites(t *testing.T, name string, f func(*storm)) {
	t.Helper()
	before := s.book.total(away)
	s.storm(t, name, f)
	if s.book.total(away) == before {
		t.Errorf("%s: nobody noticed", name)
	}
}

// databaseRestarts as pg_ctl restart -m fast does.
func (s *site) databaseRestarts(t *testing.T) {
	t.Helper()
	s.bites(t, "PostgreSQL restarts", func(*storm) {
		check(t, s.primary.process.end(t, syscall.SIGINT))
		s.primary.start(t)
		s.primary.waitForStandby(t)
	})
}

// databaseCrashes as pg_ctl restart -m immediate has it, and recovers.
func (s *site) databaseCrashes(t *testing.T) {
	t.Helper()
	s.bites(t, "PostgreSQL crashes and recovers", func(*storm) {
		_ = s.primary.process.end(t, syscall.SIGQUIT) // ends with an error
		s.primary.start(t)
		s.primary.waitForStandby(t)
	})
}

// databaseFailsOver to the standby, which gets a standby of its own when
// everything has been well without one.
func (s *site) databaseFailsOver(t *testing.T) {
	t.Helper()
	s.bites(t, "PostgreSQL fails over", func(*storm) {
		s.primary.kill(t)
		s.standby.tool(t, "pg_ctl", "promote", "--wait")
		s.database.leadTo(t, s.standby.addr)
	})
	s.primary = s.standby
	s.calm(t, "a new standby is made", func() { s.standby = s.primary.startStandby(t) })
}

// releaseIsRolled replaces the replicas one by one.
func (s *site) releaseIsRolled(t *testing.T) {
	t.Helper()
	s.release, s.next = s.next, s.release
	s.calm(t, "a release is rolled", func() {
		for _, r := range s.replicas {
			s.replace(t, r)
			if got := r.version(t); got != s.release.version {
				t.Errorf("replica %s says that it is version %q, want %q", r.addr, got, s.release.version)
			}
		}
	})
}

// audit asks whether all that was acknowledged holds, on every replica.
func (s *site) audit(t *testing.T, all []*person) {
	t.Helper()
	for i, p := range all {
		if p.lost {
			continue // reported already
		}
		for j := range s.direct {
			if err := p.prove(s.direct[(i+j)%replicas]); err != nil {
				t.Errorf("%s: %v", p.name, err)
			}
		}
		// Each refresh that was acknowledged counted once, however often it was tried.
		generation := s.primary.count(t, "SELECT generation FROM sessions WHERE id = '"+p.phone.Session.ID+"'")
		if generation != 1+p.phone.refreshes {
			t.Errorf("%s is at generation %d after %d refreshes", p.name, generation, p.phone.refreshes)
		}
	}
	s.auditGraves(t)
	if n := s.primary.count(t, "SELECT count(*) FROM users WHERE username LIKE 'user-%'"); n != s.book.users {
		t.Errorf("%d users in the database, %d were registered", n, s.book.users)
	}
	if n := s.primary.count(t, "SELECT count(*) FROM sessions WHERE end_reason = 'reuse'"); n != 0 {
		t.Errorf("%d sessions were ended for a reuse that was none", n)
	}
}

// prove shows that the last tokens and the last password open, and that the
// password before does not.
func (p *person) prove(w *wire) error {
	a := w.send(refresh(p.phone))
	next, err := a.device()
	if err := errors.Join(expect(a, http.StatusOK), err); err != nil {
		return fmt.Errorf("the last refresh token: %w", err)
	}
	next.refreshes = p.phone.refreshes + 1
	p.phone = next
	if err := expect(w.send(me(p.phone)), http.StatusOK); err != nil {
		return fmt.Errorf("the access token: %w", err)
	}
	if err := expect(w.send(login(p.name, p.password)), http.StatusOK); err != nil {
		return fmt.Errorf("the password: %w", err)
	}
	if p.previous == "" {
		return nil
	}
	if err := expect(w.send(login(p.name, p.previous)), http.StatusUnauthorized); err != nil {
		return fmt.Errorf("the password before: %w", err)
	}
	return nil
}

func (s *site) auditGraves(t *testing.T) {
	t.Helper()
	for i, g := range s.book.graves() {
		for j, w := range s.direct {
			if err := expect(w.send(forwardAuth(g.device)), http.StatusUnauthorized); err != nil {
				t.Errorf("replica %s lets in whose session %s (%s): %v", s.replicas[j].addr, g.Session.ID, g.how, err)
			}
		}
		w := s.direct[i%replicas]
		for _, r := range []request{refresh(g.device), me(g.device)} {
			if a := w.send(r); a.outcome(http.StatusUnauthorized) != fine || a.code() == "token-reused" {
				t.Errorf("%s of session %s (%s): %s", r.operation, g.Session.ID, g.how, a)
			}
		}
	}
}
