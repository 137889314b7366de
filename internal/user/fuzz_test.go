package user_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/user"
)

// FuzzParseNames compares usernames, roles and external ids with their syntax as
// the contract writes it.
func FuzzParseNames(f *testing.F) {
	for _, s := range []string{"ada", "Ada", "a.b_c-d", "ab", "\u212aelvin", "ａｄａ", "django:7", "Django:7", ":", "a:", "a:b\x00", strings.Repeat("a", 65), strings.Repeat("a:", 64), "admin", "a\n"} {
		f.Add(s)
	}
	username, role := regexp.MustCompile(`^[A-Za-z0-9._-]{3,64}$`), regexp.MustCompile(`^[a-z0-9:._-]{1,64}$`)
	external := regexp.MustCompile(`^[a-z0-9._-]{1,32}:[!-~]+$`)
	f.Fuzz(func(t *testing.T, text string) {
		name, err := user.ParseUsername(text)
		if (err == nil) != username.MatchString(text) || err == nil && string(name) != strings.ToLower(text) || err != nil && !errors.Is(err, user.ErrInvalidUsername) {
			t.Errorf("username %q: %q, %v", text, name, err)
		}
		r, err := user.ParseRole(text)
		if (err == nil) != role.MatchString(text) || err == nil && string(r) != text || err != nil && !errors.Is(err, user.ErrInvalidRole) {
			t.Errorf("role %q: %q, %v", text, r, err)
		}
		id, err := user.ParseExternalID(text)
		if (err == nil) != (external.MatchString(text) && len(text) <= 128) || err == nil && string(id) != text || err != nil && !errors.Is(err, user.ErrInvalidExternal) {
			t.Errorf("external id %q: %q, %v", text, id, err)
		}
	})
}

// FuzzParseEmail: what is taken is one plain ASCII address, and two spellings that
// are taken as one differ in case alone.
func FuzzParseEmail(f *testing.F) {
	for _, s := range []string{"ada@example.com", "Ada@EXAMPLE.com", "a@b@c.example", `"a b"@example.com`, "ada@[127.0.0.1]", "ada@exämple.com", "ada@example.com.", "a@b", "ada+x@example.com", "ada@example.com\x00", "ada@-a.com"} {
		f.Add(s)
	}
	plain := regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+/=?^_{|}~.\x60-]+@[A-Za-z0-9.-]+$`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := user.ParseEmail(text)
		if err != nil {
			if got != "" || !errors.Is(err, user.ErrInvalidEmail) {
				t.Errorf("%q: %q, %v", text, got, err)
			}
			return
		}
		if string(got) != strings.ToLower(text) || len(text) > 254 || !plain.MatchString(text) || strings.Contains(text, "..") {
			t.Errorf("%q is taken as %q", text, got)
		}
	})
}
