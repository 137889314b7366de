package keyset

import "testing"

func TestWhatAKeyFileKeepsClosed(t *testing.T) {
	const root, self, other = 0, 1000, 1001
	tests := []struct {
		name        string
		owner, euid int
		want        string // bits of the mode that are refused
	}{
		{"its own file", self, self, "----rwxrwx"},
		{"lent by root", root, self, "-----wxrwx"},
		{"another user's", other, self, "----rwxrwx"},
		{"root's own", root, root, "----rwxrwx"},
		{"a user's, read by root", self, root, "----rwxrwx"},
		{"nobody's", -1, self, "----rwxrwx"},
	}
	for _, tt := range tests {
		if got := closedBits(tt.owner, tt.euid).String(); got != tt.want {
			t.Errorf("%s: closed = %s, want %s", tt.name, got, tt.want)
		}
	}
}
