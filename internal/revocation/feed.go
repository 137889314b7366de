package revocation

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// page is how many entries one read of the feed brings.
	page = 1000
	// forgetEvery spaces out the walk over the whole set.
	forgetEvery = time.Minute
)

// Feed is the set of what is revoked, in memory, and the way into it. Create one
// with [NewFeed], call [Feed.Sync] before the first use and about once a second
// from then on. It is safe for concurrent use.
type Feed struct {
	store Store
	life  time.Duration
	now   func() time.Time

	syncing sync.Mutex // one Sync at a time; guards after
	after   int64

	mu       sync.RWMutex
	sessions map[string]time.Time // id -> ExpiresAt
	users    map[string]Entry
	synced   time.Time
	forgot   time.Time
}

// NewFeed returns an empty Feed. life is how long an access token can be
// accepted, leeway included: an entry is kept that long.
func NewFeed(store Store, life time.Duration, now func() time.Time) *Feed {
	return &Feed{
		store: store, life: life, now: now,
		sessions: map[string]time.Time{}, users: map[string]Entry{},
	}
}

// Sessions returns the entries that end the tokens of these sessions.
func (f *Feed) Sessions(ids ...string) []Entry {
	entries := make([]Entry, len(ids))
	for i, id := range ids {
		entries[i] = Entry{Kind: Session, ID: id, ExpiresAt: f.now().Add(f.life)}
	}
	return entries
}

// User returns the entry that ends the user's tokens issued before notBefore.
func (f *Feed) User(id string, notBefore time.Time) Entry {
	return Entry{Kind: User, ID: id, NotBefore: notBefore, ExpiresAt: f.now().Add(f.life)}
}

// Key returns the entry that ends all that the signing key kid signed.
func (f *Feed) Key(kid string) Entry {
	return Entry{Kind: Key, ID: kid, ExpiresAt: f.now().Add(f.life)}
}

// Append writes entries to the feed, in the transaction that ctx carries and as
// its last step. Hand them to [Feed.Apply] once that is committed.
func (f *Feed) Append(ctx context.Context, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	if err := f.store.Append(ctx, entries); err != nil {
		return fmt.Errorf("revocation: append: %w", err)
	}
	return nil
}

// Apply makes the set refuse what entries name, at once.
func (f *Feed) Apply(entries []Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range entries {
		switch e.Kind {
		case Session:
			f.sessions[e.ID] = e.ExpiresAt
		case User:
			if e.NotBefore.After(f.users[e.ID].NotBefore) {
				f.users[e.ID] = e
			}
		}
	}
}

// Sync reads what others have appended since the last Sync and forgets what has
// expired.
func (f *Feed) Sync(ctx context.Context) error {
	f.syncing.Lock()
	defer f.syncing.Unlock()
	for {
		entries, err := f.store.After(ctx, f.after, page)
		if err != nil {
			return fmt.Errorf("revocation: read feed: %w", err)
		}
		f.Apply(entries)
		if len(entries) > 0 {
			f.after = entries[len(entries)-1].Seq
		}
		if len(entries) < page {
			break
		}
	}
	f.forget(f.now())
	return nil
}

// Revoked reports whether a token of this session and user, issued at issuedAt,
// is no longer to be accepted. It costs two look-ups and reads no database.
func (f *Feed) Revoked(sessionID, userID string, issuedAt time.Time) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if _, ended := f.sessions[sessionID]; ended {
		return true
	}
	e, ok := f.users[userID]
	return ok && issuedAt.Before(e.NotBefore)
}

// Size returns how many entries the set holds.
func (f *Feed) Size() int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.sessions) + len(f.users)
}

// Lag returns how long ago the set was last known to be complete.
func (f *Feed) Lag() time.Duration {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.now().Sub(f.synced)
}

func (f *Feed) forget(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.synced = now
	if now.Sub(f.forgot) < forgetEvery {
		return
	}
	f.forgot = now
	for id, expires := range f.sessions {
		if expires.Before(now) {
			delete(f.sessions, id)
		}
	}
	for id, e := range f.users {
		if e.ExpiresAt.Before(now) {
			delete(f.users, id)
		}
	}
}
