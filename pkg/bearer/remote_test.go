package bearer_test

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/jotgate/jotgate/pkg/bearer"
)

// server is an issuer on the network.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	keys     keys
	answer   http.HandlerFunc // instead of the key set, if there is one
	fetches  atomic.Int64
	metadata string
}

func newServer(t *testing.T, k keys) *server {
	t.Helper()
	s := &server{keys: k}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		if s.metadata != "" {
			fmt.Fprint(w, s.metadata)
			return
		}
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, s.URL, s.URL+"/.well-known/jwks.json")
	})
	mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, r *http.Request) {
		s.fetches.Add(1)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.answer != nil {
			s.answer(w, r)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=300")
		fmt.Fprint(w, s.keys.jwks(t))
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *server) set(k keys, answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.answer = k, answer
}

func (k keys) jwks(tb testing.TB) string {
	tb.Helper()
	var set jose.JSONWebKeySet
	for kid, key := range k {
		alg := kid[:5]
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: kid, Algorithm: alg, Use: "sig"})
	}
	return encodeJSON(tb, set)
}

// ticking is a clock that a test moves.
type ticking struct{ at atomic.Int64 }

func (c *ticking) now() time.Time       { return now().Add(time.Duration(c.at.Load())) }
func (c *ticking) step(d time.Duration) { c.at.Add(int64(d)) }

func (s *server) verifier(t *testing.T, c *ticking) *bearer.Verifier {
	t.Helper()
	v, err := bearer.New(t.Context(), bearer.Config{Issuer: s.URL, Audience: audience, Now: c.now, Client: s.Client()})
	check(t, err)
	return v
}

func TestRemoteKeys(t *testing.T) {
	k := newKeys(t)
	s := newServer(t, k)
	v := s.verifier(t, &ticking{})
	for alg := range k {
		if _, err := v.Verify(t.Context(), k.sign(t, alg, header(alg, nil), claims(members{"iss": s.URL}))); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
	if n := s.fetches.Load(); n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
}

func TestUnknownKidsCauseOneFetchInACoolDown(t *testing.T) {
	k := newKeys(t)
	s := newServer(t, k)
	var c ticking
	c.step(time.Minute) // since New fetched, say
	v := s.verifier(t, &c)
	next := newKeys(t)
	token := next.sign(t, "ES256", header("ES256", members{"kid": "ES256-next"}), claims(members{"iss": s.URL}))
	flood := func() {
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				h := header("ES256", members{"kid": fmt.Sprintf("unknown-%d", i)})
				if _, err := v.Verify(t.Context(), k.sign(t, "ES256", h, claims(members{"iss": s.URL}))); !errors.Is(err, bearer.ErrInvalidToken) {
					t.Errorf("error = %v", err)
				}
			})
		}
		wg.Wait()
	}
	flood()
	if n := s.fetches.Load(); n > 2 {
		t.Errorf("%d fetches after a flood, want at most 2", n)
	}
	s.set(keys{"ES256": k["ES256"], "ES256-next": next["ES256"]}, nil)
	c.step(11 * time.Second)
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Errorf("the issuer's next key, after the cool-down: %v", err)
	}
}

func TestKeysThatAreThereOutliveTheIssuer(t *testing.T) {
	k := newKeys(t)
	s := newServer(t, k)
	var c ticking
	v := s.verifier(t, &c)
	s.set(k, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	for range 5 {
		c.step(20 * time.Minute)
		at := c.now()
		token := k.sign(t, "ES256", header("ES256", nil), claims(members{"iss": s.URL, "iat": at.Unix(), "exp": at.Add(time.Minute).Unix()}))
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
}

// goodAt is a token under k["ES256"] that is good at some time.
func (s *server) goodAt(t *testing.T, k keys, at time.Time) string {
	t.Helper()
	return k.sign(t, "ES256", header("ES256", nil), claims(members{"iss": s.URL, "iat": at.Unix(), "exp": at.Add(time.Minute).Unix()}))
}

func TestKeyThatIsGoneIsForgotten(t *testing.T) {
	k := newKeys(t)
	s := newServer(t, k)
	var c ticking
	v := s.verifier(t, &c)
	s.set(keys{"EdDSA": k["EdDSA"]}, nil)
	c.step(6 * time.Minute) // the keys were good for 5
	if _, err := v.Verify(t.Context(), s.goodAt(t, k, c.now())); !errors.Is(err, bearer.ErrInvalidToken) {
		t.Errorf("error = %v; a key that the issuer took back is still good", err)
	}
}

func TestKeysAreRenewedAheadWithoutAWait(t *testing.T) {
	k := newKeys(t)
	s := newServer(t, k)
	var c ticking
	v := s.verifier(t, &c)
	asked, answer := make(chan struct{}), make(chan struct{})
	s.set(k, func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-answer
		fmt.Fprint(w, keys{"EdDSA": k["EdDSA"]}.jwks(t))
	})
	c.step(3 * time.Minute)
	if _, err := v.Verify(t.Context(), s.goodAt(t, k, c.now())); err != nil || s.fetches.Load() != 1 {
		t.Errorf("in the middle of their life: %v, %d fetches, want 1", err, s.fetches.Load())
	}
	c.step(time.Minute)
	for range 3 {
		if _, err := v.Verify(t.Context(), s.goodAt(t, k, c.now())); err != nil {
			t.Errorf("while newer keys are fetched: %v", err)
		}
	}
	<-asked
	close(answer)
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := v.Verify(t.Context(), s.goodAt(t, k, c.now())); err != nil {
			return // by the newer keys
		}
		if time.Now().After(deadline) {
			t.Fatal("the newer keys are not used")
		}
	}
}

// Who sets Issuer wrong is told what it should be.
func TestNewNamesTheIssuerThatItMet(t *testing.T) {
	k := newKeys(t)
	for name, tt := range map[string]struct {
		metadata string
		want     []string
	}{
		"another name": {`{"issuer":"https://auth.example.com"}`, []string{"SERVER", `"https://auth.example.com"`}},
		"no name":      {`{}`, []string{"SERVER", `""`}},
		"HTML":         {"<html>", []string{"SERVER/.well-known/oauth-authorization-server", "something else than metadata"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, k)
			s.metadata = tt.metadata
			_, err := bearer.New(t.Context(), bearer.Config{Issuer: s.URL, Audience: audience, Now: now, Client: s.Client()})
			for _, part := range tt.want {
				if part = strings.Replace(part, "SERVER", s.URL, 1); err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("%v, want %s in it", err, part)
				}
			}
		})
	}
}

func TestNewRefusesIssuers(t *testing.T) {
	k := newKeys(t)
	for name, prepare := range map[string]func(s *server){
		"another name": func(s *server) {
			s.metadata = `{"issuer":"https://evil.example","jwks_uri":"` + s.URL + `/.well-known/jwks.json"}`
		},
		"keys elsewhere": func(s *server) { s.metadata = `{"issuer":"` + s.URL + `","jwks_uri":"http://192.0.2.1/jwks.json"}` },
		"no keys":        func(s *server) { s.keys = keys{} },
		"not JSON":       func(s *server) { s.metadata = "<html>" },
		"too much": func(s *server) {
			s.answer = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat(" ", 65<<10)) }
		},
		"redirect": func(s *server) {
			s.answer = func(w http.ResponseWriter, r *http.Request) {
				if r.URL.RawQuery == "" {
					http.Redirect(w, r, r.URL.Path+"?elsewhere", http.StatusFound)
					return
				}
				fmt.Fprint(w, k.jwks(t))
			}
		},
		"an error": func(s *server) {
			s.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }
		},
		"private key inside": func(s *server) {
			s.answer = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, private(t, k)) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, k)
			prepare(s)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if _, err := bearer.New(ctx, bearer.Config{Issuer: s.URL, Audience: audience, Now: now, Client: s.Client()}); err == nil {
				t.Error("no error")
			}
		})
	}
}

func private(t *testing.T, k keys) string {
	t.Helper()
	key, ok := k["ES256"].(*ecdsa.PrivateKey)
	if !ok {
		t.Fatal("no EC key")
	}
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: "ES256", Algorithm: "ES256", Use: "sig"}}})
	check(t, err)
	return string(b)
}
