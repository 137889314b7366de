package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestMutantsFit keeps the list of mutants, which takes too long to try each time, with
// the program: what each takes away is there once, and so is a test that may notice.
func TestMutantsFit(t *testing.T) {
	t.Chdir("../..")
	list, err := read("testdata/mutants", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		text, err := os.ReadFile(m.file)
		if err != nil {
			t.Error(err)
		}
		if n := strings.Count(string(text), m.old); n != 1 {
			t.Errorf("%s: the text is in %s %d times, and must be once", m.guard, m.file, n)
		}
		i := slices.Index(m.test, "-run")
		if i < 0 {
			continue
		}
		name, _, _ := strings.Cut(m.test[i+1], "/")
		if !slices.ContainsFunc(testsIn(t, m.test[0]), regexp.MustCompile(name).MatchString) {
			t.Errorf("%s: %s has no test %s", m.guard, m.test[0], name)
		}
	}
}

// TestTry has a guard of which one test takes notice, one does not, and one fails anyway.
func TestTry(t *testing.T) {
	box := sandbox{t.TempDir(), map[string]error{}}
	for name, text := range map[string]string{
		"go.mod":  "module door\n",
		"door.go": "package door\n\nfunc locked() bool { return true }\n",
		"door_test.go": `package door

import "testing"

func TestNotices(t *testing.T) {
	if !locked() {
		t.Error("open")
	}
}

func TestOverlooks(*testing.T) { locked() }

func TestIsBroken(t *testing.T) { t.Error("broken") }
`,
	} {
		if err := os.WriteFile(filepath.Join(box.module, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for test, want := range map[string]string{
		"TestNotices": "<nil>", "TestOverlooks": "no test fails", "TestIsBroken": "the test fails without the mutation",
	} {
		m := mutant{guard: "a lock", file: "door.go", old: "true", new: "false", test: []string{".", "-run", test}}
		if got := fmt.Sprint(box.try(t.Context(), m)); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", test, got, want)
		}
	}
}

func TestFilterMatches(t *testing.T) {
	t.Chdir("../..")
	if list, err := read("testdata/mutants", "NUL is refused"); err != nil || len(list) != 1 {
		t.Errorf("%d mutants, %v; want one", len(list), err)
	}
	if list, err := read("testdata/mutants", "no such guard"); err == nil {
		t.Errorf("%d mutants, want an error", len(list))
	}
}

// testsIn returns the names of the tests of a package.
func testsIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(strings.TrimSuffix(dir, "/..."), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`(?m)^func (\w+)\(`).FindAllStringSubmatch(string(text), -1) {
			names = append(names, found[1])
		}
	}
	return names
}
