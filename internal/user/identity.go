package user

import "strings"

const (
	minUsernameLen = 3
	maxUsernameLen = 64
	maxEmailLen    = 254
	maxLocalLen    = 64
	maxLabelLen    = 63
	maxRoleLen     = 64
	maxSourceLen   = 32
	maxExternalLen = 128

	// MaxRoles is how many roles a user may have. They travel in every token, and
	// a token must fit in a cookie of 4096 bytes.
	MaxRoles = 16
)

// Username is a name in the one spelling that is compared and stored. Obtain
// one from [ParseUsername] only.
type Username string

// Email is an address in the one spelling that is compared and stored. Obtain
// one from [ParseEmail] only.
type Email string

// Identifier is a [Username] or an [Email], whichever it looks like.
type Identifier struct {
	Username Username
	Email    Email
}

// ExternalID names a user as another system did: a word for that system, a
// colon, and the id there, such as "django:42". Obtain one from [ParseExternalID].
type ExternalID string

// Role is a word that services give a meaning to. Obtain one from [ParseRole].
type Role string

// ParseUsername returns s folded to lower case, or [ErrInvalidUsername]. A
// username is 3 to 64 of [a-z0-9._-].
func ParseUsername(s string) (Username, error) {
	if len(s) < minUsernameLen || len(s) > maxUsernameLen {
		return "", ErrInvalidUsername
	}
	s = foldASCII(s)
	if !only(s, isWord) {
		return "", ErrInvalidUsername
	}
	return Username(s), nil
}

// ParseEmail returns s folded to lower case, or [ErrInvalidEmail]. It takes one
// bare ASCII address, a dot-atom on both sides of one @ (RFC 5322 section
// 3.4.1 without quoting, comments and literals), of at most 254 bytes.
func ParseEmail(s string) (Email, error) {
	if len(s) > maxEmailLen {
		return "", ErrInvalidEmail
	}
	s = foldASCII(s)
	local, domain, ok := strings.Cut(s, "@")
	if !ok || len(local) > maxLocalLen || !isDotAtom(local, isAtext, maxLocalLen) {
		return "", ErrInvalidEmail
	}
	if !strings.Contains(domain, ".") || !isDotAtom(domain, isHostChar, maxLabelLen) {
		return "", ErrInvalidEmail
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label[0] == '-' || label[len(label)-1] == '-' {
			return "", ErrInvalidEmail
		}
	}
	return Email(s), nil
}

// ParseIdentifier returns what s can be: an email if it has an @, a username
// otherwise.
func ParseIdentifier(s string) (Identifier, error) {
	if strings.Contains(s, "@") {
		e, err := ParseEmail(s)
		return Identifier{Email: e}, err
	}
	n, err := ParseUsername(s)
	return Identifier{Username: n}, err
}

// ParseRole returns s, or [ErrInvalidRole]. A role is 1 to 64 of [a-z0-9:._-].
func ParseRole(s string) (Role, error) {
	if s == "" || len(s) > maxRoleLen || !only(s, func(c byte) bool { return isWord(c) || c == ':' }) {
		return "", ErrInvalidRole
	}
	return Role(s), nil
}

// ParseExternalID returns s, or [ErrInvalidExternal]. The system is 1 to 32 of
// [a-z0-9._-], the id is printable ASCII without spaces, and together they are at
// most 128 bytes. Nothing is folded: the other system may tell case apart.
func ParseExternalID(s string) (ExternalID, error) {
	source, id, ok := strings.Cut(s, ":")
	printable := func(c byte) bool { return ' ' < c && c <= '~' }
	if !ok || source == "" || id == "" || len(source) > maxSourceLen || len(s) > maxExternalLen ||
		!only(source, isWord) || !only(id, printable) {
		return "", ErrInvalidExternal
	}
	return ExternalID(s), nil
}

// foldASCII folds A to Z only. Unicode's folding would make the Kelvin sign a k
// and so let two spellings of a name meet that were never compared.
func foldASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// isDotAtom reports whether s is runs of allowed bytes joined by single dots.
func isDotAtom(s string, allowed func(byte) bool, maxRun int) bool {
	for run := range strings.SplitSeq(s, ".") {
		if run == "" || len(run) > maxRun || !only(run, allowed) {
			return false
		}
	}
	return true
}

func only(s string, allowed func(byte) bool) bool {
	for i := range len(s) {
		if !allowed(s[i]) {
			return false
		}
	}
	return true
}

func isHostChar(c byte) bool { return isAlnum(c) || c == '-' }

func isWord(c byte) bool { return isAlnum(c) || c == '.' || c == '_' || c == '-' }

func isAtext(c byte) bool { return isAlnum(c) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0 }

func isAlnum(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
