//go:build !race

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// heaviest is what the program may weigh on this machine, in bytes.
const heaviest = 33_000_000

// TestProgramIsSmall also names what makes it large if it is: the linker keeps
// every method of every type once anything that is reachable looks methods up by
// names that it cannot know, such as templates do.
func TestProgramIsSmall(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "jotgate")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-tags=nomsgpack", "-trimpath", "-ldflags", "-s -w -dumpdep", "-o", out, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	calls, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%.1000s", err, calls)
	}
	for _, m := range regexp.MustCompile(`(?m)^(.*) -> (.*) <ReflectMethod>$`).FindAllStringSubmatch(string(calls), -1) {
		if !strings.HasPrefix(m[1], "type:") && !strings.HasPrefix(m[1], "reflect.") {
			t.Errorf("%s calls %s, which finds methods by name", m[1], m[2])
		}
	}
	info, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > heaviest {
		t.Errorf("the program has %d bytes, more than %d", info.Size(), heaviest)
	}
}
