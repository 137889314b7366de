package main

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/jotgate/jotgate/internal/store"
)

// commandsThatEnd is every command that ends or weakens access, as it is typed.
// CLIENT and KID are what there is to end besides ada.
func commandsThatEnd() map[string]string {
	return map[string]string{
		"user disable": "user disable ada", "user set-password": "user set-password ada", "user set-roles": "user set-roles ada",
		"client delete": "client delete CLIENT", "client rotate-secret": "client rotate-secret CLIENT",
		"keys bump-epoch": "keys bump-epoch", "keys revoke": "keys revoke -- KID",
	}
}

// commandsThatDoNot is every other one.
func commandsThatDoNot() []string {
	return []string{
		"serve", "migrate up", "migrate status", "user create", "user import", "user list", "user enable", "client create", "client list",
		"db copy", "keys list", "keys import", "keys rotate", "keys reseal", "config check", "config print", "token inspect", "healthcheck", "version", "help",
	}
}

// TestCommandsThatEndAccessAreInTheFeed walks all commands.
func TestCommandsThatEndAccessAreInTheFeed(t *testing.T) {
	for _, path := range leaves(newRoot(process{}), "") {
		if slices.Contains(commandsThatDoNot(), path) {
			continue
		}
		typed, ok := commandsThatEnd()[path]
		if !ok {
			t.Errorf("nobody says whether %q ends access", path)
			continue
		}
		t.Run(path, func(t *testing.T) {
			dir := t.TempDir()
			jotgate := func(line string) string {
				t.Helper()
				var out, errs bytes.Buffer
				code := run(t.Context(), strings.Fields(line), process{in: strings.NewReader("paper lantern over the river\n"), out: &out, err: &errs, environ: []string{
					"JOTGATE_DATA_DIR=" + dir, "JOTGATE_PASSWORD_MEMORY_KIB=64", "JOTGATE_PASSWORD_PASSES=1",
				}})
				if code != 0 {
					t.Fatalf("%s: exit code %d: %s", line, code, &errs)
				}
				return out.String()
			}
			jotgate("user create --username ada --role editor")
			client, _, _ := strings.Cut(jotgate("client create --name reports"), " ")
			kid, _, _ := strings.Cut(jotgate("keys list"), " ")
			before := feedHead(t, dir)
			jotgate(strings.NewReplacer("CLIENT", client, "KID", kid).Replace(typed))
			if feedHead(t, dir) == before {
				t.Error("nothing is in the feed")
			}
		})
	}
}

// leaves returns the names of all commands that do something.
func leaves(c *cobra.Command, prefix string) (all []string) {
	for _, sub := range c.Commands() {
		path := strings.TrimSpace(prefix + " " + sub.Name())
		if !sub.HasSubCommands() {
			all = append(all, path)
		}
		all = append(all, leaves(sub, path)...)
	}
	return all
}

func feedHead(t *testing.T, dir string) int64 {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{
		URL: "sqlite:" + filepath.Join(dir, "jotgate.db"), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, seq, err := db.Revocations().Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return seq
}
