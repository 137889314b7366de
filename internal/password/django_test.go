package password_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/text/unicode/norm"

	"github.com/jotgate/jotgate/internal/password"
)

type djangoHash struct{ Name, Password, Hash string }

// djangoHashes are of Django itself; testdata/django/hashes.py makes them.
func djangoHashes(tb testing.TB) []djangoHash {
	tb.Helper()
	text, err := os.ReadFile("../../testdata/django/hashes.json")
	if err != nil {
		tb.Fatal(err)
	}
	var golden struct{ Hashes []djangoHash }
	if err := json.Unmarshal(text, &golden); err != nil || len(golden.Hashes) < 30 {
		tb.Fatalf("%d hashes, %v", len(golden.Hashes), err)
	}
	return golden.Hashes
}

func TestDjangoHashes(t *testing.T) {
	h := newHasher(t, cheap(), 8)
	for _, tt := range djangoHashes(t) {
		if err := password.CheckDjango(tt.Hash); err != nil {
			t.Errorf("%s: %v", tt.Name, err)
		}
		got, err := h.Verify(t.Context(), tt.Password, tt.Hash, nil)
		if err != nil || !got.OK || !got.Outdated {
			t.Errorf("%s: %+v, %v; want OK and outdated", tt.Name, got, err)
		}
		if !strings.HasSuffix(tt.Name, ", short") && !strings.HasSuffix(tt.Name, "72 bytes") {
			continue
		}
		wrong := tt.Password[:len(tt.Password)-1] + "?"
		if got, err := h.Verify(t.Context(), wrong, tt.Hash, nil); err != nil || got.OK {
			t.Errorf("%s, another password: %+v, %v", tt.Name, got, err)
		}
	}
}

// TestDjangoPasswordsAreTriedAsTyped holds that a password which Django hashed
// decomposed is found by who types it decomposed, and that one hashed composed is
// found by either.
func TestDjangoPasswordsAreTriedAsTyped(t *testing.T) {
	h := newHasher(t, cheap(), 8)
	for _, tt := range djangoHashes(t) {
		algorithm, name, _ := strings.Cut(tt.Name, ", ")
		if name != "composed" && name != "decomposed" {
			continue
		}
		for typed, want := range map[string]bool{
			norm.NFC.String(tt.Password): name == "composed", norm.NFD.String(tt.Password): true, tt.Password + " ": false,
		} {
			if got, err := h.Verify(t.Context(), typed, tt.Hash, nil); err != nil || got.OK != want {
				t.Errorf("%s: hashed %s, typed %+q: %+v, %v; want %t", algorithm, name, typed, got, err, want)
			}
		}
	}
}

// TestScryptOfRFC7914 holds the order of scrypt's parameters against section 12.
func TestScryptOfRFC7914(t *testing.T) {
	const vector = "scrypt$16384$SodiumChloride$8$1$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw=="
	h := newHasher(t, cheap(), 8)
	if got, err := h.Verify(t.Context(), "pleaseletmein", vector, nil); err != nil || !got.OK {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDjangoHashesAreBounded(t *testing.T) {
	const (
		tag32  = "$c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdHNhbHQ="
		tag64  = "$c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdA=="
		tail   = "KLwliNowavxxySujzL3geusHghG1K9zrZrCY5VilNNEBmCMcbW2.K"
		argon2 = "$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	)
	for _, good := range []string{
		"pbkdf2_sha256$2000000$salt" + tag32, "scrypt$131072$salt$8$1" + tag64, "scrypt$16384$salt$8$16" + tag64,
		"bcrypt_sha256$$2b$14$" + tail, "argon2$argon2id$v=19$m=262144,t=10,p=8" + argon2,
	} {
		if err := password.CheckDjango(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for bad, want := range map[string]error{
		"pbkdf2_sha256$2000001$salt" + tag32: password.ErrMalformedHash, "pbkdf2_sha256$0$salt" + tag32: password.ErrMalformedHash,
		"pbkdf2_sha256$-1$salt" + tag32: password.ErrMalformedHash, "pbkdf2_sha256$010$salt" + tag32: password.ErrMalformedHash,
		"pbkdf2_sha256$+10$salt" + tag32: password.ErrMalformedHash, "pbkdf2_sha256$10$" + tag32: password.ErrMalformedHash,
		"pbkdf2_sha256$10$" + strings.Repeat("s", 65) + tag32: password.ErrMalformedHash, "pbkdf2_sha256$10$salt" + tag64: password.ErrMalformedHash,
		"pbkdf2_sha256$10$salt" + tag32 + "\n": password.ErrMalformedHash, "pbkdf2_sha256$10$salt$": password.ErrMalformedHash,
		"pbkdf2_sha256$10$salt" + tag32 + "$": password.ErrMalformedHash, "pbkdf2_sha256": password.ErrMalformedHash,
		"scrypt$131072$salt$9$1" + tag64: password.ErrMalformedHash, "scrypt$262144$salt$8$1" + tag64: password.ErrMalformedHash,
		"scrypt$16384$salt$8$17" + tag64: password.ErrMalformedHash, "scrypt$131072$salt$8$3" + tag64: password.ErrMalformedHash,
		"scrypt$4294967295$salt$4294967295$1" + tag64: password.ErrMalformedHash, "scrypt$16383$salt$8$1" + tag64: password.ErrMalformedHash,
		"scrypt$1$salt$8$1" + tag64: password.ErrMalformedHash, "scrypt$2$salt$33$1" + tag64: password.ErrMalformedHash,
		"scrypt$16384$salt$8$1" + tag32: password.ErrMalformedHash, "scrypt$16384$$8$1" + tag64: password.ErrMalformedHash,
		"bcrypt_sha256$$2b$15$" + tail: password.ErrMalformedHash, "bcrypt_sha256$$2b$31$" + tail: password.ErrMalformedHash,
		"bcrypt_sha256$$2b$03$" + tail: password.ErrMalformedHash, "bcrypt_sha256$$2x$12$" + tail: password.ErrMalformedHash,
		"bcrypt_sha256$$2b$12$" + tail + "x": password.ErrMalformedHash, "bcrypt_sha256$$2b$12$" + tail + "\n": password.ErrMalformedHash,
		"bcrypt_sha256$2b$12$" + tail:                    password.ErrMalformedHash,
		"argon2$argon2id$v=19$m=262145,t=2,p=8" + argon2: password.ErrMalformedHash, "argon2$argon2id$v=19$m=1024,t=11,p=8" + argon2: password.ErrMalformedHash,
		"argon2$argon2id$v=16$m=1024,t=2,p=8" + argon2: password.ErrMalformedHash, "argon2$argon2i$v=19$m=1024,t=2,p=8" + argon2: password.ErrForeignAlgorithm,
		"md5$salt$0123456789abcdef0123456789abcdef": password.ErrForeignAlgorithm, "0123456789abcdef0123456789abcdef": password.ErrForeignAlgorithm,
		"pbkdf2_sha1$10$salt" + tag32: password.ErrForeignAlgorithm, "bcrypt$$2b$12$" + tail: password.ErrForeignAlgorithm,
		"": password.ErrForeignAlgorithm, "!": password.ErrForeignAlgorithm, "PBKDF2_SHA256$10$salt" + tag32: password.ErrForeignAlgorithm,
		golden: password.ErrForeignAlgorithm, "pbkdf2_sha256$" + strings.Repeat("$", 1<<20): password.ErrMalformedHash,
	} {
		if err := password.CheckDjango(bad); !errors.Is(err, want) {
			t.Errorf("%.80q: %v, want %v", bad, err, want)
		}
	}
}

// TestDjangoHashesWaitLikeOurs holds that a foreign hash is work for the pool: it
// is admitted by the caller, and is not begun where the queue is full.
func TestDjangoHashesWaitLikeOurs(t *testing.T) {
	h := newHasher(t, cheap(), 1)
	refused := errors.New("refused")
	stored := djangoHashes(t)[0]
	if _, err := h.Verify(t.Context(), stored.Password, stored.Hash, func(context.Context) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("error = %v, want that of admission", err)
	}
	release := hold(t, h)
	var wg sync.WaitGroup
	wg.Go(func() {
		if got, err := h.Verify(t.Context(), stored.Password, stored.Hash, nil); err != nil || !got.OK {
			t.Errorf("after waiting: %+v, %v", got, err)
		}
	})
	waitFor(t, h, 1)
	if _, err := h.Verify(t.Context(), stored.Password, stored.Hash, nil); !errors.Is(err, password.ErrOverloaded) {
		t.Errorf("error = %v, want ErrOverloaded", err)
	}
	release()
	wg.Wait()
}

func FuzzDjangoHash(f *testing.F) {
	for _, golden := range djangoHashes(f) {
		f.Add(golden.Hash)
	}
	h := newHasher(f, cheap(), 8)
	refused := errors.New("not hashed") // so that no stored string costs its hash here
	f.Fuzz(func(t *testing.T, stored string) {
		_, err := h.Verify(t.Context(), "x", stored, func(context.Context) error { return refused })
		if !errors.Is(err, refused) && !errors.Is(err, password.ErrMalformedHash) && !errors.Is(err, password.ErrForeignAlgorithm) {
			t.Errorf("%q: %v", stored, err)
		}
	})
}
