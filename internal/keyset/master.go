package keyset

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	masterKeyLen     = 32
	maxMasterKeyFile = 1 << 10 // bytes; anything longer is another file
)

// MasterKey is the secret from which the other secrets are derived and under
// which signing keys are sealed. It lives outside the database and does not
// print. The zero MasterKey is not usable: [MasterKey.Derive] panics.
type MasterKey struct {
	// A func, because fmt asks no methods of what sits in an unexported field, follows
	// even pointers there under a verb that does not fit, and can only name a func.
	key func() []byte
}

// ParseMasterKey reads 32 bytes written in standard base64 (44 characters) or in
// hexadecimal (64). One line end after them is ignored. The error does not
// repeat s.
func ParseMasterKey(s string) (MasterKey, error) {
	s = strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
	var raw []byte
	var err error
	switch len(s) {
	case base64.StdEncoding.EncodedLen(masterKeyLen):
		raw, err = base64.StdEncoding.Strict().DecodeString(s)
	case hex.EncodedLen(masterKeyLen):
		raw, err = hex.DecodeString(s)
	}
	if err != nil || len(raw) != masterKeyLen {
		return MasterKey{}, errors.New("keyset: the master key is not 32 bytes in base64 (44 characters) or hex (64); make one with: openssl rand -base64 32")
	}
	return MasterKey{func() []byte { return raw }}, nil
}

// LoadMasterKey reads the key from a regular file that nobody but its owner may
// open, or from one that root lends, which this process's group may read.
// Through a symbolic link, as secrets are mounted in containers, the mode of the
// file behind it counts.
func LoadMasterKey(path string) (MasterKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return MasterKey{}, fmt.Errorf("keyset: read master key: %w", err)
	}
	switch {
	case !info.Mode().IsRegular():
		return MasterKey{}, fmt.Errorf("keyset: master key %s is not a regular file", path)
	case info.Mode().Perm()&closedBits(owner(info), os.Geteuid()) != 0:
		return MasterKey{}, fmt.Errorf("keyset: master key file %s has mode %04o, which lets others at it; run: chmod 600 %s", path, info.Mode().Perm(), path)
	case info.Size() > maxMasterKeyFile:
		return MasterKey{}, fmt.Errorf("keyset: %s is too long for a master key file", path)
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return MasterKey{}, fmt.Errorf("keyset: read master key: %w", err)
	}
	m, err := ParseMasterKey(string(text))
	if err != nil {
		return MasterKey{}, fmt.Errorf("%w (file %s)", err, path)
	}
	return m, nil
}

// closedBits returns what the mode of a key file must not have. What root lends
// to a process without giving it away shows as mode 0440: a credential of
// systemd, whose access list counts as the group's bits, or a Secret volume of
// Kubernetes with an fsGroup. PostgreSQL draws the same line for its TLS key.
func closedBits(owner, euid int) fs.FileMode {
	if owner == 0 && euid != 0 {
		return 0o037
	}
	return 0o077
}

// owner returns the id of the file's user, or -1 where the system has none.
func owner(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}

// LoadOrCreateMasterKey reads the key at path, in a folder that is jotgate's own,
// and makes one there of mode 0600 if there is none. Of several processes that
// start at once all get the same key. A symbolic link at path is refused: a
// dangling one would otherwise pass for a missing key, and a new key opens nothing.
func LoadOrCreateMasterKey(path string) (MasterKey, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := createMasterKey(path); err != nil {
			return MasterKey{}, fmt.Errorf("keyset: create master key: %w", err)
		}
	case err != nil:
		return MasterKey{}, fmt.Errorf("keyset: read master key: %w", err)
	case info.Mode()&fs.ModeSymlink != 0:
		return MasterKey{}, fmt.Errorf("keyset: master key %s is a symbolic link; put the file itself there", path)
	}
	return LoadMasterKey(path)
}

// createMasterKey puts a fresh key at path, durably. The file gets its name when
// it is complete, and only if nothing else has the name by then, so a process
// that loses the race, or dies here, leaves no half-written key behind.
func createMasterKey(path string) (err error) {
	var fresh [masterKeyLen]byte
	rand.Read(fresh[:]) // never fails since Go 1.24
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".master-*") // O_EXCL, mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name()), syncDir(dir)) }()
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(fresh[:]) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the folder of a file that the operator names
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Derive returns n bytes, at most 8160, for one purpose (HKDF-SHA256, RFC 5869).
// What is derived for one purpose tells nothing of the master key or of what is
// derived for another.
func (m MasterKey) Derive(purpose string, n int) []byte {
	key, err := hkdf.Key(sha256.New, m.key(), nil, purpose, n)
	if err != nil {
		panic(fmt.Sprintf("keyset: derive %d bytes: %v", n, err)) // n is a constant of the caller
	}
	return key
}

const redacted = "[redacted]"

// String hides the key.
func (MasterKey) String() string { return redacted }

// GoString hides the key.
func (MasterKey) GoString() string { return redacted }

// LogValue hides the key.
func (MasterKey) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the key.
func (MasterKey) MarshalText() ([]byte, error) { return []byte(redacted), nil }
