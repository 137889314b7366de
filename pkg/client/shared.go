package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// Shared is a [Store] that several clients and processes may use at a time. A
// [FileStore] and a [MemoryStore] are Shared.
type Shared interface {
	Store
	// Turn returns once nobody else refreshes, or with an error when ctx ends. A process
	// that ends in whatever way has its turn no longer.
	Turn(ctx context.Context) (end func() error, err error)
	// Swap saves next in one step if the refresh token of have is there, and returns
	// what is there then.
	Swap(have, next State) (State, error)
}

const (
	turnPatience = 5 * time.Second // beyond the time-out of a request
	savePatience = 10 * time.Second
	lockPause    = 20 * time.Millisecond
)

var errHeld = errors.New("client: somebody else has the store for too long")

// turn waits no longer than a refresh of somebody else's takes.
func (c *Client) turn(ctx context.Context) (end func() error, err error) {
	s, ok := c.store.(Shared)
	if !ok {
		return func() error { return nil }, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.http.Timeout+turnPatience, errHeld)
	defer cancel()
	return s.Turn(ctx)
}

// swap is [Shared] Swap, or the best that another store allows.
func (c *Client) swap(have, next State) (State, error) {
	if s, ok := c.store.(Shared); ok {
		return s.Swap(have, next)
	}
	now, err := c.store.Load()
	if err != nil || now.RefreshToken != have.RefreshToken {
		return now, err
	}
	return next, c.store.Save(next)
}

// Turn implements [Shared].
func (f *FileStore) Turn(ctx context.Context) (end func() error, err error) {
	return lock(ctx, f.path+".turn")
}

// Swap implements [Shared].
func (f *FileStore) Swap(have, next State) (now State, err error) {
	err = f.alone(func() error {
		if now, err = f.Load(); err != nil || now.RefreshToken != have.RefreshToken {
			return err
		}
		now = next
		return f.save(next)
	})
	return now, err
}

// alone runs change while nobody else changes the file.
func (f *FileStore) alone(change func() error) (err error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), savePatience, errHeld)
	defer cancel()
	unlock, err := lock(ctx, f.path+".lock")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	return change()
}

// lock takes the lock of the file at path, which stays there.
func lock(ctx context.Context, path string) (unlock func() error, err error) {
	for {
		file, err := tryLock(path)
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

// Turn implements [Shared].
func (m *MemoryStore) Turn(ctx context.Context) (end func() error, err error) {
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

// Swap implements [Shared].
func (m *MemoryStore) Swap(have, next State) (State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state.RefreshToken == have.RefreshToken {
		m.state = next
	}
	return m.state, nil
}
