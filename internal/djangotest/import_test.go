package djangotest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/jotgate/jotgate/internal/djangousers"
	"github.com/jotgate/jotgate/internal/pgtest"
	"github.com/jotgate/jotgate/internal/user"
)

const (
	plain  = "Cafe\u0301 au lait, " + "sil vous plai\u0302t" // decomposed, as Django hashes what it is sent
	people = `
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import MD5PasswordHasher, make_password
users = get_user_model().objects
users.create_user("Ada", "Ada@Example.com", "PLAIN")
users.create_superuser("root", "root@example.com", "PLAIN")
users.create_user("with spaces", "spaces@example.com", "PLAIN")
users.create_user("email@example.com", "", "PLAIN")
users.create_user("ada", "", "PLAIN")
users.create_user("off", "", "PLAIN", is_active=False)
users.create_user("nobody", "")
users.create_user("old", "", "PLAIN")
users.create_user("x", "not an address", "PLAIN")
users.create_user("bcrypt", "", "")
users.filter(username="bcrypt").update(password=make_password("PLAIN", hasher="bcrypt_sha256"))
users.create_user("argon2", "", "")
users.filter(username="argon2").update(password=make_password("PLAIN", hasher="argon2"))
users.filter(username="old").update(password=MD5PasswordHasher().encode("PLAIN", "salt"))
`
	// authUser is what "manage.py sqlmigrate auth 0001" and the migrations after it
	// leave on PostgreSQL.
	authUser = `CREATE TABLE "auth_user" (
		"id" serial NOT NULL PRIMARY KEY, "password" varchar(128) NOT NULL, "last_login" timestamp with time zone NULL,
		"is_superuser" boolean NOT NULL, "username" varchar(150) NOT NULL UNIQUE, "first_name" varchar(150) NOT NULL,
		"last_name" varchar(150) NOT NULL, "email" varchar(254) NOT NULL, "is_staff" boolean NOT NULL,
		"is_active" boolean NOT NULL, "date_joined" timestamp with time zone NOT NULL)`
)

// TestImportFromDjango makes users with Django and imports them from its SQLite
// database, from what dumpdata makes of it, and from the same rows on PostgreSQL.
func TestImportFromDjango(t *testing.T) {
	s := newSite(t)
	s.manage(t, "", "shell", "-c", strings.ReplaceAll(people, "PLAIN", plain))
	dump := filepath.Join(t.TempDir(), "dump.json")
	s.manage(t, "", "dumpdata", "auth", "--output", dump)
	sources := map[string]func(t *testing.T) string{
		"SQLite":     func(*testing.T) string { return s.database },
		"dumpdata":   func(*testing.T) string { return dump },
		"PostgreSQL": func(t *testing.T) string { t.Helper(); return copyToPostgres(t, dump) },
	}
	for name, source := range sources {
		t.Run(name, func(t *testing.T) {
			importFrom(t, s, djangousers.Source{Location: source(t), Table: djangousers.DefaultTable})
		})
	}
}

func importFrom(t *testing.T, s *site, from djangousers.Source) {
	for _, u := range s.users(t) {
		if err := s.Gate.Users.Store.Delete(t.Context(), u.ID); err != nil {
			t.Fatal(err)
		}
	}
	run := func(apply bool) djangousers.Report {
		t.Helper()
		r, err := djangousers.Import(t.Context(), s.Gate.ImportUser, from, djangousers.Options{Apply: apply, SuperuserRole: "admin"})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if dry := run(false); dry.Read != 11 || dry.Imported != 9 || dry.Skipped != 2 || len(s.users(t)) != 0 {
		t.Fatalf("dry run: %+v, and %d users", dry, len(s.users(t)))
	}
	if applied := run(true); applied.Imported != 9 || applied.Skipped != 2 {
		t.Fatalf("applied: %+v", applied)
	}
	if again := run(true); again.Imported != 0 || again.AlreadyThere != 9 || again.Skipped != 2 || len(s.users(t)) != 9 {
		t.Errorf("again: %+v", again)
	}
	for _, u := range s.users(t) {
		if since := time.Since(u.CreatedAt); since <= 0 || since > time.Hour || u.ExternalID == "" || u.EmailVerified {
			t.Errorf("%+v", u)
		}
		if admin := len(u.Roles) == 1 && u.Roles[0] == "admin"; admin != (u.Username == "root") || u.Disabled != (u.Username == "off") {
			t.Errorf("%+v", u)
		}
	}
	signIn(t, s)
}

// signIn signs in with the passwords that Django hashed, and enters Django as
// who one was there.
func signIn(t *testing.T, s *site) {
	t.Helper()
	for _, identifier := range []string{"off", "nobody", "old"} {
		body, err := json.Marshal(map[string]string{"identifier": identifier, "password": plain})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.do(t, "POST", "/v1/login", string(body)); got.status != http.StatusUnauthorized {
			t.Errorf("%s enters: %d", identifier, got.status)
		}
	}
	s.manage(t, linked(t, s), "link_jotgate_users")
	for identifier, id := range map[string]float64{
		"ada": 1, "root@example.com": 2, "spaces@example.com": 3, "email@example.com": 4, "bcrypt": 10, "argon2": 11,
	} {
		bearer := s.bearer(t, identifier, plain)
		if got := s.do(t, "GET", whoami, "", "Authorization", "Bearer "+bearer); got.body["id"] != id {
			t.Errorf("%s is %v in Django, want user %v", identifier, got.body, id)
		}
		i, err := user.ParseIdentifier(identifier)
		if err != nil {
			t.Fatal(err)
		}
		u, err := s.Gate.Users.Store.ByIdentifier(t.Context(), i)
		if err != nil || !strings.HasPrefix(u.PasswordHash, "$argon2id$") {
			t.Errorf("%s: the hash is %.12q, %v", identifier, u.PasswordHash, err)
		}
		s.bearer(t, identifier, plain)
	}
}

// linked is what "jotgate user list --output json" prints.
func linked(t *testing.T, s *site) string {
	t.Helper()
	var list []map[string]string
	for _, u := range s.users(t) {
		list = append(list, map[string]string{"id": string(u.ID), "external_id": string(u.ExternalID)})
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// copyToPostgres brings the rows of a dump into a table with Django's schema and
// returns the URL of the database.
func copyToPostgres(t *testing.T, dump string) string {
	t.Helper()
	dsn := pgtest.DSN(t)
	text, err := os.ReadFile(dump)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	if _, err := conn.Exec(t.Context(), authUser); err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Model  string
		PK     int
		Fields json.RawMessage
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&rows); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Model != "auth.user" {
			continue
		}
		if _, err := conn.Exec(t.Context(), `INSERT INTO auth_user SELECT $1, password, last_login, is_superuser, username, first_name,
			last_name, email, is_staff, is_active, date_joined FROM json_populate_record(NULL::auth_user, $2::json)`, r.PK, string(r.Fields)); err != nil {
			t.Fatal(err)
		}
	}
	return dsn
}
