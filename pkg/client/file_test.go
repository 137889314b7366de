package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/pkg/client"
)

func state() client.State {
	return client.State{
		BaseURL: "https://auth.example.com", RefreshToken: "r", RetrySecret: "s", AccessToken: "a",
		SentAt: time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC), ExpiresIn: 600,
	}
}

func TestStateDoesNotPrint(t *testing.T) {
	s := state()
	s.RefreshToken, s.RetrySecret, s.AccessToken = "hidden-1", "hidden-2", "hidden-3"
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "state", s)
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "state", &s)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+"\n", s, struct{ S *client.State }{&s})
	}
	if strings.Contains(out.String(), "hidden") || !strings.Contains(out.String(), "signed in to https://auth.example.com") {
		t.Errorf("printed:\n%s", out.String())
	}
}

func TestStores(t *testing.T) {
	for name, s := range map[string]client.Store{
		"memory": &client.MemoryStore{}, "file": client.NewFileStore(filepath.Join(t.TempDir(), "state.json")),
	} {
		t.Run(name, func(t *testing.T) {
			second := state()
			second.RefreshToken = "another"
			for _, want := range []client.State{{}, state(), second, {}, {}, state()} {
				check(t, s.Save(want))
				if got, err := s.Load(); err != nil || got != want {
					t.Errorf("loaded %+v, %v; want %+v", got, err, want)
				}
			}
		})
	}
}

func TestFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	check(t, os.WriteFile(path, nil, 0o644))
	check(t, client.NewFileStore(path).Save(state()))
	info, err := os.Stat(path)
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %04o, want 0600", info.Mode().Perm())
	}
}

// TestFileIsReplaced: whoever has the old file open reads the old state, all of it.
func TestFileIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	s := client.NewFileStore(path)
	check(t, s.Save(state()))
	before, err := os.Stat(path)
	check(t, err)
	check(t, s.Save(state()))
	after, err := os.Stat(path)
	check(t, err)
	if os.SameFile(before, after) {
		t.Error("the file was written over")
	}
}

func TestSaveThatFailsLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.json")
	check(t, os.Mkdir(path, 0o700)) // which no rename replaces
	if err := client.NewFileStore(path).Save(state()); err == nil {
		t.Error("no error")
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || !slices.Equal(left, []string{path, path + ".lock"}) {
		t.Errorf("files = %v, %v", left, err)
	}
	if err := client.NewFileStore(filepath.Join(dir, "nowhere", "state.json")).Save(state()); err == nil {
		t.Error("no error without the directory")
	}
}

// TestKilledWhileItSaves leaves half of a state, which the next one or a logout removes.
func TestKilledWhileItSaves(t *testing.T) {
	dir := t.TempDir()
	s := client.NewFileStore(filepath.Join(dir, "state.json"))
	half := filepath.Join(dir, ".state.json.tmp")
	for _, next := range []client.State{state(), {}} {
		check(t, os.WriteFile(half, []byte("{"), 0o644))
		check(t, s.Save(next))
		if got, err := s.Load(); err != nil || got != next {
			t.Errorf("loaded %+v, %v", got, err)
		}
		if _, err := os.Stat(half); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("half a state: %v", err)
		}
	}
}

func TestDamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	s := client.NewFileStore(path)
	check(t, s.Save(state()))
	text, err := os.ReadFile(path)
	check(t, err)
	good := string(text)
	for name, text := range map[string]string{
		"empty": "", "zeroes": strings.Repeat("\x00", len(good)), "cut off": good[:len(good)/2], "not JSON": "refresh", "null": "null",
		"an object": "{}", "goes on": good + good, "another version": strings.Replace(good, `"version":1`, `"version":2`, 1),
		"a member more": strings.Replace(good, "{", `{"x":1,`, 1), "no refresh token": strings.Replace(good, `"r"`, `""`, 1),
		"no access token": strings.Replace(good, `"a"`, `""`, 1), "no secret": strings.Replace(good, `"s"`, `""`, 1),
		"no server": strings.Replace(good, "https://auth.example.com", "", 1), "no time": strings.Replace(good, "2026-03-04T05:06:07.000000008Z", "0001-01-01T00:00:00Z", 1),
		"no life": strings.Replace(good, "600", "0", 1), "a life without end": strings.Replace(good, "600", "9999999999", 1),
		"huge": good + strings.Repeat(" ", 64<<10),
	} {
		t.Run(name, func(t *testing.T) {
			check(t, os.WriteFile(path, []byte(text), 0o600))
			got, err := s.Load()
			if !errors.Is(err, client.ErrDamaged) || !strings.Contains(err.Error(), path) || got != (client.State{}) {
				t.Errorf("loaded %+v, %v; want ErrDamaged that names the file", got, err)
			}
		})
	}
	if _, err := client.NewFileStore(filepath.Dir(path)).Load(); err == nil || errors.Is(err, client.ErrDamaged) {
		t.Errorf("a directory: %v", err)
	}
}

// TestDamagedStateIsNotASignOut, but a login mends it, and a logout removes it.
func TestDamagedStateIsNotASignOut(t *testing.T) {
	w := newWorld(t)
	for name, mend := range map[string]func(t *testing.T, p *phone){
		"login": func(t *testing.T, p *phone) {
			p.login(t)
			p.works(t)
		},
		"logout": func(t *testing.T, p *phone) {
			if err := p.Logout(t.Context()); !errors.Is(err, client.ErrDamaged) || p.saved(t) != (client.State{}) {
				t.Errorf("logout: %v, want ErrDamaged and nothing saved", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPhone(t, w, 0)
			check(t, os.Truncate(p.file, 0))
			p.restart(t)
			if _, err := p.Token(t.Context()); !errors.Is(err, client.ErrDamaged) || errors.Is(err, client.ErrSignedOut) {
				t.Errorf("error = %v, want ErrDamaged", err)
			}
			mend(t, p)
		})
	}
}
