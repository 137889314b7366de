package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/needs"
	"github.com/jotgate/jotgate/internal/pgtest"
)

// TestLostMasterKey types what operating.md says when the master key is lost, and sees
// who is still let in.
func TestLostMasterKey(t *testing.T) {
	needs.Program(t, "bash", "bash")
	page, err := os.ReadFile("../../configs/docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## The master key is lost\n")
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := regexp.MustCompile("(?s)\n\\*\\*(\\S+)\\.\\*\\*.*?```sh\n(.*?)```").FindAllStringSubmatch(section, -1)
	if len(blocks) != 2 {
		t.Fatalf("operating.md has commands for %d databases, want 2", len(blocks))
	}
	for _, block := range blocks {
		t.Run(block[1], func(t *testing.T) {
			i, lost, serve := newInstall(t), "data/master.key", "bin/jotgate serve"
			i.environ = append(i.environ, "PATH="+filepath.Join(i.dir, "bin")+":"+os.Getenv("PATH"))
			if block[1] == "PostgreSQL" {
				needs.Program(t, "psql", "psql")
				lost, serve = "old.key", "JOTGATE_MASTER_KEY_FILE=new.key "+serve
				i.environ = append(i.environ, "JOTGATE_DATABASE_URL="+pgtest.DSN(t), "JOTGATE_MASTER_KEY_FILE=old.key")
				i.sh(t, "(umask 077; openssl rand -base64 32 > old.key)")
			} else {
				needs.Program(t, "sqlite3", "sqlite3")
			}
			i.serve(t, "bin/jotgate serve")
			i.call(t, 201, "POST", "/v1/users", "", `{"username":"ada","password":"correct horse battery staple"}`)
			access, refresh := i.signIn(t)
			key, _ := i.call(t, 201, "POST", "/v1/api-keys", access, `{"name":"backup","scopes":["orders:read"]}`)["key"].(string)
			made := regexp.MustCompile(`"client_(?:id|secret)": "([^"]+)"`).FindAllStringSubmatch(i.sh(t, "jotgate client create --name reports --output json"), -1)
			i.stop(t)

			i.sh(t, "rm "+lost)
			if block[1] == "PostgreSQL" { // where there is no start without any
				i.sh(t, "(umask 077; openssl rand -base64 32 > old.key)")
			}
			if told := i.sh(t, "jotgate keys list 2>&1 || true"); !strings.Contains(told, "see operating.md, The master key is lost") {
				t.Errorf("the way out is not told of: %s", told)
			}
			out := i.sh(t, "set -e\n"+block[2])
			if !strings.Contains(out, "1 sessions ended") || strings.Count(out, "  active  ") != 1 {
				t.Errorf("the commands print %s", out)
			}
			i.serve(t, serve)
			i.call(t, 401, "GET", "/v1/me", access, "")
			i.refresh(t, 401, refresh)
			i.call(t, 204, "GET", "/v1/forward-auth?scope=orders:read", key, "")
			i.clientToken(t, made[0][1], made[1][1])
			access, refresh = i.signIn(t)
			i.refresh(t, 200, refresh)
			i.call(t, 200, "GET", "/v1/me", access, "")
		})
	}
}
