// Command mutants takes security guards away, one at a time, and sees whether a
// test fails. A guard whose absence no test notices is not guarded itself.
//
// Usage: mutants DIR [TEXT], where the .txt files in DIR list mutants, of which
// only those are tried whose guard's name holds TEXT:
//
//	# what is taken away
//	file: internal/x/y.go
//	<<<
//	the text as it stands, which is there once
//	===
//	the text instead
//	>>>
//	test: ./internal/x -run TestName
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// mutant is one guard and the test that watches over it.
type mutant struct {
	guard, file, old, new string
	test                  []string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	if len(args) < 1 || len(args) > 2 {
		return errors.New("usage: mutants DIR [TEXT]")
	}
	list, err := read(args[0], strings.Join(args[1:], ""))
	if err != nil {
		return err
	}
	module, err := copyModule(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(module)) }()
	box := sandbox{module, map[string]error{}}
	var failed int
	for _, m := range list {
		begin := time.Now()
		verdict := box.try(ctx, m)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if verdict != nil {
			failed++
			fmt.Fprintf(out, "FAILED  %4.1fs  %s (%s): %v\n", time.Since(begin).Seconds(), m.guard, m.file, verdict)
			continue
		}
		fmt.Fprintf(out, "killed  %4.1fs  %s\n", time.Since(begin).Seconds(), m.guard)
	}
	fmt.Fprintf(out, "%d mutants, %d not killed\n", len(list), failed)
	if failed > 0 {
		return errors.New("a guard can be taken away unnoticed")
	}
	return nil
}

// read returns the mutants in the files of dir whose guard's name holds only.
func read(dir, only string) ([]mutant, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(err, fmt.Errorf("no list in %s", dir))
	}
	var all []mutant
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for block := range strings.SplitSeq(strings.TrimPrefix(string(text), "# "), "\n# ") {
			m, err := parse(block)
			if err != nil {
				return nil, fmt.Errorf("%s: %.60q: %w", file, block, err)
			}
			if strings.Contains(m.guard, only) {
				all = append(all, m)
			}
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no guard in %s is named like %q", dir, only)
	}
	return all, nil
}

func parse(block string) (mutant, error) {
	guard, rest, _ := strings.Cut(block, "\n")
	head, rest, a := strings.Cut(rest, "\n<<<\n")
	old, rest, b := strings.Cut(rest, "\n===\n")
	instead, tail, c := strings.Cut("\n"+rest, "\n>>>\n")
	file, d := strings.CutPrefix(head, "file: ")
	test, e := strings.CutPrefix(strings.TrimSpace(tail), "test: ")
	if !a || !b || !c || !d || !e {
		return mutant{}, errors.New("not a mutant; see the package comment")
	}
	return mutant{guard, file, old, strings.TrimPrefix(instead, "\n"), strings.Fields(test)}, nil
}

// copyModule copies the files that git tracks or would, as they are in the work tree: what is
// new and not ignored comes along.
func copyModule(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		return "", fmt.Errorf("git ls-files: %w", err)
	}
	dir, err := os.MkdirTemp("", "mutants-*")
	if err != nil {
		return "", err
	}
	for name := range strings.SplitSeq(strings.Trim(string(out), "\x00"), "\x00") {
		if err := copyFile(name, filepath.Join(dir, name)); err != nil {
			return "", errors.Join(err, os.RemoveAll(dir))
		}
	}
	return dir, nil
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil // deleted in the work tree
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}

// sandbox is a copy of the module, in which mutants are tried. It keeps how each test
// went without a mutation, by its words.
type sandbox struct {
	module string
	intact map[string]error
}

// try returns nil if the test of m passes without the mutation and fails with it.
func (s sandbox) try(ctx context.Context, m mutant) (err error) {
	if err := s.passes(ctx, m.test); err != nil {
		return err
	}
	path := filepath.Join(s.module, m.file)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		return fmt.Errorf("the text is there %d times, and must be once", n)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), m.old, m.new, 1)), 0o600); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.WriteFile(path, text, 0o600)) }()
	if filepath.Ext(m.file) == ".go" {
		if out, err := s.command(ctx, "vet", "./"+filepath.Dir(m.file)).CombinedOutput(); err != nil {
			return fmt.Errorf("it does not compile: %s", out)
		}
	}
	out, err := s.test(ctx, m.test)
	if err == nil {
		return fmt.Errorf("no test fails: %s", out)
	}
	if !regexp.MustCompile(`(?m)^\s*--- FAIL|^panic:|^fatal error:`).Match(out) {
		return fmt.Errorf("the test did not run: %s", out)
	}
	return nil
}

// passes returns nil if test passes in the module as it stands.
func (s sandbox) passes(ctx context.Context, test []string) error {
	words := strings.Join(test, " ")
	verdict, known := s.intact[words]
	if !known {
		if out, err := s.test(ctx, test); err != nil {
			verdict = fmt.Errorf("the test fails without the mutation: %s", out)
		}
		s.intact[words] = verdict
	}
	return verdict
}

func (s sandbox) test(ctx context.Context, words []string) ([]byte, error) {
	return s.command(ctx, append([]string{"test", "-count=1", "-timeout=120s"}, words...)...).CombinedOutput()
}

func (s sandbox) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = s.module
	return cmd
}
