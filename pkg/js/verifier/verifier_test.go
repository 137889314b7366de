package verifier

import (
	"os"
	"regexp"
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
	}, "--test")
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
