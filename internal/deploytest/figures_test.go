package deploytest

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// far is the factor by which the page on sizing may be off: a core that is shared is twice as
// fast at some times as at others.
const far = 2

// TestSizingNamesFigures holds the page on sizing to the rows of the page of figures, whose
// values change with each run: it calculates with round numbers that are near them.
func TestSizingNamesFigures(t *testing.T) {
	page, figures := read(t, "configs/docs/operating.md"), read(t, "configs/docs/figures.md")
	rows := regexp.MustCompile(`(?m)^\| [^|]+ \| ([a-z-]+): ([^|]+) \| ([0-9.]+) ms \|$`).FindAllStringSubmatch(page, -1)
	if len(rows) != 5 {
		t.Errorf("%d rows of work, want 5", len(rows))
	}
	for _, r := range rows {
		_, figure, _ := strings.Cut(figures, "\n| "+r[1]+" | "+r[2]+" | ")
		rate, _, found := strings.Cut(figure, "/s")
		perSecond, err := strconv.ParseFloat(rate, 64)
		if !found || err != nil {
			t.Errorf("figures.md has no row %s, %s with a rate: %v", r[1], r[2], err)
			continue
		}
		calculated, err := strconv.ParseFloat(r[3], 64)
		if err != nil {
			t.Error(err)
		}
		if measured := 1000 / perSecond; calculated > far*measured || calculated < measured/far {
			t.Errorf("%s: calculated with %v ms, measured %.3g", r[2], calculated, measured)
		}
	}
}
