package deploytest

import (
	"regexp"
	"strings"
	"testing"
)

// TestSizingNamesFigures holds the page on sizing to the rows of the page of figures,
// whose values change with each run.
func TestSizingNamesFigures(t *testing.T) {
	page, figures := read(t, "configs/docs/operating.md"), read(t, "configs/docs/figures.md")
	rows := regexp.MustCompile(`(?m)^\| [^|]+ \| ([a-z-]+): ([^|]+) \| [0-9.]+ ms \|$`).FindAllStringSubmatch(page, -1)
	if len(rows) != 5 {
		t.Errorf("%d rows of work, want 5", len(rows))
	}
	for _, r := range rows {
		if !strings.Contains(figures, "\n| "+r[1]+" | "+r[2]+" | ") {
			t.Errorf("figures.md has no row %s, %s", r[1], r[2])
		}
	}
}
