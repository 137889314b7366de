//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package client

import (
	"errors"
	"os"
	"syscall"
)

// tryLock returns the file at path with its lock, which goes when it is closed.
// [os.ErrExist] means that somebody else has it.
func tryLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the app chose it
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case err == nil:
		return file, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = os.ErrExist
	case errors.Is(err, syscall.ENOLCK): // NFS without its lock daemon
		err = errors.ErrUnsupported
	}
	return nil, errors.Join(err, file.Close())
}
