// Command mutants takes security guards away, one at a time, and sees whether a
// test fails. A guard whose absence no test notices is not guarded itself.
//
// Usage: mutants DIR, where the .txt files in DIR list mutants:
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
	"strings"
	"time"
)

// mutant is one guard and the test that watches over it.
type mutant struct {
	guard, file, old, new string
	test                  []string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	if len(args) != 1 {
		return errors.New("usage: mutants DIR")
	}
	list, err := read(args[0])
	if err != nil {
		return err
	}
	module, err := copyModule(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(module)) }()
	var failed int
	for _, m := range list {
		begin := time.Now()
		verdict := m.try(ctx, module)
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

// read returns the mutants in the files of dir.
func read(dir string) ([]mutant, error) {
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
			all = append(all, m)
		}
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

// copyModule copies the files that git tracks, as they are in the work tree.
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

// try returns nil if the test of m passes without the mutation and fails with it.
func (m mutant) try(ctx context.Context, module string) (err error) {
	path := filepath.Join(module, m.file)
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
		if out, err := command(ctx, module, "go", "vet", "./"+filepath.Dir(m.file)).CombinedOutput(); err != nil {
			return fmt.Errorf("it does not compile: %s", out)
		}
	}
	args := append([]string{"test", "-count=1", "-timeout=120s"}, m.test...)
	out, err := command(ctx, module, "go", args...).CombinedOutput()
	if err == nil {
		return fmt.Errorf("no test fails: %s", out)
	}
	if !strings.Contains(string(out), "--- FAIL") && !strings.Contains(string(out), "panic:") {
		return fmt.Errorf("the test did not run: %s", out)
	}
	return nil
}

func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	return cmd
}
