package password_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/jotgate/jotgate/internal/password"
)

// TestMain lets the tests' program be one that hashes.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "serve-hashes" {
		if err := password.Serve(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func cheap() password.Params { return password.Params{MemoryKiB: 64, Passes: 1, Lanes: 1} }

func newHasher(tb testing.TB, p password.Params, queue int) *password.Hasher {
	tb.Helper()
	h := password.NewHasher(p, 1, queue)
	tb.Cleanup(h.Close)
	return h
}

func TestNormalize(t *testing.T) {
	tests := []struct {
		name, in, want string
		err            error
	}{
		{"plain", "correct horse", "correct horse", nil},
		{"spaces stay", "  a  ", "  a  ", nil},
		{"composed", "caf\u00e9", "caf\u00e9", nil},
		{"decomposed", "cafe\u0301", "caf\u00e9", nil},
		{"compatibility forms stay", "\ufb01", "\ufb01", nil},
		{"upper case stays", "ABC", "ABC", nil},
		{"256 characters", strings.Repeat("ä", 256), strings.Repeat("ä", 256), nil},
		{"257 characters", strings.Repeat("ä", 257), "", password.ErrTooLong},
		{"256 of four bytes", strings.Repeat("🔑", 256), strings.Repeat("🔑", 256), nil},
		{"256 after composing", strings.Repeat("e\u0301", 256), strings.Repeat("é", 256), nil},
		{"a megabyte", strings.Repeat("a", 1<<20), "", password.ErrTooLong},
		{"NUL", "a\x00b", "", password.ErrCharacters},
		{"tab", "a\tb", "", password.ErrCharacters},
		{"delete", "a\x7fb", "", password.ErrCharacters},
		{"C1", "a\u0085b", "", password.ErrCharacters},
		{"not UTF-8", "a\xffb", "", password.ErrCharacters},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := password.Normalize(tt.in); got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("Normalize = %.40q, %v; want %.40q, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestPolicy(t *testing.T) {
	tests := []struct{ name, plain, rule string }{
		{"good", "correct horse battery staple", ""},
		{"fifteen characters", "fifteen-chars-x", ""},
		{"fourteen characters", "fourteen-chars", password.TooShort},
		{"fifteen umlauts", strings.Repeat("äö", 7) + "ü", ""},
		{"fourteen of many bytes", strings.Repeat("🔑", 14), password.TooShort},
		{"common", "passwordpassword", password.Common},
		{"common in another case", "PassWordPassword", password.Common},
		{"contains a common one", "passwordpassword and more", ""},
		{"username", "ada-of-lovelace", password.ContainsIdentity},
		{"username in another case", "Ada-of-Lovelace", password.ContainsIdentity},
		{"username twice", "ada-of-lovelaceada-of-lovelace", password.ContainsIdentity},
		{"username and more", "ada-of-lovelace!", ""},
		{"email", "countess@example.com", password.ContainsIdentity},
		{"local part twice", "countesscountess", password.ContainsIdentity},
		{"product", "jotgatejotgatejotgate", password.ContainsIdentity},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := password.Policy{MinLength: 15}.Check(tt.plain, "ada-of-lovelace", "countess@example.com")
			weak, _ := errors.AsType[*password.WeakError](err)
			if tt.rule == "" && err != nil || tt.rule != "" && (weak == nil || weak.Rule != tt.rule) {
				t.Errorf("Check(%q) = %v, want %q", tt.plain, err, tt.rule)
			}
		})
	}
	if err := (password.Policy{MinLength: 8}).Check("x-y-z-1-2", "", ""); err != nil {
		t.Errorf("empty identities: %v", err)
	}
}

func TestCommonHasFewFalsePositives(t *testing.T) {
	for i := range 200_000 {
		if err := (password.Policy{MinLength: 8}).Check(fmt.Sprintf("not-a-common-one-%d", i)); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
}

func TestBuildCommon(t *testing.T) {
	var a, b bytes.Buffer
	list := "short\nlongenough\nLONGENOUGH\r\ncafe\u0301cafe\u0301\nanother-one"
	n, err := password.BuildCommon(&a, list)
	if err != nil || n != 3 {
		t.Errorf("%d passwords, %v; want 3", n, err)
	}
	if _, err := password.BuildCommon(&b, list); err != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Errorf("the same list gives other bytes: %v", err)
	}
}

// golden is of the reference implementation: argon2 "somesalt" -id -t 2 -k 65536 -p 1.
const golden = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"

func TestVerify(t *testing.T) {
	h := newHasher(t, cheap(), 8)
	hash, err := h.Hash(t.Context(), "right")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Fatalf("hash = %s, %v", hash, err)
	}
	again, err := h.Hash(t.Context(), "right")
	if err != nil || again == hash {
		t.Errorf("two hashes of one password are the same, or %v", err)
	}
	for _, tt := range []struct {
		name, plain, hash string
		want              password.Match
	}{
		{"right", "right", hash, password.Match{OK: true}},
		{"wrong", "wrong", hash, password.Match{}},
		{"longer", "right ", hash, password.Match{}},
		{"empty", "", hash, password.Match{}},
		{"nobody", "right", "", password.Match{}},
		{"golden", "password", golden, password.Match{OK: true}},
		{"golden, wrong", "Password", golden, password.Match{}},
	} {
		if got, err := h.Verify(t.Context(), tt.plain, tt.hash, nil); err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v; want %+v", tt.name, got, err, tt.want)
		}
	}
	stronger := newHasher(t, password.Params{MemoryKiB: 128, Passes: 1, Lanes: 1}, 8)
	if got, err := stronger.Verify(t.Context(), "right", hash, nil); err != nil || !got.OK || !got.Outdated {
		t.Errorf("under a stronger setting: %+v, %v; want OK and outdated", got, err)
	}
}

func TestStoredHashesAreBounded(t *testing.T) {
	h := newHasher(t, cheap(), 8)
	for _, stored := range []string{
		"plain", "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5Q", "$argon2id$v=16$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5Q",
		"$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5Q", "$argon2id$v=19$m=262145,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5Q",
		"$argon2id$v=19$m=64,t=11,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5Q", "$argon2id$v=19$m=64,t=1,p=9$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5Q",
		"$argon2id$v=19$m=0,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5Q", "$argon2id$v=19$m=064,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5Q",
		"$argon2id$v=19$t=1,m=64,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5Q", "$argon2id$v=19$m=64,t=1,p=1$$CTFhFdXPJO1aFaMaO6Mm5Q", "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$",
		golden + "$", golden + "\n", " " + golden, "$2b$10$abcdefghijklmnopqrstuv",
	} {
		got, err := h.Verify(t.Context(), "password", stored, nil)
		if !errors.Is(err, password.ErrMalformedHash) && !errors.Is(err, password.ErrForeignAlgorithm) {
			t.Errorf("%q: %+v, %v", stored, got, err)
		}
	}
}

func FuzzStoredHash(f *testing.F) {
	f.Add(golden)
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5Q")
	f.Add("$argon2id$v=19$m=262144,t=10,p=8$$")
	h := newHasher(f, cheap(), 8)
	refused := errors.New("not hashed") // so that no stored string costs its hash here
	f.Fuzz(func(t *testing.T, stored string) {
		_, err := h.Verify(t.Context(), "x", stored, func(context.Context) error { return refused })
		if !errors.Is(err, refused) && !errors.Is(err, password.ErrMalformedHash) && !errors.Is(err, password.ErrForeignAlgorithm) {
			t.Errorf("%q: %v", stored, err)
		}
	})
}

func TestAdmissionComesBeforeTheHash(t *testing.T) {
	h := newHasher(t, password.Params{MemoryKiB: 256 << 10, Passes: 10, Lanes: 1}, 8) // seconds, were it hashed
	refused := errors.New("refused")
	begin := time.Now()
	if _, err := h.Verify(t.Context(), "x", "", func(context.Context) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("error = %v", err)
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("a refused attempt took %s", took)
	}
}

// hold occupies the worker of h until release is called.
func hold(t *testing.T, h *password.Hasher) (release func()) {
	t.Helper()
	held, let := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := h.Verify(context.WithoutCancel(t.Context()), "x", "", func(context.Context) error { close(held); <-let; return nil }); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-held:
	case <-time.After(5 * time.Second):
		t.Fatal("admit was not asked")
	}
	return func() { close(let); wg.Wait() }
}

// waitFor returns when n hashes wait, or with an error of t when they do not. It does not
// end the test, which has a worker to let go.
func waitFor(t *testing.T, h *password.Hasher, n int) {
	t.Helper()
	for begin := time.Now(); h.Waiting() < n; time.Sleep(time.Millisecond) {
		if time.Since(begin) > 10*time.Second {
			t.Errorf("never were %d waiting", n)
			return
		}
	}
}

func TestQueueIsBounded(t *testing.T) {
	h := newHasher(t, cheap(), 2)
	release := hold(t, h)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if _, err := h.Hash(t.Context(), "waits"); err != nil {
				t.Error(err)
			}
		})
	}
	waitFor(t, h, 2)
	soon, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := h.Hash(soon, "one too many"); !errors.Is(err, password.ErrOverloaded) {
		t.Errorf("error = %v, want ErrOverloaded", err)
	}
	if h.Running() != 1 {
		t.Errorf("%d running, want 1", h.Running())
	}
	release()
	wg.Wait()
	if _, err := h.Hash(t.Context(), "room again"); err != nil {
		t.Error(err)
	}
}

func TestWhoLeavesMakesNoRoom(t *testing.T) {
	h := newHasher(t, cheap(), 8)
	release := hold(t, h)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the client has gone")
	cancel(gone)
	if _, err := h.Hash(ctx, "x"); !errors.Is(err, gone) {
		t.Errorf("error = %v, want the cause", err)
	}
	var began atomic.Bool
	waiting, stop := context.WithCancelCause(t.Context())
	left := make(chan error)
	go func() {
		_, err := h.Verify(waiting, "x", "", func(context.Context) error { began.Store(true); return nil })
		left <- err
	}()
	waitFor(t, h, 1)
	stop(gone)
	if err := <-left; !errors.Is(err, gone) {
		t.Errorf("error = %v, want the cause", err)
	}
	if h.Running() != 1 {
		t.Errorf("%d running: the one who left freed the worker", h.Running())
	}
	release()
	if _, err := h.Hash(t.Context(), "x"); err != nil {
		t.Error(err)
	}
	if began.Load() {
		t.Error("a hash began although nobody waited for it")
	}
}

func TestClose(t *testing.T) {
	h := password.NewHasher(cheap(), 2, 8)
	h.Close()
	h.Close()
	if _, err := h.Hash(t.Context(), "x"); !errors.Is(err, password.ErrClosed) {
		t.Errorf("error = %v, want ErrClosed", err)
	}
}

// TestNobodyCostsTheSame compares medians of many hashes in one run, with a wide
// margin: the decoy is a real hash, not a shortcut.
func TestNobodyCostsTheSame(t *testing.T) {
	h := newHasher(t, password.Params{MemoryKiB: 4 << 10, Passes: 2, Lanes: 1}, 8)
	hash, err := h.Hash(t.Context(), "right")
	if err != nil {
		t.Fatal(err)
	}
	cost := func(stored string) time.Duration {
		least := time.Hour
		for range 20 {
			begin := time.Now()
			if _, err := h.Verify(t.Context(), "wrong", stored, nil); err != nil {
				t.Fatal(err)
			}
			least = min(least, time.Since(begin))
		}
		return least
	}
	if somebody, nobody := cost(hash), cost(""); nobody < somebody/2 {
		t.Errorf("nobody costs %s, somebody %s", nobody, somebody)
	}
}
