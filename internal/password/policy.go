package password

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Errors of a password that cannot be one, new or not.
var (
	// ErrCharacters is a password with a control character, or not UTF-8.
	ErrCharacters = errors.New("password: has characters that no password may have")
	// ErrTooLong is a password longer than any that was ever taken.
	ErrTooLong = errors.New("password: too long")
)

const (
	// MinLengthFloor is the lowest minimum that may be set (NIST SP 800-63B-4,
	// section 3.1.1.2).
	MinLengthFloor = 8
	// MaxLength is in code points.
	MaxLength = 256
	// maxRaw bounds the bytes that are looked at before anything else is done. A code point
	// of NFC can have been three of three bytes, as in Hangul, or four of two.
	maxRaw = 9 * MaxLength

	product = "jotgate"
)

// The rules that a [WeakError] names.
const (
	TooShort         = "too-short"
	TooLong          = "too-long"
	Common           = "common"
	ContainsIdentity = "contains-identity"
)

// WeakError reports which rule a new password broke. Rule is a stable word that
// clients may translate.
type WeakError struct {
	Rule string
	// MinLength is the fewest code points that are taken, for TooShort.
	MinLength int
}

func (e *WeakError) Error() string { return "password: weak: " + e.Rule }

// Normalize returns plain in Unicode's NFC (NIST SP 800-63B-4, section 3.1.1.2),
// the form that is hashed, so that one password typed on two systems is one.
// Nothing else is changed. It returns [ErrCharacters], or [ErrTooLong] above 256
// code points, before it does work that grows with the length.
func Normalize(plain string) (string, error) {
	if len(plain) > maxRaw {
		return "", ErrTooLong
	}
	if !utf8.ValidString(plain) || strings.ContainsFunc(plain, unicode.IsControl) {
		return "", ErrCharacters
	}
	plain = norm.NFC.String(plain)
	if utf8.RuneCountInString(plain) > MaxLength {
		return "", ErrTooLong
	}
	return plain, nil
}

// Policy says which new passwords are taken.
type Policy struct {
	// MinLength is in code points, from MinLengthFloor to MaxLength.
	MinLength int
}

// Check returns a [*WeakError] for a normalized new password that is too short,
// common, or one of identities, the names its owner goes by (empty ones count
// for nothing).
func (p Policy) Check(normalized string, identities ...string) error {
	if utf8.RuneCountInString(normalized) < p.MinLength {
		return &WeakError{Rule: TooShort, MinLength: p.MinLength}
	}
	folded := strings.ToLower(normalized)
	for _, id := range append(identities, product) {
		id = strings.ToLower(id)
		local, _, _ := strings.Cut(id, "@")
		if repeats(folded, id) || repeats(folded, local) {
			return &WeakError{Rule: ContainsIdentity}
		}
	}
	if isCommon(folded) {
		return &WeakError{Rule: Common}
	}
	return nil
}

// repeats reports whether s is unit, once or several times over.
func repeats(s, unit string) bool {
	return unit != "" && len(s)%len(unit) == 0 && strings.Repeat(unit, len(s)/len(unit)) == s
}
