package opaque_test

import (
	"hash/crc32"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/opaque"
)

func TestNewIsValidAndFresh(t *testing.T) {
	shape := regexp.MustCompile(`^jg_[0-9A-Za-z]{46}$`)
	seen := map[string]bool{}
	count := map[byte]int{}
	for range 2000 {
		s := opaque.New("jg_")
		if !shape.MatchString(s) || !opaque.Valid("jg_", s) || seen[s] {
			t.Fatalf("%q: shape %t, valid %t, seen %t", s, shape.MatchString(s), opaque.Valid("jg_", s), seen[s])
		}
		seen[s] = true
		for i := range 40 {
			count[s[3+i]]++
		}
	}
	// Each of 62 characters is expected 1290 times; 200 is more than five deviations.
	for c, n := range count {
		if n < 1090 || n > 1490 {
			t.Errorf("%q came %d times", c, n)
		}
	}
}

// The checksum is what a scanner computes from the contract alone.
func TestChecksumIsTheContract(t *testing.T) {
	s := opaque.New("jg_")
	digits := "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	n := new(big.Int)
	for _, c := range s[43:] {
		n.Add(n.Mul(n, big.NewInt(62)), big.NewInt(int64(strings.IndexRune(digits, c))))
	}
	if want := crc32.ChecksumIEEE([]byte(s[:43])); n.Uint64() != uint64(want) {
		t.Errorf("checksum of %q = %d, want %d", s, n, want)
	}
}

func TestValidRefusesTypos(t *testing.T) {
	s := opaque.New("jg_")
	swapped := []byte(s)
	for i := 3; i < 40; i++ {
		if swapped[i] != swapped[i+1] {
			swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
			break
		}
	}
	for name, typo := range map[string]string{
		"empty": "", "prefix": "jg_", "short": s[:48], "long": s + "0", "swapped": string(swapped), "other prefix": "jx_" + s[3:],
		"foreign character": s[:10] + "-" + s[11:], "leading space": " " + s, "line feed": s + "\n", "not ASCII": s[:47] + "é",
	} {
		if opaque.Valid("jg_", typo) {
			t.Errorf("%s: %q is valid", name, typo)
		}
	}
}

func TestHashAndHint(t *testing.T) {
	s := opaque.New("jg_")
	if h := opaque.Hash(s); len(h) != 64 || h != opaque.Hash(s) || strings.Contains(h, s[3:]) {
		t.Errorf("hash = %q", h)
	}
	if h := opaque.Hint("jg_", s); len(h) != 8 || !strings.HasPrefix(s, h) {
		t.Errorf("hint = %q", h)
	}
}

func TestIsName(t *testing.T) {
	for name, want := range map[string]bool{
		"ci": true, "Ärger & Söhne": true, strings.Repeat("é", 128): true,
		"": false, strings.Repeat("é", 129): false, "a\x00": false, "a\nb": false, "\xff": false, "a\u202eb": false,
		// What keyboards and systems write into names.
		"MacBook\u00a0Pro de Léa": true, "\U0001f468\u200d\U0001f4bb": true, "\u06a9\u062a\u0627\u0628\u200c\u0647\u0627": true, "小林の\u3000iPhone": true,
		"\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f": true, "\u2764\ufe0f": true, "\U0001fae9": true, "soft\u00adware": true,
		// What turns a line, ends it, or is no character.
		"a\u0085b": false, "a\u2028b": false, "a\u2029b": false, "a\u200eb": false, "a\u200fb": false, "a\u061cb": false, "a\u2066b": false, "a\u2069b": false,
		"a\x1b[2J": false, "\xed\xa0\x80": false, "a\ue000": false, "a\ufdd0": false, "a\uffff": false,
		// What nobody sees.
		" ": false, "\u00a0": false, "\u3000 ": false, "\u200b\u200d": false, "\ufeff": false, "\ufe0f": false, "\u3164": false, "\u2800": false, "\u00ad": false, "\U000e0067": false,
	} {
		if got := opaque.IsName(name); got != want {
			t.Errorf("IsName(%q) = %t", name, got)
		}
	}
}

// A checksum that fits says nothing of what it is the checksum of.
func TestValidRefusesForeignCharacters(t *testing.T) {
	s := opaque.New("jg_")
	for _, foreign := range []string{"-", " ", "\x00", "+"} {
		body := s[:10] + foreign + s[11:43]
		n, sum := crc32.ChecksumIEEE([]byte(body)), ""
		for range 6 {
			sum = string("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[n%62]) + sum
			n /= 62
		}
		if opaque.Valid("jg_", body+sum) {
			t.Errorf("%q is valid", body+sum)
		}
	}
}
