package opaque_test

import (
	"hash/crc32"
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jotgate/jotgate/internal/opaque"
)

// FuzzValid computes the checksum in another way.
func FuzzValid(f *testing.F) {
	good := opaque.New("jg_")
	for _, s := range []string{good, good[:48], good + "0", "jgs_" + good[3:], strings.ToUpper(good), "jg_" + strings.Repeat("0", 46), "", good[:10] + "\x00" + good[11:]} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !opaque.Valid("jg_", text) {
			return
		}
		digits := strings.Map(func(r rune) rune { // big has the lower case first
			switch {
			case 'a' <= r && r <= 'z':
				return r - 'a' + 'A'
			case 'A' <= r && r <= 'Z':
				return r - 'A' + 'a'
			}
			return r
		}, text[len(text)-6:])
		n, ok := new(big.Int).SetString(digits, 62)
		if !ok || n.Int64() != int64(crc32.ChecksumIEEE([]byte(text[:len(text)-6]))) || len(text) != 49 {
			t.Errorf("%q is taken", text)
		}
		if hint := opaque.Hint("jg_", text); len(hint) != 8 || !strings.HasPrefix(text, hint) {
			t.Errorf("hint = %q", hint)
		}
	})
}

// FuzzIsName: what is a name can be stored, printed on one line and told apart
// from nothing.
func FuzzIsName(f *testing.F) {
	for _, s := range []string{"backup", "", " ", "Ada’s laptop", "a\x00", "a\u200b", "\u202ea", "a\nb", "\xff", strings.Repeat("é", 128), strings.Repeat("é", 129), "\ufeffa", "a\u00a0b", "\U0001f468\u200d\U0001f4bb", "\u3164", "a\ue000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n := len([]rune(text))
		if opaque.IsName(text) && (!utf8.ValidString(text) || n == 0 || n > 128 || strings.ContainsAny(text, "\x00\n\r\x1b\u0085\u2028\u2029\u200e\u200f\u202a\u202e\u2066\u2069\u061c") ||
			strings.Trim(text, " \u00a0\u3000\u200b\u200d\ufeff\ufe0f\u3164") == "") {
			t.Errorf("%q is taken", text)
		}
	})
}
