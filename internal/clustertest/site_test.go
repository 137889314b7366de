package clustertest

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

const (
	replicas = 3
	people   = 10
	// wellTimeout is how long after a storm everything may take to be well again.
	wellTimeout = 60 * time.Second
	// calmAfter is how long nothing may go wrong before the next thing is taken away.
	calmAfter = 700 * time.Millisecond
	pollPause = 50 * time.Millisecond
)

// site is the cluster and the people who use it.
type site struct {
	primary, standby *postgres
	database, redis  *line
	replicas         []*replica
	release, next    release // that the replicas run, and that they run after it
	program          *url.Userinfo
	front            *wire   // by way of nginx
	direct           []*wire // to each replica
	weather          weather
	book             *book
}

// newSite starts everything on empty databases, the replicas at once.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{release: build(t, "first"), next: build(t, "second"), book: newBook()}
	s.primary = startPrimary(t)
	s.standby = s.primary.startStandby(t)
	s.database = newLine(t, "database", s.primary.addr)
	s.redis = startRedis(t)
	front := freeAddr(t)
	_, port, err := net.SplitHostPort(front)
	check(t, err)
	base := "http://localhost:" + port
	environ := s.environ(t, base)
	for range replicas {
		r := newReplica(t, environ)
		s.replicas = append(s.replicas, r)
		s.direct = append(s.direct, newWire(t, base, r.addr))
	}
	for _, r := range s.replicas {
		r.start(t, s.release.binary)
	}
	s.front = newWire(t, base, front)
	startNginx(t, front, s.replicas)
	for _, r := range s.replicas {
		r.waitReady(t)
	}
	var made struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	s.replicas[0].command(t, s.release.binary, &made, "client", "create", "--name", "reports", "--output", "json")
	s.program = url.UserPassword(made.ID, made.Secret)
	return s
}

// environ is the configuration that all replicas have. Limits are on, so that
// what keeps them takes part, and too high to be met.
func (s *site) environ(t *testing.T, base string) []string {
	t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	file := filepath.Join(t.TempDir(), "master.key")
	check(t, os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(key)), 0o600))
	const high = "=1000000"
	return []string{
		"JOTGATE_PUBLIC_URL=" + base, "JOTGATE_MASTER_KEY_FILE=" + file, "JOTGATE_TRUSTED_PROXIES=127.0.0.1",
		"JOTGATE_DATABASE_URL=postgres://postgres@" + s.database.addr() + "/postgres?sslmode=disable",
		"JOTGATE_PASSWORD_MEMORY_KIB=64", "JOTGATE_PASSWORD_PASSES=1", "JOTGATE_LOG_LEVEL=info",
		"JOTGATE_RATE_LIMIT_USER_FAILURES" + high, "JOTGATE_RATE_LIMIT_LOGINS_PER_MINUTE" + high,
		"JOTGATE_RATE_LIMIT_REGISTRATIONS_PER_HOUR" + high, "JOTGATE_RATE_LIMIT_REFRESHES_PER_MINUTE" + high,
		"JOTGATE_RATE_LIMIT_PASSWORD_CHECKS_PER_MINUTE" + high, "JOTGATE_REDIS_URL=redis://" + s.redis.addr(),
	}
}

// populate lets people live on the site until the function that it returns is
// called, which waits for what they are doing and returns them.
func (s *site) populate(t *testing.T) (leave func() []*person) {
	t.Helper()
	stop := make(chan struct{})
	var living sync.WaitGroup
	all := make([]*person, people)
	for i := range all {
		all[i] = newPerson(t, s)
		living.Go(func() { all[i].live(stop) })
	}
	return sync.OnceValue(func() []*person {
		close(stop)
		living.Wait()
		return all
	})
}

// storm has f take something away and give it back, and waits until everything is
// well again.
func (s *site) storm(t *testing.T, name string, f func(*storm)) {
	t.Helper()
	before := [...]int{fine: s.book.total(fine), away: s.book.total(away), gateway: s.book.total(gateway)}
	w := s.weather.begin(name)
	f(w)
	given := time.Now()
	s.waitWell(t, name)
	s.weather.end(w)
	ended := time.Now()
	t.Logf("%-34s %5.1f s, well again after %.1f s: %d fine, %d 503, %d 502", name, given.Sub(w.began).Seconds(), ended.Sub(given).Seconds(),
		s.book.total(fine)-before[fine], s.book.total(away)-before[away], s.book.total(gateway)-before[gateway])
	time.Sleep(calmAfter)
}

// waitWell waits until a round of everything succeeds on every replica.
func (s *site) waitWell(t *testing.T, after string) {
	t.Helper()
	for i, r := range s.replicas {
		eventually(t, "replica "+r.addr+" is well again: "+after, func() error {
			return errors.Join(s.round(s.direct[i]), r.ready(t))
		})
	}
}

// calm has f do something that nobody may notice.
func (s *site) calm(t *testing.T, name string, f func()) {
	t.Helper()
	before, began := s.book.total(fine), time.Now()
	f()
	t.Logf("%-34s %5.1f s, unnoticed: %d fine", name, time.Since(began).Seconds(), s.book.total(fine)-before)
}

// round does every operation once.
func (s *site) round(w *wire) error {
	name, password, next := "probe-"+rand.Text()[:16], rand.Text(), rand.Text()
	if err := expect(w.send(register(name, password)), http.StatusCreated); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	var one, two device
	for _, step := range []struct {
		request func() request
		status  int
		into    *device
	}{
		{func() request { return login(name, password) }, http.StatusOK, &one},
		{func() request { return login(name, password) }, http.StatusOK, &two},
		{func() request { return refresh(one) }, http.StatusOK, &one},
		{func() request { return me(one) }, http.StatusOK, nil},
		{func() request { return forwardAuth(two) }, http.StatusNoContent, nil},
		{func() request { return changePassword(one, password, next) }, http.StatusNoContent, nil},
		{func() request { return forwardAuth(two) }, http.StatusUnauthorized, nil},
		{func() request { return login(name, password) }, http.StatusUnauthorized, nil},
		{func() request { return logout(one) }, http.StatusNoContent, nil},
		{func() request { return refresh(one) }, http.StatusUnauthorized, nil},
		{func() request { return clientToken(s.program) }, http.StatusOK, nil},
	} {
		r := step.request()
		a := w.send(r)
		err := expect(a, step.status)
		if err == nil && step.into != nil {
			*step.into, err = a.device()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", r.operation, err)
		}
	}
	return nil
}

func expect(a answer, status int) error {
	if a.err != nil || a.status != status {
		return fmt.Errorf("%s, want %d", a, status)
	}
	return nil
}

// logged is what a replica's log says of an answer, if it is a problem.
func (s *site) logged(a answer) string {
	var p struct {
		RequestID string `json:"request_id"`
	}
	if json.Unmarshal(a.body, &p) != nil || p.RequestID == "" {
		return ""
	}
	text := ""
	for _, r := range s.replicas {
		text += r.process.log.lines(p.RequestID, 3)
	}
	return "\n" + text
}

// eventually waits for f to return nil.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(pollPause) {
		err := f()
		if err == nil {
			return
		}
		if time.Since(began) > wellTimeout {
			t.Fatalf("not within %s: %s: %v", wellTimeout, what, err)
		}
	}
}

// freeAddr returns an address on loopback where nobody listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	check(t, l.Close())
	return l.Addr().String()
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
