package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// ErrDamaged is a state that was saved and cannot be read. [Client.Login]
// replaces it, and [Client.Logout] removes it.
var ErrDamaged = errors.New("client: the saved state is damaged")

const (
	fileVersion = 1
	maxFile     = 64 << 10 // bytes
)

// FileStore is a [Shared] store in one file, which its owner alone can read. The
// directory must be there, and should be private to the app. Two files beside it, with
// .lock and .turn after its name, are there to be locked. Some systems and some network
// file systems have no locks: there one process at a time may use the file.
type FileStore struct{ path string }

// NewFileStore returns a FileStore at path.
func NewFileStore(path string) *FileStore { return &FileStore{path} }

type fileState struct {
	Version int `json:"version"`
	State
}

// Load implements [Store]. It returns [ErrDamaged] for a file that Save did not
// make.
func (f *FileStore) Load() (State, error) {
	text, err := f.read()
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("client: read the state: %w", err)
	}
	if len(text) > maxFile {
		return State{}, fmt.Errorf("%w: %s is longer than %d bytes", ErrDamaged, f.path, maxFile)
	}
	var saved fileState
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&saved); err != nil {
		return State{}, fmt.Errorf("%w: %s: %w", ErrDamaged, f.path, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return State{}, fmt.Errorf("%w: %s goes on after its end", ErrDamaged, f.path)
	}
	if saved.Version != fileVersion || saved.SignedOut() || !saved.complete() {
		return State{}, fmt.Errorf("%w: %s is incomplete or of another version", ErrDamaged, f.path)
	}
	return saved.State, nil
}

func (f *FileStore) read() (text []byte, err error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return io.ReadAll(io.LimitReader(file, maxFile+1))
}

// Save implements [Store]. The file is replaced in one step by one that is
// on the disk already.
func (f *FileStore) Save(s State) error { return f.alone(func() error { return f.save(s) }) }

func (f *FileStore) save(s State) error {
	if s.SignedOut() {
		if err := f.remove(); err != nil {
			return fmt.Errorf("client: remove the state: %w", err)
		}
		return nil
	}
	text, err := json.Marshal(fileState{fileVersion, s})
	if err == nil {
		err = f.replace(text)
	}
	if err != nil {
		return fmt.Errorf("client: save the state: %w", err)
	}
	return nil
}

// remove leaves nothing of what a process that was killed was about to save, either.
func (f *FileStore) remove() error {
	for _, path := range []string{f.temp(), f.path} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return syncDir(filepath.Dir(f.path))
}

func (f *FileStore) temp() string {
	return filepath.Join(filepath.Dir(f.path), "."+filepath.Base(f.path)+".tmp")
}

func (f *FileStore) replace(text []byte) (err error) {
	if err := os.Remove(f.temp()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	temp, err := os.OpenFile(f.temp(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = temp.Write(text)
	if err == nil {
		err = temp.Sync()
	}
	err = errors.Join(err, temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), f.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return syncDir(filepath.Dir(f.path))
}

// syncDir makes a rename or a removal outlive a loss of power.
func syncDir(dir string) (err error) {
	if runtime.GOOS == "windows" {
		return nil // has no such call
	}
	d, err := os.Open(dir) //nolint:gosec // the app chose it
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return d.Sync()
}
