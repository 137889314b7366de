package config_test

import (
	"slices"
	"strings"
	"testing"
)

// TestMistakesOfEveryKindAtOnce has mistakes that are seen in one setting, in a file
// that another names, and between two. What depends on a value that is wrong is not
// judged: it would be by another value.
func TestMistakesOfEveryKindAtOnce(t *testing.T) {
	tests := []struct {
		name    string
		file    string
		environ []string
		want    []string // the beginnings of the lines
	}{
		{
			"one of each", "nothing: x\n",
			[]string{
				"JOTGATE_TOKEN_ALG=HS256", "JOTGATE_TOKEN_ACCESS_TTL=25h", "JOTGATE_REDIS_URL_FILE=/nowhere/x",
				"JOTGATE_MASTER_KEY=a", "JOTGATE_MASTER_KEY_FILE=b", "OTEL_TRACES_EXPORTER=console",
			},
			[]string{
				"", "JOTGATE_TOKEN_ALG: ", "OTEL_TRACES_EXPORTER: ", "master_key and master_key_file are both given", "redis.url_file: ",
				"token.access_ttl: 25h is more",
			},
		},
		{
			"a period that is none", "",
			[]string{"JOTGATE_TOKEN_ACCESS_TTL=short", "JOTGATE_TOKEN_ROTATE_EVERY=31m"},
			[]string{"JOTGATE_TOKEN_ACCESS_TTL: "},
		},
		{
			"an address that is none, twice", "",
			[]string{"JOTGATE_HTTP_ADDR=localhost", "JOTGATE_OPS_ADDR=localhost"},
			[]string{"JOTGATE_HTTP_ADDR: ", "JOTGATE_OPS_ADDR: "},
		},
		{"a key that is none", "master_key: 5\n", []string{"JOTGATE_DATABASE_URL=postgres://localhost/x"}, []string{""}},
		{"a database that is none", "", []string{"JOTGATE_DATABASE_URL=mysql://x"}, []string{"JOTGATE_DATABASE_URL: "}},
		{"a database without slashes", "", []string{"JOTGATE_DATABASE_URL=postgres:nonsense"}, []string{"JOTGATE_DATABASE_URL: must begin with"}},
		{"a database nobody names", "", []string{"JOTGATE_DATABASE_URL_FILE=/nowhere/x"}, []string{"database.url_file: "}},
		{
			"a file that cannot be read", "a: [",
			[]string{"JOTGATE_DATABASE_URL=postgres://localhost/x", "JOTGATE_TOKEN_ALG=HS256"},
			[]string{"JOTGATE_TOKEN_ALG: ", "read configuration file "},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(t, tt.file, tt.environ)
			if err == nil {
				t.Fatal("no error")
			}
			lines := strings.Split(err.Error(), "\n")
			slices.Sort(lines)
			if len(lines) != len(tt.want) {
				t.Fatalf("%d lines, want %d:\n%v", len(lines), len(tt.want), err)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("line %d is %s, want %s", i+1, lines[i], want)
				}
			}
		})
	}
}
