// Package opaque makes the secrets that programs keep for long: API keys and
// client secrets. They look alike, a prefix, 40 random characters and a
// checksum, so that scanners find one that got into a repository and a mistyped
// one is refused without a look-up.
//
// A secret has 238 random bits, so a plain SHA-256 of it is all that needs to be
// stored: there is nothing to guess.
package opaque

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName is how long the name of a secret is at most, in code points.
const MaxName = 128

const (
	alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	random   = 40
	checksum = 6
	hint     = 5
)

// New returns a fresh secret that begins with prefix.
func New(prefix string) string {
	// Bytes beyond the largest multiple of 62 would favour the first characters.
	const even = 256 / len(alphabet) * len(alphabet)
	body := make([]byte, 0, random)
	for len(body) < random {
		var b [2 * random]byte
		_, _ = rand.Read(b[:]) // never fails
		for _, x := range b {
			if int(x) < even && len(body) < random {
				body = append(body, alphabet[int(x)%len(alphabet)])
			}
		}
	}
	s := prefix + string(body)
	return s + sum(s)
}

// Valid reports whether s is a secret that [New] may have made with prefix.
func Valid(prefix, s string) bool {
	body, ok := strings.CutPrefix(s, prefix)
	if !ok || len(body) != random+checksum {
		return false
	}
	for i := range len(body) {
		if strings.IndexByte(alphabet, body[i]) < 0 {
			return false
		}
	}
	end := len(s) - checksum
	return sum(s[:end]) == s[end:]
}

// Hash returns what is stored of a secret: its SHA-256, in hex.
func Hash(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// Hint returns the beginning of a valid secret, by which its owner knows it
// again. It gives 30 of the 238 bits away.
func Hint(prefix, s string) string { return s[:len(prefix)+hint] }

// IsName reports whether s is what people may call a secret, its holder or a device:
// 1 to [MaxName] characters of which somebody sees one, and none that would make of a
// line in a list what it is not. Spaces and joiners of any kind are in what keyboards
// and systems write: in emoji, in Persian, before a French colon.
func IsName(s string) bool {
	return utf8.RuneCountInString(s) <= MaxName && utf8.ValidString(s) && strings.IndexFunc(s, isUnsafe) < 0 &&
		strings.IndexFunc(s, func(r rune) bool { return !isInvisible(r) }) >= 0
}

// isUnsafe reports whether r ends a line, turns its direction, steers a terminal, or
// is no character that two programs agree on.
func isUnsafe(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control, unicode.Co, unicode.Noncharacter_Code_Point)
}

func isInvisible(r rune) bool {
	const brailleBlank = '\u2800'
	return r == brailleBlank || unicode.In(r, unicode.Zs, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// sum is the CRC-32 (IEEE) of s as six base62 digits, the most significant first.
func sum(s string) string {
	n := crc32.ChecksumIEEE([]byte(s))
	var digits [checksum]byte
	for i := checksum - 1; i >= 0; i-- {
		digits[i] = alphabet[n%uint32(len(alphabet))]
		n /= uint32(len(alphabet))
	}
	return string(digits[:])
}
