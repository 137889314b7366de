package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// Locker is a [Store] that lets one at a time of those who share it refresh. A
// [FileStore] and a [MemoryStore] are Lockers.
type Locker interface {
	Store
	// Lock returns once nobody else has the lock, or with an error when ctx ends. A
	// process that ends in whatever way has it no longer.
	Lock(ctx context.Context) (unlock func() error, err error)
}

// lock takes the store's turn for a refresh, and waits no longer than a refresh of
// somebody else's takes.
func (c *Client) lock(ctx context.Context) (unlock func() error, err error) {
	locker, ok := c.store.(Locker)
	if !ok {
		return func() error { return nil }, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.http.Timeout+lockPatience, errLocked)
	defer cancel()
	return locker.Lock(ctx)
}

const (
	lockPatience = 5 * time.Second // beyond the time-out of a request
	lockPause    = 20 * time.Millisecond
)

var errLocked = errors.New("client: another refresh has the store for too long")

// Lock implements [Locker]. The lock is on a file beside the one of the state, with .lock
// after its name, which stays there. Some systems and some network file systems have no
// such locks: there it returns at once.
func (f *FileStore) Lock(ctx context.Context) (unlock func() error, err error) {
	for {
		file, err := tryLock(f.path + ".lock")
		switch {
		case err == nil:
			return file.Close, nil
		case errors.Is(err, errors.ErrUnsupported):
			return func() error { return nil }, nil
		case !errors.Is(err, os.ErrExist):
			return nil, fmt.Errorf("client: lock the state: %w", err)
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Lock implements [Locker].
func (m *MemoryStore) Lock(ctx context.Context) (unlock func() error, err error) {
	m.mu.Lock()
	if m.turn == nil {
		m.turn = make(chan struct{}, 1)
	}
	turn := m.turn
	m.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() error { <-turn; return nil }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
