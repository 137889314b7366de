package djangotest

import (
	"os"
	"strings"
	"testing"
)

// TestREADMEShowsWhatIsTested holds the code in configs/django/README.md to the
// files of the project.
func TestREADMEShowsWhatIsTested(t *testing.T) {
	readme, err := os.ReadFile("../../configs/django/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"models.py", "users.py", "management/commands/link_jotgate_users.py"} {
		code, err := os.ReadFile("project/shop/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(readme), "```python\n"+string(code)+"```\n") {
			t.Errorf("README does not show %s as it is", file)
		}
	}
}
