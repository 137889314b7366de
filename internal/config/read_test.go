package config_test

import (
	"cmp"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/config"
)

// TestEverySettingIsRead looks for each field in the packages that use a Config: by its
// name, with its parent's where the name is not one alone, or by what reads it for them.
func TestEverySettingIsRead(t *testing.T) {
	source := sourceOf(t, "../app", "../../cmd/jotgate")
	instead := map[string]string{
		"Database.URLFile": "config.Load", "Redis.URLFile": "config.Load",
		"Password.Parallel": "Password.Slots", "SPA.Enabled": "SampleApp",
	}
	parents := map[string][]string{}
	var walk func(parent string, typ reflect.Type)
	walk = func(parent string, typ reflect.Type) {
		for f := range typ.Fields() {
			if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[config.Secret]() {
				walk(f.Name, f.Type)
			} else {
				parents[f.Name] = append(parents[f.Name], parent)
			}
		}
	}
	walk("", reflect.TypeFor[config.Config]())
	for name, all := range parents {
		for _, parent := range all {
			whole, reads := parent+"."+name, "."+name
			if len(all) > 1 {
				reads = whole
			}
			reads = cmp.Or(instead[whole], reads)
			if !regexp.MustCompile(regexp.QuoteMeta(reads) + `\b`).MatchString(source) {
				t.Errorf("nothing reads %s: there is no %s", whole, reads)
			}
		}
	}
}

// sourceOf returns the text of the packages in dirs, without their tests.
func sourceOf(t *testing.T, dirs ...string) string {
	t.Helper()
	var source strings.Builder
	for _, dir := range dirs {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(text)
		}
	}
	return source.String()
}
