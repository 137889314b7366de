package password_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/jotgate/jotgate/internal/password"
)

// FuzzNormalize: a password has one form, which is taken again as it is, and a
// policy says of it what it says of the text.
func FuzzNormalize(f *testing.F) {
	for _, s := range []string{
		"correct horse battery staple", "e\u0301e\u0301e\u0301", "\u00e9", "\ufb01", "\u1100\u1161\u11a8", "a\x00b", "\xff", "\u200b\u200d", "adaadaada", "password1234567",
		strings.Repeat("\U0001f600", 256), strings.Repeat("\u0344", 256), strings.Repeat("a", 1<<15), "\u0958\u0958", "Ada@Example.com",
	} {
		f.Add(s)
	}
	policy := password.Policy{MinLength: 15}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := password.Normalize(text)
		if err != nil {
			if got != "" || !errors.Is(err, password.ErrTooLong) && !errors.Is(err, password.ErrCharacters) {
				t.Errorf("%q: %q, %v", text, got, err)
			}
			return
		}
		if again, err := password.Normalize(got); err != nil || again != got {
			t.Errorf("%q is normalized to %q, and that to %q, %v", text, got, again, err)
		}
		if n := utf8.RuneCountInString(got); !utf8.ValidString(got) || n > password.MaxLength || strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("%q is normalized to %d characters %q", text, n, got)
		}
		short, name := utf8.RuneCountInString(got) < 15, strings.ReplaceAll(strings.ToLower(got), "ada", "") == ""
		if policy.Check(got, "ada", "ada@example.com") == nil && (short || name) {
			t.Errorf("%q is strong enough", got)
		}
	})
}
