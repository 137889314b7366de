package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/config"
)

// TestEmptyText holds that nothing stands for a setting only where that says what it
// does: a listener without an address would be on all interfaces.
func TestEmptyText(t *testing.T) {
	follow := []string{"database.url", "token.audience"} // what is empty follows another setting
	for _, s := range config.Settings() {
		section, name, grouped := strings.Cut(s.Key, ".")
		file := section + ":\n  " + name + ": \"\"\n"
		if !grouped {
			file = section + ": \"\"\n"
		}
		needed := s.Default != "" && !slices.Contains(follow, s.Key)
		check := func(where string, err error) {
			t.Helper()
			if (err != nil) != needed {
				t.Errorf("%s, empty in %s: %v", s.Key, where, err)
			}
		}
		_, err := load(t, file, nil)
		check("the file", err)
		if s.Flag != "" {
			_, err := load(t, "", nil, "--"+s.Flag+"=")
			check("the flag", err)
		}
		// An empty variable is one that is not there.
		got, err := load(t, "", []string{s.Env + "="})
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(config.Default(), got); diff != "" {
			t.Errorf("%s=: -want +got:\n%s", s.Env, diff)
		}
	}
	for file, want := range map[string]string{
		"ops:\n  addr: \"\"\n":  "ops.addr: must be host:port; a listener cannot be turned off, and left out it is on 127.0.0.1:9090",
		"log:\n  level: \"\"\n": "log.level: must not be empty; left out it is info",
	} {
		if _, err := load(t, file, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want %s", err, want)
		}
	}
}
