package deploytest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/config"
)

func TestYAMLParses(t *testing.T) {
	eachFile(t, func(name, _ string) {
		if strings.HasSuffix(name, ".yaml") {
			documents[map[string]any](t, "configs/"+name, false)
		}
	})
}

// variable is a name of the environment that jotgate would read.
var variable = regexp.MustCompile(`\bJOTGATE_[A-Z0-9_]*[A-Z0-9]`)

func TestVariablesAreSettings(t *testing.T) {
	known := []string{
		"JOTGATE_A_B_C", // how a setting's variable is made up
		"JOTGATE_PORT",  // what Kubernetes would set
	}
	for _, s := range config.Settings() {
		known = append(known, s.Env)
	}
	eachFile(t, func(name, text string) {
		for _, found := range variable.FindAllString(text, -1) {
			if !slices.Contains(known, found) {
				t.Errorf("configs/%s names %s, which is no setting", name, found)
			}
		}
	})
}

// commands are jotgate's subcommands, at any depth.
func commands(t *testing.T) []string {
	t.Helper()
	use := regexp.MustCompile(`\bUse: *"([a-z-]+)`)
	files, err := filepath.Glob("../../cmd/jotgate/*.go")
	check(t, err)
	var all []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		check(t, err)
		for _, m := range use.FindAllStringSubmatch(string(text), -1) {
			all = append(all, m[1])
		}
	}
	return all
}

func TestCommandsExist(t *testing.T) {
	known := commands(t)
	if !slices.Contains(known, "serve") || !slices.Contains(known, "healthcheck") {
		t.Fatalf("commands = %v", known)
	}
	// The program where a command line begins with it, with or without a path or flags between.
	call := regexp.MustCompile(`(?m)(?:^|[\s/=\["])jotgate["]?,? (?:--config \S+ )?["]?([a-z][a-z-]+)`)
	found := 0
	eachFile(t, func(name, text string) {
		for _, line := range code(name, text) {
			line = strings.ReplaceAll(line, "sudo -u jotgate ", "sudo ")
			for _, m := range call.FindAllStringSubmatch(line, -1) {
				found++
				if !slices.Contains(known, m[1]) {
					t.Errorf("configs/%s calls jotgate %s, which is no command: %s", name, m[1], line)
				}
			}
		}
	})
	if found < 10 {
		t.Errorf("%d calls of jotgate found: look at this test again", found)
	}
}

// code returns the lines of a file that a machine or a person types: the blocks of
// a page, and what runs elsewhere.
func code(name, text string) []string {
	typed := regexp.MustCompile(`^#? *(?:ENTRYPOINT|CMD|HEALTHCHECK|ExecStart=|.*\bsudo -u|.*\brun --rm|.*\bexec jotgate-1|\s+jotgate --config)`)
	var lines []string
	page, block := strings.HasSuffix(name, ".md"), false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case page && strings.HasPrefix(line, "```"):
			block = !block
		case page && block, !page && typed.MatchString(line):
			lines = append(lines, line)
		}
	}
	return lines
}

func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	eachFile(t, func(name, text string) {
		if !strings.HasSuffix(name, ".md") {
			return
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target := filepath.Join(configs, filepath.Dir(name), m[1])
			if _, err := os.Stat(target); err != nil {
				t.Errorf("configs/%s links to %s: %v", name, m[1], err)
			}
		}
	})
}
