package scope_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/scope"
)

func TestParse(t *testing.T) {
	got, err := scope.Parse([]string{"orders:write", "orders:read", "orders:write", "a.b_c-1"})
	if want := []string{"a.b_c-1", "orders:read", "orders:write"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("Parse = %q, %v; want %q", got, err, want)
	}
	if got, err := scope.Parse(nil); err != nil || len(got) != 0 {
		t.Errorf("Parse of nothing = %q, %v", got, err)
	}
	many := make([]string, scope.Max+1)
	for i := range many {
		many[i] = fmt.Sprint("s", i)
	}
	for _, bad := range [][]string{{""}, {"A"}, {"a b"}, {"é"}, {"a\x00"}, {`a"`}, {strings.Repeat("a", 65)}, many} {
		if _, err := scope.Parse(bad); !errors.Is(err, scope.ErrInvalid) {
			t.Errorf("Parse(%.80q) = %v", bad, err)
		}
	}
	if _, err := scope.Parse([]string{strings.Repeat("a", 64)}); err != nil {
		t.Error(err)
	}
}

func TestWithin(t *testing.T) {
	list := []string{"a", "b", "c"}
	if got := scope.Within(list, []string{"c", "a", "x"}); !slices.Equal(got, []string{"a", "c"}) || len(list) != 3 {
		t.Errorf("Within = %q, list = %q", got, list)
	}
}
