package needs

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestRequired(t *testing.T) {
	for _, tt := range []struct {
		list, what   string
		needed, fine bool
	}{
		{"", "redis", false, true},
		{"postgres,redis", "redis", true, true},
		{"postgres", "redis", false, true},
		{"postgres,reddis", "redis", false, false},
		{"postgres", "reddis", false, false},
	} {
		if needed, err := required(tt.list, tt.what); needed != tt.needed || (err == nil) != tt.fine {
			t.Errorf("%q asked for %s: %t, %v", tt.list, tt.what, needed, err)
		}
	}
}

// TestNothingIsSkippedInCI holds CI's list to all that is known.
func TestNothingIsSkippedInCI(t *testing.T) {
	text, err := os.ReadFile("../../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^export JOTGATE_TEST_REQUIRE=(.*)$`).FindSubmatch(text)
	if found == nil {
		t.Fatal(".ci/run requires nothing")
	}
	if got := strings.Split(string(found[1]), ","); !slices.Equal(got, everything()) {
		t.Errorf(".ci/run requires %v, want %v", got, everything())
	}
}
