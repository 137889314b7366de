package apptest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/apptest"
	"github.com/jotgate/jotgate/internal/config"
	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/pkg/bearer"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	issuer   = "https://auth.example.com"
	ada      = "ada"
	patience = time.Minute
)

// hurry is a pace at which a rotation takes seconds, with as much to spare as a
// busy machine may need.
func hurry() app.Pace {
	return app.Pace{PublishAhead: 6 * time.Second, KeysMaxAge: time.Second, ReloadEach: 200 * time.Millisecond}
}

// fleet is two replicas on one PostgreSQL, each of which can be started again
// with other settings while the other one serves.
type fleet struct {
	*testing.T
	dsn      string
	pace     app.Pace
	replicas [2]struct {
		mu   sync.RWMutex // held to write while it starts again
		app  *app.App
		url  string
		stop func()
	}
}

func newFleet(t *testing.T, environ ...string) *fleet {
	t.Helper()
	return newFleetPaced(t, hurry(), environ...)
}

func newFleetPaced(t *testing.T, pace app.Pace, environ ...string) *fleet {
	t.Helper()
	f := &fleet{T: t, dsn: pgtest.DSN(t), pace: pace}
	for i := range f.replicas {
		f.start(i, environ...)
		t.Cleanup(func() { f.replicas[i].stop() })
	}
	return f
}

func masterKey(digit string) string { return "JOTGATE_MASTER_KEY=" + strings.Repeat(digit, 64) }

func otherKey(digit string) string { return "JOTGATE_MASTER_KEY_OTHER=" + strings.Repeat(digit, 64) }

// build is the program as one replica or one command builds it.
func (f *fleet) build(environ ...string) *app.App {
	f.Helper()
	c, err := config.Load(config.Source{Environ: append([]string{
		"JOTGATE_HTTP_ADDR=127.0.0.1:0", "JOTGATE_OPS_ADDR=127.0.0.1:0", "JOTGATE_PUBLIC_URL=" + issuer, "JOTGATE_DATABASE_URL=" + f.dsn,
		"JOTGATE_DATA_DIR=" + filepath.Join(f.TempDir(), "data"), "JOTGATE_RATE_LIMIT_ENABLED=false",
		"JOTGATE_PASSWORD_MEMORY_KIB=64", "JOTGATE_PASSWORD_PASSES=1",
	}, environ...)})
	if err != nil {
		f.Fatal(err)
	}
	a, err := app.NewPaced(f.Context(), c, app.Build{Version: "test"}, slog.New(slog.DiscardHandler), f.pace)
	if err != nil {
		f.Fatal(err)
	}
	return a
}

func (f *fleet) start(i int, environ ...string) {
	f.Helper()
	a := f.build(environ...)
	ctx, cancel := context.WithCancel(context.WithoutCancel(f.Context()))
	started, ended := make(chan app.Listening, 1), make(chan error, 1)
	go func() { ended <- a.Run(ctx, func(l app.Listening) { started <- l }) }()
	r := &f.replicas[i]
	r.app = a
	r.stop = func() {
		cancel()
		if err := errors.Join(<-ended, a.Close()); err != nil {
			f.Error(err)
		}
	}
	select {
	case l := <-started:
		r.url = "http://" + l.API.String()
	case err := <-ended:
		f.Fatal(err)
	}
}

// restart starts replica i again, once what it is asked has been answered.
func (f *fleet) restart(i int, environ ...string) {
	f.Helper()
	f.replicas[i].mu.Lock()
	defer f.replicas[i].mu.Unlock()
	f.replicas[i].stop()
	f.start(i, environ...)
}

// operate runs a command beside the replicas.
func (f *fleet) operate(do func(a *app.App) error, environ ...string) {
	f.Helper()
	a := f.build(environ...)
	if err := errors.Join(do(a), a.Close()); err != nil {
		f.Fatal(err)
	}
}

// wait waits until every replica is as it should be.
func (f *fleet) wait(what string, ok func(a *app.App) bool) {
	f.Helper()
	for i := range f.replicas {
		for end := time.Now().Add(patience); !ok(f.replicas[i].app); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				f.Fatalf("replica %d: %s does not come true", i, what)
			}
		}
	}
}

// call asks replica i, or the other one while that starts again.
func (f *fleet) call(i int, method, path, token string, body, answer any) (http.Header, error) {
	if !f.replicas[i].mu.TryRLock() {
		i = 1 - i
		f.replicas[i].mu.RLock()
	}
	defer f.replicas[i].mu.RUnlock()
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(f.Context()), method, f.replicas[i].url+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("%s %s at replica %d: %d %s", method, path, i, res.StatusCode, got)
	}
	if answer == nil {
		return res.Header, nil
	}
	return res.Header, json.Unmarshal(got, answer)
}

func (f *fleet) login(i int) (apptest.Tokens, error) {
	var t apptest.Tokens
	_, err := f.call(i, http.MethodPost, "/v1/login", "", map[string]string{"identifier": ada, "password": apptest.Password}, &t)
	return t, err
}

func (f *fleet) me(i int, token string) error {
	_, err := f.call(i, http.MethodGet, "/v1/me", token, nil, nil)
	return err
}

func (f *fleet) signUp() {
	f.Helper()
	if _, err := f.call(0, http.MethodPost, "/v1/users", "", map[string]string{"username": ada, "password": apptest.Password}, nil); err != nil {
		f.Fatal(err)
	}
}

// patientVerifier keeps the key set of replica i for exactly as long as max-age
// says and asks for no kid in between, as a verifier may that never hurries.
func (f *fleet) patientVerifier(i int) *bearer.Verifier {
	f.Helper()
	var mu sync.Mutex
	var keys jose.JSONWebKeySet
	var until time.Time
	v, err := bearer.New(f.Context(), bearer.Config{Issuer: issuer, Audience: issuer, Keys: func(_ context.Context, kid string) (bearer.Key, error) {
		mu.Lock()
		defer mu.Unlock()
		if asked := time.Now(); !asked.Before(until) {
			var fetched jose.JSONWebKeySet
			header, err := f.call(i, http.MethodGet, "/.well-known/jwks.json", "", nil, &fetched)
			if err != nil {
				return bearer.Key{}, err
			}
			age, err := strconv.Atoi(strings.TrimPrefix(header.Get("Cache-Control"), "public, max-age="))
			if err != nil {
				return bearer.Key{}, err
			}
			keys, until = fetched, asked.Add(time.Duration(age)*time.Second)
		}
		for _, k := range keys.Key(kid) {
			return bearer.Key{Algorithm: k.Algorithm, Public: k.Key}, nil
		}
		return bearer.Key{}, fmt.Errorf("no key %s among %d", kid, len(keys.Keys))
	}})
	if err != nil {
		f.Fatal(err)
	}
	return v
}
