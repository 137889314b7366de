package verifier

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/apptest"
	"github.com/jotgate/jotgate/internal/needs"
)

func TestNode(t *testing.T) {
	needs.Program(t, "node", "node")
	s := apptest.Start(t)
	s.SignUp(t, "ada")
	needs.Node(t, ".", []string{
		"JOTGATE_URL=" + s.URL, "JOTGATE_IDENTIFIER=ada", "JOTGATE_PASSWORD=" + apptest.Password,
	}, tests(t, false)...)
}

// The tests of the feed are a Go test of their own as they wait for timers.
func TestFeed(t *testing.T) {
	needs.Node(t, ".", nil, tests(t, true)...)
}

// tests is how node runs the tests of the feed, or all others.
func tests(t *testing.T, feed bool) []string {
	t.Helper()
	files, err := filepath.Glob("tests/*.test.js")
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(file string) bool {
		return strings.HasPrefix(filepath.Base(file), "feed") != feed
	})
	if len(files) == 0 {
		t.Fatal("no tests")
	}
	return append([]string{"--test"}, files...)
}

// A lock file with addresses in it fetches from there, whatever the user's
// registry is.
func TestLockNamesNoRegistry(t *testing.T) {
	text, err := os.ReadFile("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if regexp.MustCompile(`"resolved"`).Match(text) {
		t.Error("package-lock.json has addresses")
	}
}
