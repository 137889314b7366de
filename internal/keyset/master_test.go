package keyset_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jotgate/jotgate/internal/keyset"
)

func counting() []byte {
	raw := make([]byte, 32)
	for i := range raw {
		raw[i] = byte(200 + i)
	}
	return raw
}

func TestParseMasterKey(t *testing.T) {
	raw := counting()
	b64, hexa := base64.StdEncoding.EncodeToString(raw), hex.EncodeToString(raw)
	tests := []struct {
		name string
		in   string
		ok   bool
	}{
		{"base64", b64, true},
		{"hex", hexa, true},
		{"upper-case hex", strings.ToUpper(hexa), true},
		{"line feed", b64 + "\n", true},
		{"carriage return and line feed", hexa + "\r\n", true},
		{"two line feeds", b64 + "\n\n", false},
		{"space before", " " + b64, false},
		{"line feed inside", b64[:20] + "\n" + b64[20:], false},
		{"line feed for a character", b64[:20] + "\n" + b64[21:], false},
		{"without padding", strings.TrimRight(b64, "="), false},
		{"other trailing bits", b64[:42] + "5=", false},
		{"base64 for URLs", base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 32)), false},
		{"31 bytes", base64.StdEncoding.EncodeToString(raw[:31]), false},
		{"33 bytes", base64.StdEncoding.EncodeToString(append(raw, 0)), false},
		{"48 bytes in as many characters as hex", base64.StdEncoding.EncodeToString(append(raw, raw[:16]...)), false},
		{"hex with a stray character", hexa[:63] + "g", false},
		{"empty", "", false},
		{"line feed alone", "\n", false},
	}
	want := must(keyset.ParseMasterKey(b64)).Derive("test", 32)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := keyset.ParseMasterKey(tt.in)
			if (err == nil) != tt.ok {
				t.Fatalf("ParseMasterKey = %v, want ok %t", err, tt.ok)
			}
			if tt.ok && !bytes.Equal(m.Derive("test", 32), want) {
				t.Error("another key")
			}
			if !tt.ok && len(tt.in) > 1 && strings.Contains(err.Error(), strings.TrimSpace(tt.in)) {
				t.Errorf("error repeats the key: %v", err)
			}
		})
	}
}

// TestDerive pins the derivation: another one would end every session and make
// every database unreadable.
func TestDerive(t *testing.T) {
	m := masterKey(t, "0")
	const want = "dc3f130fe4fa90169b5cbb1b44c3bddb16c0320669b4e01a7bcca94adf544354"
	if got := hex.EncodeToString(m.Derive("jotgate test", 32)); got != want {
		t.Errorf("Derive = %s, want %s", got, want)
	}
	if bytes.Equal(m.Derive("a", 32), m.Derive("b", 32)) {
		t.Error("two purposes give the same key")
	}
	if bytes.Equal(m.Derive("a", 32), masterKey(t, "1").Derive("a", 32)) {
		t.Error("two master keys give the same key")
	}
	if got := len(m.Derive("a", 9)); got != 9 {
		t.Errorf("%d bytes, want 9", got)
	}
}

func TestMasterKeyDoesNotPrint(t *testing.T) {
	raw := counting()
	m := must(keyset.ParseMasterKey(hex.EncodeToString(raw)))
	set := keyset.New(&memory{}, m, keyset.Config{Now: now})
	holders := map[string]any{
		"key": m, "pointer": &m, "exported field": struct{ M keyset.MasterKey }{m},
		"unexported field": struct{ m keyset.MasterKey }{m}, "slice": []keyset.MasterKey{m}, "set": set,
	}
	printed := map[string]string{"String": m.String(), "GoString": m.GoString()}
	for name, v := range holders {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%o"} {
			printed[name+" "+verb] = fmt.Sprintf(verb, v)
		}
		var text, js bytes.Buffer
		slog.New(slog.NewTextHandler(&text, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&js, nil)).Info("x", "v", v)
		printed[name+" slog"] = text.String() + js.String()
	}
	printed["json"] = string(must(json.Marshal(map[string]any{"m": m, "p": &m})))
	secrets := []string{
		hex.EncodeToString(raw[:4]), "200 201 202", "200,201,202", "200, 201, 202", "0xc8, 0xc9",
		base64.StdEncoding.EncodeToString(raw)[:12], string(raw[:4]), "11001000 11001001", "310 311 312",
	}
	for how, text := range printed {
		for _, secret := range secrets {
			if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
				t.Errorf("%s prints the key: %s", how, text)
			}
		}
	}
	if got := printed["json"]; got != `{"m":"[redacted]","p":"[redacted]"}` {
		t.Errorf("JSON = %s", got)
	}
	if got := printed["key %v"] + printed["key %#v"]; got != "[redacted][redacted]" {
		t.Errorf("printed = %s", got)
	}
}

func write(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}

func TestLoadMasterKeyFile(t *testing.T) {
	good := strings.Repeat("ab", 32) + "\n"
	tests := []struct {
		name string
		text string
		mode fs.FileMode
		says string // empty: it loads
	}{
		{"owner alone", good, 0o600, ""},
		{"read-only", good, 0o400, ""},
		{"group reads", good, 0o640, "chmod 600"},
		{"group writes", good, 0o620, "chmod 600"},
		{"everybody reads", good, 0o604, "chmod 600"},
		{"everybody executes", good, 0o601, "chmod 600"},
		{"too short", good[:62], 0o600, "not 32 bytes"},
		{"empty", "", 0o600, "not 32 bytes"},
		{"another file", strings.Repeat(good, 100), 0o600, "too long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "master.key")
			write(t, path, tt.text, tt.mode)
			for name, load := range map[string]func(string) (keyset.MasterKey, error){
				"Load": keyset.LoadMasterKey, "LoadOrCreate": keyset.LoadOrCreateMasterKey,
			} {
				_, err := load(path)
				if (err == nil) != (tt.says == "") {
					t.Fatalf("%s = %v, want it to say %q", name, err, tt.says)
				}
				if err != nil && (!strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "abab")) {
					t.Errorf("%s = %v, want %q, the path and no key", name, err, tt.says)
				}
			}
			if text, err := os.ReadFile(path); err != nil || string(text) != tt.text {
				t.Errorf("the file was changed: %v", err)
			}
		})
	}
}

func TestLoadMasterKeyOtherThanAFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := keyset.LoadMasterKey(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := keyset.LoadMasterKey(filepath.Join(dir, "folder")); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("folder: %v", err)
	}

	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if _, err := keyset.LoadOrCreateMasterKey(link); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("dangling link, create: %v", err)
	}
	if _, err := os.Stat(target); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key was made through the link: %v", err)
	}
	write(t, target, strings.Repeat("ab", 32), 0o644)
	if _, err := keyset.LoadMasterKey(link); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("link to a file that all may read: %v", err)
	}
	write(t, target, strings.Repeat("ab", 32), 0o600)
	if _, err := keyset.LoadMasterKey(link); err != nil {
		t.Errorf("link to a good file, load: %v", err)
	}
	if _, err := keyset.LoadOrCreateMasterKey(link); err == nil {
		t.Error("link to a good file, create: no error")
	}
}

func TestLoadOrCreateMasterKeyRace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "master.key")
	got := make([][]byte, 32)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			m, err := keyset.LoadOrCreateMasterKey(path)
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = m.Derive("test", 16)
		})
	}
	wg.Wait()
	for i := range got {
		if !bytes.Equal(got[i], got[0]) {
			t.Errorf("process %d has another key than process 0", i)
		}
	}
	again, err := keyset.LoadMasterKey(path)
	if err != nil || !bytes.Equal(again.Derive("test", 16), got[0]) {
		t.Errorf("the file holds another key: %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	other := filepath.Join(dir, "other.key")
	m, err := keyset.LoadOrCreateMasterKey(other)
	if err != nil || bytes.Equal(m.Derive("test", 16), got[0]) {
		t.Errorf("a second file has the same key, or %v", err)
	}
}

func TestLoadOrCreateMasterKeyWithoutAFolder(t *testing.T) {
	if _, err := keyset.LoadOrCreateMasterKey(filepath.Join(t.TempDir(), "none", "master.key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("err = %v", err)
	}
}
