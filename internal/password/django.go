package password

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
	"golang.org/x/text/unicode/norm"
)

// ErrForeignAlgorithm is a hash of an algorithm that is not verified here, such
// as Django's md5 and sha1, which a stolen table would give away in hours.
var ErrForeignAlgorithm = errors.New("password: hash of an algorithm that is not taken over")

// The bounds of what one of Django's hashes may ask for; argon2 has those of our
// own. They leave room above what Django sets (1,200,000 iterations in 6.0, cost
// 12, N=2¹⁴ r=8 p=5), and keep the dearest row at a second or so of one worker.
const (
	maxDjangoSalt    = 64 // bytes
	maxIterations    = 2_000_000
	minBcryptCost    = 4
	maxBcryptCost    = 14
	maxScryptBlock   = 32
	maxScryptLanes   = 16
	maxScryptMemory  = 128 << 20 // bytes, 128·N·r
	maxScryptWork    = 2 * maxScryptMemory
	pbkdf2TagLen     = sha256.Size
	djangoScryptLen  = 64
	djangoArgon2Name = "argon2"
)

// bcryptForm is what bcrypt itself writes. golang.org/x/crypto/bcrypt would take
// other versions and longer tails.
var bcryptForm = regexp.MustCompile(`^\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}$`)

// CheckDjango returns nil if [Hasher.Verify] takes encoded, a hash that Django
// wrote (django.contrib.auth.hashers: pbkdf2_sha256, argon2 with argon2id,
// bcrypt_sha256, scrypt). It returns [ErrForeignAlgorithm] for another algorithm,
// and [ErrMalformedHash] for what is damaged or asks for too much work.
func CheckDjango(encoded string) error {
	_, err := parseDjango(encoded)
	return err
}

// parseDjango returns what tells whether a text is the password behind encoded.
// Verifying works on a copy of encoded's parts and may run on any goroutine.
func parseDjango(encoded string) (func(plain string) bool, error) {
	algorithm, rest, _ := strings.Cut(encoded, "$")
	switch algorithm {
	case "pbkdf2_sha256":
		return parsePBKDF2(encoded)
	case "bcrypt_sha256":
		return parseBcrypt(rest)
	case "scrypt":
		return parseScrypt(encoded)
	case djangoArgon2Name:
		if !strings.HasPrefix(rest, "argon2id$") {
			return nil, ErrForeignAlgorithm
		}
		stored, err := parse("$" + rest)
		return stored.matches, err
	}
	return nil, ErrForeignAlgorithm
}

// asTyped tries plain as it was typed before it tries it in NFC. Django hashes
// the code points that it is sent and normalises nothing, so the text as typed
// is what it hashed for whoever types on the same system; NFC is for those who
// type the same password on another one, as they may with our own hashes.
func asTyped(matches func(plain string) bool) func(plain string) bool {
	return func(plain string) bool {
		if matches(plain) {
			return true
		}
		composed := norm.NFC.String(plain)
		return composed != plain && matches(composed)
	}
}

// parsePBKDF2 takes pbkdf2_sha256$<iterations>$<salt>$<base64>.
func parsePBKDF2(encoded string) (func(plain string) bool, error) {
	part := strings.SplitN(encoded, "$", 5)
	if len(part) != 4 || !within(len(part[2]), 1, maxDjangoSalt) {
		return nil, ErrMalformedHash
	}
	iterations, okCost := parseCost(part[1], "", maxIterations)
	tag, okTag := parseTag(part[3], pbkdf2TagLen)
	if !okCost || !okTag || encoded != fmt.Sprintf("pbkdf2_sha256$%d$%s$%s", iterations, part[2], part[3]) {
		return nil, ErrMalformedHash
	}
	salt := []byte(part[2])
	return func(plain string) bool {
		got, err := pbkdf2.Key(sha256.New, plain, salt, int(iterations), len(tag))
		return err == nil && subtle.ConstantTimeCompare(got, tag) == 1
	}, nil
}

// parseBcrypt takes $2b$<cost>$<salt and hash>. What bcrypt hashes is the
// password's SHA-256 in hex, so that nothing is cut off after 72 bytes.
func parseBcrypt(stored string) (func(plain string) bool, error) {
	found := bcryptForm.FindStringSubmatch(stored)
	if found == nil {
		return nil, ErrMalformedHash
	}
	if cost, err := strconv.Atoi(found[1]); err != nil || !within(cost, minBcryptCost, maxBcryptCost) {
		return nil, ErrMalformedHash
	}
	return func(plain string) bool {
		sum := sha256.Sum256([]byte(plain))
		return bcrypt.CompareHashAndPassword([]byte(stored), []byte(hex.EncodeToString(sum[:]))) == nil
	}, nil
}

// parseScrypt takes scrypt$<N>$<salt>$<r>$<p>$<base64> (RFC 7914).
func parseScrypt(encoded string) (func(plain string) bool, error) {
	part := strings.SplitN(encoded, "$", 7)
	if len(part) != 6 || !within(len(part[2]), 1, maxDjangoSalt) {
		return nil, ErrMalformedHash
	}
	cost, okN := parseCost(part[1], "", maxScryptMemory)
	block, okR := parseCost(part[3], "", maxScryptBlock)
	lanes, okP := parseCost(part[4], "", maxScryptLanes)
	tag, okTag := parseTag(part[5], djangoScryptLen)
	memory := 128 * uint64(cost) * uint64(block)
	if !okN || !okR || !okP || !okTag || memory > maxScryptMemory || memory*uint64(lanes) > maxScryptWork ||
		cost < 2 || cost&(cost-1) != 0 ||
		encoded != fmt.Sprintf("scrypt$%d$%s$%d$%d$%s", cost, part[2], block, lanes, part[5]) {
		return nil, ErrMalformedHash
	}
	salt := []byte(part[2])
	return func(plain string) bool {
		got, err := scrypt.Key([]byte(plain), salt, int(cost), int(block), int(lanes), len(tag))
		return err == nil && subtle.ConstantTimeCompare(got, tag) == 1
	}, nil
}

// parseTag takes base64 with padding, which Django writes, of n bytes.
func parseTag(s string, n int) ([]byte, bool) {
	tag, err := base64.StdEncoding.Strict().DecodeString(s)
	return tag, err == nil && len(tag) == n && base64.StdEncoding.EncodeToString(tag) == s
}
