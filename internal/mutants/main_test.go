package main

import (
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
	list, err := read("testdata/mutants")
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
