// Package needs says what a test wants of the machine it runs on, besides Go:
// PostgreSQL, Redis, a browser, Node. Where that is not there the test is skipped with
// one line, or fails if JOTGATE_TEST_REQUIRE, a list separated by commas, names it.
// No other package skips a test, but for one that takes long under -short.
package needs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// everything is all that a test may need.
func everything() []string {
	return []string{
		"postgres", "redis", "wycheproof", "node", "chromium", "nginx", "django", "ssh", "bash", "curl", "terminal", "systemd",
		"psql", "sqlite3",
	}
}

// Missing skips tb, or fails it if what is required. why says what was looked for.
func Missing(tb testing.TB, what, why string) {
	tb.Helper()
	needed, err := required(os.Getenv("JOTGATE_TEST_REQUIRE"), what) //nolint:forbidigo // tests have no configuration
	switch {
	case err != nil:
		tb.Fatalf("no %s (%s), and %v", what, why, err)
	case needed:
		tb.Fatalf("no %s, which JOTGATE_TEST_REQUIRE names: %s", what, why)
	}
	tb.Skipf("no %s: %s", what, why)
}

// required reports whether list names what. A name that nobody knows is an error: a
// misspelt one would require nothing.
func required(list, what string) (bool, error) {
	names := strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
	for _, name := range append(names, what) {
		if !slices.Contains(everything(), name) {
			return false, fmt.Errorf("%q is not one of %s", name, strings.Join(everything(), ", "))
		}
	}
	return slices.Contains(names, what), nil
}

// Program returns the path of the first program that is there, by name in PATH
// or as a path.
func Program(tb testing.TB, what string, names ...string) string {
	tb.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	Missing(tb, what, strings.Join(names, ", ")+" not found")
	return ""
}

// Node runs a script with the packages that dir/package-lock.json names, which it
// installs beside it the first time, and fails tb with what the script printed.
// environ is added to the environment.
func Node(tb testing.TB, dir string, environ []string, args ...string) {
	tb.Helper()
	node, npm := Program(tb, "node", "node"), Program(tb, "node", "npm")
	if stale(filepath.Join(dir, "node_modules", ".package-lock.json"), filepath.Join(dir, "package-lock.json")) {
		run(tb, dir, nil, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	}
	tb.Log(run(tb, dir, environ, node, args...))
}

// stale reports whether made is not there or older than its source. A source
// that is not there makes nothing.
func stale(made, source string) bool {
	from, err := os.Stat(source)
	if err != nil {
		return false
	}
	at, err := os.Stat(made)
	return err != nil || at.ModTime().Before(from.ModTime())
}

func run(tb testing.TB, dir string, environ []string, program string, args ...string) string {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), program, args...) //nolint:gosec // tests name the program
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), environ...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, out)
	}
	return string(out)
}
