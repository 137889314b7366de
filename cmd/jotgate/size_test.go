package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// build links the program in dir as "make build" does, with more flags.
func build(t *testing.T, dir, out string, ldflags ...string) string {
	t.Helper()
	flags := "-s -w " + strings.Join(ldflags, " ")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-tags=nomsgpack", "-trimpath", "-ldflags", flags, "-o", out, "./cmd/jotgate")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, said)
	}
	return string(said)
}

// most is what the program may weigh on this machine, in bytes.
const most = 33_000_000

// TestProgramIsSmall also names what makes it large if it is: the linker keeps
// every method of every type once anything that is reachable looks methods up by
// names that it cannot know, such as templates do.
func TestProgramIsSmall(t *testing.T) {
	out := filepath.Join(t.TempDir(), "jotgate")
	calls := build(t, "../..", out, "-dumpdep")
	for _, m := range regexp.MustCompile(`(?m)^(.*) -> (.*) <ReflectMethod>$`).FindAllStringSubmatch(calls, -1) {
		if !strings.HasPrefix(m[1], "type:") && !strings.HasPrefix(m[1], "reflect.") {
			t.Errorf("%s calls %s, which finds methods by name", m[1], m[2])
		}
	}
	info, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > most {
		t.Errorf("the program has %d bytes, more than %d", info.Size(), most)
	}
}
