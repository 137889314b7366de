package store

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"
)

// micros is how a time is kept. The zero time is kept as 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// text is s with U+FFFD for what PostgreSQL's text cannot hold: NUL, and bytes
// that are not UTF-8. It is for what clients name themselves, and for ids that
// are looked up: no id holds a U+FFFD, so none is found, as on SQLite.
func text[S ~string](s S) string {
	plain := string(s)
	if utf8.ValidString(plain) && strings.IndexByte(plain, 0) < 0 {
		return plain
	}
	return strings.ReplaceAll(strings.ToValidUTF8(plain, "\uFFFD"), "\x00", "\uFFFD")
}

// nullable is nil for the empty string. NULLs do not collide in a unique index.
func nullable[S ~string](s S) *string {
	if s == "" {
		return nil
	}
	plain := string(s)
	return &plain
}

func fromNullable[S ~string](s *string) S {
	if s == nil {
		return ""
	}
	return S(*s)
}

// list is how a list of words is kept: a JSON array.
func list[S ~string](words []S) (string, error) {
	if len(words) == 0 {
		return "[]", nil
	}
	b, err := json.Marshal(words)
	return string(b), err
}

func fromList[S ~string](s string) ([]S, error) {
	if s == "[]" {
		return nil, nil
	}
	var words []S
	err := json.Unmarshal([]byte(s), &words)
	return words, err
}

// each makes of every row what it stands for.
func each[R, T any](rows []R, of func(R) (T, error)) ([]T, error) {
	out := make([]T, len(rows))
	for i, r := range rows {
		var err error
		if out[i], err = of(r); err != nil {
			return nil, err
		}
	}
	return out, nil
}
