// Package scope reads lists of scope names, the one syntax of them that keys,
// clients and routes share.
package scope

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Admin is the scope of the administrators' API. What a user holds carries it
// only while the user has the role of that name.
const Admin = "admin"

const (
	maxLength = 64 // bytes of one name
	// Max is how many scopes one credential has at most.
	Max = 64
)

// ErrInvalid is a list with a name that is none, or with too many.
var ErrInvalid = errors.New("scope: not a list of scopes")

// Parse returns names sorted and without repetitions, or [ErrInvalid]. A name is
// 1 to 64 of a-z, 0-9, colon, dot, underscore and hyphen, which is narrower than
// RFC 6749, section 3.3.
func Parse(names []string) ([]string, error) {
	for _, name := range names {
		if name == "" || len(name) > maxLength || strings.IndexFunc(name, notInName) >= 0 {
			return nil, fmt.Errorf("%w: a name is 1 to %d of a-z, 0-9, colon, dot, underscore and hyphen", ErrInvalid, maxLength)
		}
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(names)))
	if len(sorted) > Max {
		return nil, fmt.Errorf("%w: more than %d", ErrInvalid, Max)
	}
	return sorted, nil
}

// Within returns the names of list that are in allowed.
func Within(list, allowed []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(name string) bool { return !slices.Contains(allowed, name) })
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune(":._-", r)
}
