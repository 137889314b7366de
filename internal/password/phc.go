package password

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// ErrMalformedHash is a stored hash that neither this program nor Django wrote,
// or that asks for more work than either would ever set.
var ErrMalformedHash = errors.New("password: not a stored hash within limits")

// The bounds of what a stored string may ask for. A row is input: one that asks
// for gigabytes must cost nothing.
const (
	maxMemoryKiB = 256 << 10
	maxPasses    = 10
	maxLanes     = 8
	minSaltLen   = 8
	maxSaltLen   = 64
	minTagLen    = 16
	maxTagLen    = 64
	// minMemoryPerLane is in KiB (RFC 9106, section 3.1).
	minMemoryPerLane = 8
)

// hashed is a PHC string taken apart.
type hashed struct {
	params    Params
	salt, tag []byte
}

func (s hashed) matches(plain string) bool {
	got := s.derive(plain, uint32(len(s.tag))) //nolint:gosec // at most maxTagLen
	return subtle.ConstantTimeCompare(got, s.tag) == 1
}

func encode(s hashed) string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		s.params.MemoryKiB, s.params.Passes, s.params.Lanes, b64(s.salt), b64(s.tag))
}

// parse takes exactly what encode writes, and lengths and costs within bounds.
func parse(s string) (hashed, error) {
	part := strings.Split(s, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return hashed{}, ErrMalformedHash
	}
	p, ok := parseParams(part[3])
	if !ok {
		return hashed{}, ErrMalformedHash
	}
	b64 := base64.RawStdEncoding.Strict()
	salt, errSalt := b64.DecodeString(part[4])
	tag, errTag := b64.DecodeString(part[5])
	if errSalt != nil || errTag != nil || !within(len(salt), minSaltLen, maxSaltLen) || !within(len(tag), minTagLen, maxTagLen) {
		return hashed{}, ErrMalformedHash
	}
	got := hashed{params: p, salt: salt, tag: tag}
	if encode(got) != s {
		return hashed{}, ErrMalformedHash // another spelling, such as m=064 or base64 with a line feed
	}
	return got, nil
}

func parseParams(s string) (Params, bool) {
	field := strings.Split(s, ",")
	if len(field) != 3 {
		return Params{}, false
	}
	m, okM := parseCost(field[0], "m=", maxMemoryKiB)
	t, okT := parseCost(field[1], "t=", maxPasses)
	p, okP := parseCost(field[2], "p=", maxLanes)
	if !okM || !okT || !okP || m < minMemoryPerLane*p {
		return Params{}, false
	}
	return Params{MemoryKiB: m, Passes: t, Lanes: uint8(p)}, true //nolint:gosec // at most maxLanes
}

func parseCost(s, prefix string, most uint32) (uint32, bool) {
	digits, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || n == 0 || n > uint64(most) {
		return 0, false
	}
	return uint32(n), true
}

func within(n, least, most int) bool { return least <= n && n <= most }
