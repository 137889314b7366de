package deploytest

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const configs = "../../configs/"

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// read returns a file below the top of the repository.
func read(tb testing.TB, name string) string {
	tb.Helper()
	text, err := os.ReadFile("../../" + name)
	check(tb, err)
	return string(text)
}

// eachFile calls f with every file below configs/, by its name there. What an
// operator keeps there for a while, such as secrets, is none of it.
func eachFile(tb testing.TB, f func(name, text string)) {
	tb.Helper()
	n := 0
	check(tb, filepath.WalkDir(configs, func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, configs)
		switch {
		case err != nil:
			return err
		case d.IsDir() && name == "secrets":
			return filepath.SkipDir
		case d.IsDir():
			return nil
		}
		n++
		f(name, read(tb, "configs/"+name))
		return nil
	}))
	if n < 20 {
		tb.Errorf("%d files below configs/: look at this test again", n)
	}
}

// documents decodes all documents of a YAML file into values of type T. A key
// that T does not have is a mistake if strict says so.
func documents[T any](tb testing.TB, name string, strict bool) []T {
	tb.Helper()
	d := yaml.NewDecoder(strings.NewReader(read(tb, name)))
	d.KnownFields(strict)
	var all []T
	for {
		var one T
		err := d.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			tb.Fatalf("%s: %v", name, err)
		}
		all = append(all, one)
	}
}

// document is the only document of a file.
func document[T any](tb testing.TB, name string, strict bool) T {
	tb.Helper()
	all := documents[T](tb, name, strict)
	if len(all) != 1 {
		tb.Fatalf("%s has %d documents", name, len(all))
	}
	return all[0]
}
