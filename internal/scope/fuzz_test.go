package scope_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/scope"
)

// FuzzParseScopes compares with the syntax as the contract writes it.
func FuzzParseScopes(f *testing.F) {
	for _, s := range []string{"", "a", "b a b", "orders:read admin", "A", "a  b", "a\x00", "ａ", strings.Repeat("a", 65), strings.Repeat("a ", 65)} {
		f.Add(s)
	}
	name := regexp.MustCompile(`^[a-z0-9:._-]{1,64}$`)
	f.Fuzz(func(t *testing.T, text string) {
		names := strings.Split(text, " ")
		given := slices.Clone(names)
		got, err := scope.Parse(names)
		distinct := slices.Compact(slices.Sorted(slices.Values(given)))
		good := len(distinct) <= scope.Max && !slices.ContainsFunc(given, func(n string) bool { return !name.MatchString(n) })
		switch {
		case (err == nil) != good || err != nil && !errors.Is(err, scope.ErrInvalid):
			t.Errorf("%q: %q, %v", given, got, err)
		case err == nil && !slices.Equal(got, distinct), !slices.Equal(names, given):
			t.Errorf("%q became %q, and the argument %q", given, got, names)
		}
	})
}
