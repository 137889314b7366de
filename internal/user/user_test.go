package user_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/password"
	"github.com/jotgate/jotgate/internal/store"
	"github.com/jotgate/jotgate/internal/store/storetest"
	"github.com/jotgate/jotgate/internal/user"
)

const pass = "correct horse battery staple"

func TestParseUsername(t *testing.T) {
	for in, want := range map[string]user.Username{
		"ada": "ada", "Ada": "ada", "a.d-a_1": "a.d-a_1", strings.Repeat("a", 64): user.Username(strings.Repeat("a", 64)),
		"": "", "ab": "", strings.Repeat("a", 65): "", "a b": "", " ada": "", "ada ": "", "ada@x": "", "аda": "", "ada\u202e": "", "ada\x00": "",
		"ada\n": "", "ⓐda": "", "\u212aelvin": "", "ａｄａ": "", "ad\xe9": "", "ada'--": "",
	} {
		got, err := user.ParseUsername(in)
		if got != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, user.ErrInvalidUsername) {
			t.Errorf("ParseUsername(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestParseEmail(t *testing.T) {
	long := strings.Repeat("a", 64) + "@" + strings.Repeat(strings.Repeat("b", 60)+".", 3) + "com"
	for in, want := range map[string]bool{
		"ada@example.com": true, "Ada@Example.COM": true, "a.d+tag@sub.example.com": true, "o'brien@example.com": true, long: true, "a@b.co": true,
		"": false, "ada": false, "@example.com": false, "ada@": false, "ada@localhost": false, "ada@example..com": false, "ada@.com": false,
		".ada@example.com": false, "ada.@example.com": false, "a..b@example.com": false, "a@b@example.com": false, `"a"@example.com`: false,
		"ada@example.com ": false, " ada@example.com": false, "ada@exam ple.com": false, "Ada <ada@example.com>": false, "ada@example.com,b@example.com": false,
		"ada@example.com\n": false, "ada\x00@example.com": false, "ada@exämple.com": false, "adä@example.com": false, "ada@[127.0.0.1]": false,
		"ada@-example.com": false, "ada@example-.com": false, "ada(c)@example.com": false, "a" + long: false, strings.Repeat("a", 1<<16) + "@example.com": false,
	} {
		got, err := user.ParseEmail(in)
		if (err == nil) != want || want && string(got) != strings.ToLower(in) || err != nil && !errors.Is(err, user.ErrInvalidEmail) {
			t.Errorf("ParseEmail(%.40q) = %q, %v; want ok %t", in, got, err, want)
		}
	}
}

func FuzzParseIdentifier(f *testing.F) {
	for _, s := range []string{"ada", "Ada@Example.com", "\u212a", "a b", "ada@example.com\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := user.ParseIdentifier(in)
		if err != nil {
			return
		}
		canonical := string(got.Username) + string(got.Email)
		if canonical != strings.ToLower(in) || strings.ContainsFunc(canonical, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("%q is taken as %q", in, canonical)
		}
		if again, err := user.ParseIdentifier(canonical); err != nil || again != got {
			t.Errorf("%q is taken as %+v, %v", canonical, again, err)
		}
	})
}

func TestParseRoles(t *testing.T) {
	got, err := user.ParseRoles([]string{"b:write", "admin", "admin"})
	if err != nil || fmt.Sprint(got) != "[admin b:write]" {
		t.Errorf("roles = %v, %v", got, err)
	}
	many := make([]string, user.MaxRoles+1)
	for i := range many {
		many[i] = fmt.Sprint("role", i)
	}
	for _, bad := range [][]string{{"Admin"}, {""}, {"a b"}, {"a,b"}, {strings.Repeat("a", 65)}, many} {
		if _, err := user.ParseRoles(bad); !errors.Is(err, user.ErrInvalidRole) {
			t.Errorf("ParseRoles(%.60q): %v", bad, err)
		}
	}
}

// service is the rules over a real database.
type service struct {
	*user.Service
	db *store.DB
	at atomic.Int64
}

func (s *service) now() time.Time { return time.Unix(1_800_000_000, 0).Add(time.Duration(s.at.Load())) }

func newService(t *testing.T, url string) *service {
	t.Helper()
	db := storetest.Open(t, url)
	hasher := password.NewHasher(password.Params{MemoryKiB: 64, Passes: 1, Lanes: 1}, 4, 1000)
	t.Cleanup(hasher.Close)
	s := &service{db: db}
	s.Service = user.New(user.Config{
		Store: db.Users(), Attempts: db.Attempts(), Allowance: user.Allowance{Burst: 5, Recovery: 30 * time.Second},
		Hasher: hasher, Policy: password.Policy{MinLength: 15}, Now: s.now,
	})
	return s
}

func (s *service) create(t *testing.T, name string) user.User {
	t.Helper()
	d, err := s.Draft(name, name+"@example.com", pass)
	if err != nil {
		t.Fatal(err)
	}
	u, err := s.New(t.Context(), d, nil)
	if err == nil {
		err = s.Store.Create(t.Context(), u)
	}
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestDraft(t *testing.T) {
	s := newService(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	if _, err := s.Draft("", "", pass); !errors.Is(err, user.ErrNoIdentity) {
		t.Errorf("nobody: %v", err)
	}
	_, err := s.Draft("x", "y", "short")
	weak, _ := errors.AsType[*password.WeakError](err)
	if !errors.Is(err, user.ErrInvalidUsername) || !errors.Is(err, user.ErrInvalidEmail) || weak == nil {
		t.Errorf("all three wrong: %v", err)
	}
}

func TestAuthenticate(t *testing.T) {
	s := newService(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	ada, off, open := s.create(t, "ada"), s.create(t, "off"), s.create(t, "open")
	disabled, none := true, ""
	for id, c := range map[user.ID]user.Change{off.ID: {Disabled: &disabled}, open.ID: {PasswordHash: &none}} {
		if err := s.Store.Update(t.Context(), id, c); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"ada", "ADA", "ada@example.com", "Ada@Example.com"} {
		if got, err := s.Authenticate(t.Context(), name, pass); err != nil || got.User.ID != ada.ID {
			t.Errorf("%s: %v, %v", name, got.User.ID, err)
		}
	}
	for name, plain := range map[string]string{
		"ada": pass + " ", "off": pass, "open": "", "nobody": pass, "": pass, "open@example.com": pass, "not an identifier": pass, strings.Repeat("x", 10_000): pass,
	} {
		if _, err := s.Authenticate(t.Context(), name, plain); !errors.Is(err, user.ErrBadCredentials) {
			t.Errorf("%.20q: %v", name, err)
		}
	}
	if _, err := s.Authenticate(t.Context(), "ada", "a\x00b"); !errors.Is(err, password.ErrCharacters) {
		t.Errorf("control characters: %v", err)
	}
}

func TestAllNamesShareOneBudget(t *testing.T) {
	path := "sqlite:" + filepath.Join(t.TempDir(), "x.db")
	s := newService(t, path)
	s.create(t, "ada")
	for _, name := range []string{"ada", "ADA", "ada@example.com"} {
		if _, err := s.Authenticate(t.Context(), name, "wrong"); !errors.Is(err, user.ErrBadCredentials) {
			t.Fatal(err)
		}
	}
	if _, err := s.Authenticate(t.Context(), "ada", "wrong"); !errors.Is(err, user.ErrBadCredentials) {
		t.Fatal(err)
	}
	again := newService(t, path) // a restart forgets nothing
	if _, err := again.Authenticate(t.Context(), "ada", "wrong"); !errors.Is(err, user.ErrBadCredentials) {
		t.Fatal(err)
	}
	_, err := again.Authenticate(t.Context(), "Ada@example.com", pass)
	limited, _ := errors.AsType[*user.TooManyAttemptsError](err)
	if limited == nil || limited.RetryAfter != 30*time.Second {
		t.Fatalf("after five wrong ones, the right one: %v", err)
	}
	again.at.Store(int64(30 * time.Second))
	a, err := again.Authenticate(t.Context(), "ada", pass)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Succeeded(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	for range 5 { // the whole budget is back
		if _, err := again.Authenticate(t.Context(), "ada", "wrong"); !errors.Is(err, user.ErrBadCredentials) {
			t.Fatal(err)
		}
	}
}

// TestConfirmWaitsForNoStranger holds that who uses up the budget of signing in, which
// everybody can, uses up nothing of those who are signed in; that theirs has a bound, too;
// and that a right password gives both back.
func TestConfirmWaitsForNoStranger(t *testing.T) {
	s := newService(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	ada := s.create(t, "ada")
	login := func(plain string) (user.Authenticated, error) { return s.Authenticate(t.Context(), "ada", plain) }
	confirm := func(plain string) (user.Authenticated, error) { return s.Confirm(t.Context(), ada.ID, plain) }
	useUp := func(check func(string) (user.Authenticated, error)) {
		t.Helper()
		for i := range 6 {
			_, err := check("wrong")
			if _, limited := errors.AsType[*user.TooManyAttemptsError](err); limited != (i == 5) {
				t.Fatalf("attempt %d: %v", i+1, err)
			}
		}
	}
	useUp(login)
	a, err := confirm(pass)
	if err != nil {
		t.Fatalf("the right password of somebody signed in: %v", err)
	}
	if err := s.Succeeded(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	useUp(confirm)
	useUp(login)
	s.at.Store(int64(30 * time.Second))
	if a, err = login(pass); err != nil {
		t.Fatal(err)
	}
	if err := s.Succeeded(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	useUp(confirm)
	useUp(login)
}

func TestUnknownNamesAreCountedToo(t *testing.T) {
	s := newService(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	for i := range 6 {
		_, err := s.Authenticate(t.Context(), []string{"nobody", "NOBODY"}[i%2], "wrong")
		limited, _ := errors.AsType[*user.TooManyAttemptsError](err)
		if (limited != nil) != (i == 5) {
			t.Errorf("attempt %d: %v", i+1, err)
		}
	}
}

func TestParallelGuessesStayWithinTheBudget(t *testing.T) {
	s := newService(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	s.create(t, "ada")
	var looked atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			_, err := s.Authenticate(t.Context(), "ada", "wrong")
			if errors.Is(err, user.ErrBadCredentials) {
				looked.Add(1)
			} else if _, ok := errors.AsType[*user.TooManyAttemptsError](err); !ok {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if looked.Load() != 5 {
		t.Errorf("%d guesses were looked at, want 5", looked.Load())
	}
}

// The attempt was paid for, and what is looked at is the hash that is there now.
func TestAuthenticateAgain(t *testing.T) {
	s := newService(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	u := s.create(t, "ada")
	a, err := s.Authenticate(t.Context(), "ada", pass)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 { // the budget has 5
		if a, err = s.AuthenticateAgain(t.Context(), a, pass); err != nil || a.User.ID != u.ID {
			t.Fatalf("%+v, %v", a.User, err)
		}
	}
	hash, err := s.Rehash(t.Context(), u, pass+" of another one")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Store.Update(t.Context(), u.ID, user.Change{PasswordHash: &hash}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AuthenticateAgain(t.Context(), a, pass); !errors.Is(err, user.ErrBadCredentials) {
		t.Errorf("a password that was replaced: %v", err)
	}
	if err := s.Store.Delete(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AuthenticateAgain(t.Context(), a, pass); !errors.Is(err, user.ErrBadCredentials) {
		t.Errorf("a user who has gone: %v", err)
	}
}

func TestWeakerHashIsRenewed(t *testing.T) {
	s := newService(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	s.create(t, "ada")
	if a, err := s.Authenticate(t.Context(), "ada", pass); err != nil || a.Rehashed != "" {
		t.Errorf("at the same setting: %q, %v", a.Rehashed, err)
	}
	stronger := password.NewHasher(password.Params{MemoryKiB: 128, Passes: 1, Lanes: 1}, 1, 10)
	t.Cleanup(stronger.Close)
	s.Hasher = stronger
	a, err := s.Authenticate(t.Context(), "ada", pass)
	if err != nil || !strings.Contains(a.Rehashed, "$m=128,") {
		t.Errorf("at a stronger setting: %q, %v", a.Rehashed, err)
	}
	if a, err := s.Authenticate(t.Context(), "ada", "wrong"); a.Rehashed != "" || !errors.Is(err, user.ErrBadCredentials) {
		t.Errorf("a wrong password is hashed anew: %q, %v", a.Rehashed, err)
	}
}

func TestParseExternalID(t *testing.T) {
	for in, want := range map[string]bool{
		"django:42": true, "django:550e8400-e29b-41d4-a716-446655440000": true, "crm.v2:A:b": true, "django:" + strings.Repeat("7", 121): true,
		"": false, "42": false, ":42": false, "django:": false, "Django:42": false, "django:4 2": false, "django:42\n": false, "django:é": false,
		strings.Repeat("d", 33) + ":1": false, "django:" + strings.Repeat("7", 122): false,
	} {
		got, err := user.ParseExternalID(in)
		if (err == nil) != want || want && string(got) != in || err != nil && !errors.Is(err, user.ErrInvalidExternal) {
			t.Errorf("ParseExternalID(%.40q) = %q, %v; want ok %t", in, got, err, want)
		}
	}
}
