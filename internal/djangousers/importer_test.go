package djangousers_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/apptest"
	"github.com/jotgate/jotgate/internal/djangousers"
	"github.com/jotgate/jotgate/internal/user"
)

const goodHash = "pbkdf2_sha256$1000$saltysaltysalt$c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0c2FsdHNhbHQ="

// person is a row of a dump, whose other fields are false.
type person struct {
	Username    string `json:"username"`
	Email       string `json:"email"`
	Password    string `json:"password"`
	IsActive    bool   `json:"is_active"`
	IsStaff     bool   `json:"is_staff"`
	IsSuperuser bool   `json:"is_superuser"`
}

func dumpOf(t *testing.T, people ...person) djangousers.Source {
	t.Helper()
	rows := make([]map[string]any, len(people))
	for i, p := range people {
		rows[i] = map[string]any{"model": "auth.user", "pk": i + 1, "fields": p}
	}
	text, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "dump.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return djangousers.Source{Location: path, Table: djangousers.DefaultTable}
}

// TestImport imports one row at a time into a database where "taken" and
// "taken@example.com" are people already.
func TestImport(t *testing.T) {
	s := apptest.Start(t)
	for _, r := range []map[string]string{{"username": "taken", "password": apptest.Password}, {"email": "taken@example.com", "password": apptest.Password}} {
		if status := s.Call(t, "POST", "/v1/users", "", r, nil); status != 201 {
			t.Fatal(status)
		}
	}
	for _, tt := range []struct {
		name string
		in   person
		role user.Role
		out  djangousers.Result
		user user.User
	}{
		{"all is well", person{Username: "Ada", Email: "Ada@Example.com", Password: goodHash, IsActive: true}, "", djangousers.Result{}, user.User{
			Username: "ada", Email: "ada@example.com", PasswordHash: goodHash,
		}},
		{"no email", person{Username: "ada", Password: goodHash, IsActive: true}, "", djangousers.Result{}, user.User{Username: "ada", PasswordHash: goodHash}},
		{
			"a username that none is here",
			person{Username: "a b", Email: "ada@example.com", Password: goodHash, IsActive: true},
			"",
			djangousers.Result{Outcome: djangousers.Imported, Notes: []string{`its username "a b" is not 3 to 64 of a-z 0-9 . _ -, so it signs in with its email only`}},
			user.User{Email: "ada@example.com", PasswordHash: goodHash},
		},
		{
			"an address as username",
			person{Username: "Ada@example.com", Email: "ada@example.com", Password: goodHash, IsActive: true},
			"",
			djangousers.Result{Outcome: djangousers.Imported, Notes: []string{"its username is an address, and becomes its email"}},
			user.User{Email: "ada@example.com", PasswordHash: goodHash},
		},
		{
			"an address as username beside another",
			person{Username: "ada@example.com", Email: "countess@example.com", Password: goodHash, IsActive: true},
			"",
			djangousers.Result{Outcome: djangousers.Imported, Notes: []string{`its username "ada@example.com" is not 3 to 64 of a-z 0-9 . _ -, so it signs in with its email only`}},
			user.User{Email: "countess@example.com", PasswordHash: goodHash},
		},
		{
			"an email that is none",
			person{Username: "ada", Email: "ada", Password: goodHash, IsActive: true},
			"",
			djangousers.Result{Outcome: djangousers.Imported, Notes: []string{`its email "ada" is not an address here`}},
			user.User{Username: "ada", PasswordHash: goodHash},
		},
		{
			"no name that can be one", person{Username: "a", Email: "b", IsActive: true}, "", djangousers.Result{
				Outcome: djangousers.Skipped,
				Reason:  `its email "b" is not an address here; its username "a" is not 3 to 64 of a-z 0-9 . _ -; nothing is left to sign in with`,
			}, user.User{},
		},
		{"the username is taken", person{Username: "TAKEN", Password: goodHash, IsActive: true}, "", djangousers.Result{
			Outcome: djangousers.Skipped, Reason: "its username or email belongs to a user who is here already",
		}, user.User{}},
		{"the email is taken", person{Username: "ada", Email: "Taken@example.com", Password: goodHash, IsActive: true}, "", djangousers.Result{
			Outcome: djangousers.Skipped, Reason: "its username or email belongs to a user who is here already",
		}, user.User{}},
		{"inactive", person{Username: "ada", Password: goodHash}, "", djangousers.Result{
			Outcome: djangousers.Imported, Notes: []string{"it is inactive, and imported disabled"},
		}, user.User{Username: "ada", PasswordHash: goodHash, Disabled: true}},
		{"superuser", person{Username: "ada", Password: goodHash, IsActive: true, IsStaff: true, IsSuperuser: true}, "", djangousers.Result{
			Outcome: djangousers.Imported, Notes: []string{"it is a superuser, which is no role here"},
		}, user.User{Username: "ada", PasswordHash: goodHash}},
		{"superuser with a role", person{Username: "ada", Password: goodHash, IsActive: true, IsSuperuser: true}, "admin", djangousers.Result{
			Outcome: djangousers.Imported, Notes: []string{"it is a superuser, and gets the role admin"},
		}, user.User{Username: "ada", PasswordHash: goodHash, Roles: []user.Role{"admin"}}},
		{"staff", person{Username: "ada", Password: goodHash, IsActive: true, IsStaff: true}, "admin", djangousers.Result{
			Outcome: djangousers.Imported, Notes: []string{"it is staff, which is no role here"},
		}, user.User{Username: "ada", PasswordHash: goodHash}},
		{"unusable", person{Username: "ada", Password: "!abc", IsActive: true}, "", djangousers.Result{
			Outcome: djangousers.Imported, Notes: []string{"it has no usable password"},
		}, user.User{Username: "ada"}},
		{"md5", person{Username: "ada", Password: "md5$salt$0123", IsActive: true}, "", djangousers.Result{
			Outcome: djangousers.Imported, Notes: []string{"its password is not taken over: hashed with md5"},
		}, user.User{Username: "ada"}},
		{"unsalted md5", person{Username: "ada", Password: "0123456789abcdef0123456789abcdef", IsActive: true}, "", djangousers.Result{
			Outcome: djangousers.Imported, Notes: []string{"its password is not taken over: hashed with an unknown algorithm"},
		}, user.User{Username: "ada"}},
		{"dear", person{Username: "ada", Password: strings.Replace(goodHash, "1000", "999999999", 1), IsActive: true}, "", djangousers.Result{
			Outcome: djangousers.Imported, Notes: []string{"its password is not taken over: the hash is damaged or asks for too much work"},
		}, user.User{Username: "ada"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := djangousers.Import(t.Context(), s.Gate.ImportUser, dumpOf(t, tt.in), djangousers.Options{Apply: true, SuperuserRole: tt.role})
			want := djangousers.Report{Applied: true, Read: 1, Imported: 1, Rows: []djangousers.Result{}}
			if tt.out.Outcome != "" {
				tt.out.ExternalID, tt.out.Username = "django:1", tt.in.Username
				want.Rows = append(want.Rows, tt.out)
			}
			if tt.out.Outcome == djangousers.Skipped {
				want.Imported, want.Skipped = 0, 1
			}
			if diff := cmp.Diff(want, r); diff != "" || err != nil {
				t.Fatalf("%v, -want +got:\n%s", err, diff)
			}
			u, err := s.Gate.Users.Store.ByExternalID(t.Context(), "django:1")
			if tt.out.Outcome == djangousers.Skipped {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			tt.user.ID, tt.user.ExternalID, tt.user.CreatedAt = u.ID, "django:1", u.CreatedAt
			if diff := cmp.Diff(tt.user, u); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if err := s.Gate.Users.Store.Delete(t.Context(), u.ID); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestRowsMeet holds that a dry run sees the same collisions between rows as the
// import, and that a row which is skipped itself is in nobody's way.
func TestRowsMeet(t *testing.T) {
	s := apptest.Start(t)
	from := dumpOf(
		t, person{Username: "ada", Email: "x@example.com", Password: "!"}, person{Username: "ADA", Email: "free@example.com", Password: "!"},
		person{Username: "eve", Email: "X@example.com", Password: "!"}, person{Username: "free", Email: "free@example.com", Password: "!"},
	)
	var reasons [][]string
	for _, apply := range []bool{false, true, true} {
		r, err := djangousers.Import(t.Context(), s.Gate.ImportUser, from, djangousers.Options{Apply: apply})
		if err != nil || r.Read != 4 || r.Imported+r.AlreadyThere != 2 || r.Skipped != 2 {
			t.Fatalf("%+v, %v", r, err)
		}
		var why []string
		for _, row := range r.Rows {
			if row.Outcome == djangousers.Skipped {
				why = append(why, row.ExternalID+" "+row.Reason)
			}
		}
		reasons = append(reasons, why)
	}
	want := []string{`django:2 it goes by "ada", as django:1 does`, `django:3 it goes by "x@example.com", as django:1 does`}
	if diff := cmp.Diff([][]string{want, want, want}, reasons); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestImportStopsAtAFault holds that what is not a row's fault is not told of as
// if it were.
func TestImportStopsAtAFault(t *testing.T) {
	s := apptest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	from := dumpOf(t, person{Username: "ada", Password: "!"}, person{Username: "eve", Password: "!"})
	r, err := djangousers.Import(ctx, s.Gate.ImportUser, from, djangousers.Options{Apply: true})
	if !errors.Is(err, context.Canceled) || r.Read != 1 || r.Skipped != 0 || r.Imported != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
