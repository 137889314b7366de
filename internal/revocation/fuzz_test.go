package revocation_test

import (
	"errors"
	"testing"

	"github.com/jotgate/jotgate/internal/revocation"
)

// FuzzParseCursor: a cursor has one spelling, so that nobody keeps one place of the
// feed under two names.
func FuzzParseCursor(f *testing.F) {
	for _, s := range []string{"0-0", "1-523", "9223372036854775807-1", "-1-1", "1--1", "01-1", "+1-1", "1-1-1", "1_0-1", " 1-1", "１-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := revocation.ParseCursor(text)
		switch {
		case err != nil && (!errors.Is(err, revocation.ErrInvalidCursor) || c != revocation.Cursor{}):
			t.Errorf("%q: %v, %v", text, c, err)
		case err == nil && c.String() != text:
			t.Errorf("%q is taken for %s", text, c)
		}
	})
}
