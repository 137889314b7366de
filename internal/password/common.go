package password

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/FastFilter/xorfilter"
	"golang.org/x/text/unicode/norm"
)

// commonBin is a binary fuse filter with 32-bit fingerprints over the passwords
// of at least MinLengthFloor code points in 10_million_password_list_top_1M.txt,
// folded to lower case and NFC. common.md beside it tells where the list comes
// from; "make common-passwords" builds the same bytes again.
//
// A password that is not on the list passes for one with a probability of 2⁻³²
// by its fingerprint, and of 2⁻⁴⁵ (n/2⁶⁴, n below 2¹⁹) by its 64-bit key.
//
//go:embed common.bin
var commonBin []byte

// commonFilter is decoded at the first look-up: a program that checks no new
// password does not pay for it.
//
//nolint:gochecknoglobals // the decoded form of an embedded file, never changed
var commonFilter = sync.OnceValue(func() *xorfilter.BinaryFuse[uint32] {
	f, err := xorfilter.LoadBinaryFuse[uint32](bytes.NewReader(commonBin))
	if err != nil {
		panic(fmt.Sprintf("password: embedded list of common passwords: %v", err)) // a broken build
	}
	return f
})

func isCommon(folded string) bool { return commonFilter().Contains(commonKey(folded)) }

func commonKey(folded string) uint64 {
	sum := sha256.Sum256([]byte(folded))
	return binary.BigEndian.Uint64(sum[:8])
}

// BuildCommon writes the filter over the lines of list to w and returns how many
// passwords it holds. It checks before it writes that every one is found.
func BuildCommon(w io.Writer, list string) (int, error) {
	var keys []uint64
	for line := range strings.Lines(list) {
		p := strings.ToLower(norm.NFC.String(strings.TrimRight(line, "\r\n")))
		if utf8.RuneCountInString(p) >= MinLengthFloor {
			keys = append(keys, commonKey(p))
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	filter, err := xorfilter.NewBinaryFuse[uint32](slices.Clone(keys))
	if err != nil {
		return 0, fmt.Errorf("password: build filter: %w", err)
	}
	for _, k := range keys {
		if !filter.Contains(k) {
			return 0, fmt.Errorf("password: filter does not find %x", k)
		}
	}
	if err := filter.Save(w); err != nil {
		return 0, fmt.Errorf("password: write filter: %w", err)
	}
	return len(keys), nil
}
