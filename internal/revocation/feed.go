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
	// backSlack is how far the clock may go back without bringing anything back that has
	// expired: the life of an entry has a leeway that is longer.
	backSlack = time.Second
	// unseen is how long a clock that is ahead may have gone on since it was last seen:
	// other processes are told of it once a minute.
	unseen = 2 * time.Minute
	// clocksApart is what the clocks of replicas may differ by.
	clocksApart = time.Minute
)

// MaxAhead bounds for how much longer entries are kept because a clock was ahead. One that
// was ahead by years would fill the memory of all who follow.
const MaxAhead = 26 * time.Hour

// Feed is the set of what is revoked, in memory, the way into it, and its copy
// for followers. Create one with [NewFeed], call [Feed.Sync] before the first use,
// and from then on about once a second and whenever [Feed.Wanted] says so. It is
// safe for concurrent use.
type Feed struct {
	// KeyRevoked, if it is not nil, is called by Sync after entries that end keys
	// were read, until it succeeds. Set it before the first Sync.
	KeyRevoked func(ctx context.Context) error
	// Seen, if it is not nil, is the latest time that the clock of any process which
	// issues tokens is known to have shown. Set it before the first Sync.
	Seen func() time.Time

	store  Store
	life   func() time.Duration
	now    func() time.Time
	wanted chan struct{}

	syncing chan struct{} // one Sync at a time; guards keys
	keys    bool          // KeyRevoked is owed a call

	mu       sync.RWMutex
	sessions map[string]time.Time // id -> ExpiresAt
	users    map[string]Entry
	latest   time.Time // that the clock of this process showed
	dated    time.Time // to which tokens of some user are dated forward
	border   time.Time // tokens issued before it are no longer good
	gone     time.Time // who ended tokens issued before it may be forgotten, as they have expired
	again    bool      // the feed is read anew
	log      []Entry   // in order; elements are never changed
	at       Cursor    // of the newest entry that was read
	synced   time.Time
	forgot   time.Time
	tick     chan struct{} // closed by the next Sync
}

// NewFeed returns an empty Feed. life is how long an access token can be
// accepted, leeway and the skew of clocks included: an entry is kept that long.
func NewFeed(store Store, life func() time.Duration, now func() time.Time) *Feed {
	return &Feed{
		store: store, life: life, now: now, wanted: make(chan struct{}, 1), syncing: make(chan struct{}, 1), tick: make(chan struct{}),
		sessions: map[string]time.Time{}, users: map[string]Entry{},
	}
}

// Sessions returns the entries that end the tokens of these sessions, or the
// tokens and keys of these ids that belong to none.
func (f *Feed) Sessions(ids ...string) []Entry {
	entries := make([]Entry, len(ids))
	for i, id := range ids {
		entries[i] = f.entry(Session, id, time.Time{})
	}
	return entries
}

// Token returns the entry that ends the one token of that jti, which belongs to no session
// and was issued at issuedAt. That may be ahead of any clock that this process knows of.
func (f *Feed) Token(id string, issuedAt time.Time) Entry {
	e := f.entry(Session, id, issuedAt)
	e.NotBefore = time.Time{}
	return e
}

// User returns the entry that ends the tokens of a user or client issued before
// notBefore.
func (f *Feed) User(id string, notBefore time.Time) Entry { return f.entry(User, id, notBefore) }

// Gone returns the entry that ends all tokens of a user or client who is no more, and
// whose tokens were to be issued from notBefore on.
func (f *Feed) Gone(id string, notBefore time.Time) Entry {
	return f.User(id, later(notBefore, f.newest(f.now()).Truncate(time.Second)))
}

// Key returns the entry that ends what one signing key signed.
func (f *Feed) Key(kid string) Entry { return f.entry(Key, kid, time.Time{}) }

// All returns the entry that ends all tokens issued before notBefore.
func (f *Feed) All(notBefore time.Time) Entry { return f.entry(All, "all", notBefore) }

// Changed returns the entry that tells that a user is no longer as remembered.
func (f *Feed) Changed(id string) Entry { return f.entry(Changed, id, time.Time{}) }

func (f *Feed) entry(k Kind, id string, notBefore time.Time) Entry {
	return Entry{Kind: k, ID: id, NotBefore: notBefore, ExpiresAt: later(notBefore, f.newest(f.now())).Add(f.life())}
}

// newest is how late a token can be dated that was issued before now. That is later than
// now where a clock was ahead and has been put right: such a token is refused until its
// time comes, and what ends it must not be forgotten before it has expired. It is the time
// of day that counts here, and not what passes.
func (f *Feed) newest(now time.Time) time.Time {
	now = now.Round(0)
	f.mu.RLock()
	latest, dated := f.latest, f.dated
	f.mu.RUnlock()
	newest := now
	if ahead(dated, now) {
		newest = dated
	}
	if ahead(latest, now) {
		newest = later(newest, latest.Add(unseen))
	}
	if f.Seen == nil {
		return newest
	}
	if seen := f.Seen(); ahead(seen, now) {
		newest = later(newest, seen.Add(unseen))
	}
	return newest
}

// Ahead reports whether a clock was ahead by more than clocks are apart, and tokens may be
// dated so.
func (f *Feed) Ahead() bool {
	now := f.now()
	return f.newest(now).Sub(now.Round(0)) > unseen+clocksApart
}

// ahead reports whether t is later than now and not too late, as the time of day.
func ahead(t, now time.Time) bool {
	d := t.Round(0).Sub(now.Round(0))
	return d > backSlack && d <= MaxAhead
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
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

// NextEpoch begins another epoch of the feed, in the transaction that ctx carries:
// followers are told everything again. It is for a database that was put back to
// an earlier state, whose numbers come a second time.
func (f *Feed) NextEpoch(ctx context.Context) error {
	if err := f.store.NextEpoch(ctx); err != nil {
		return fmt.Errorf("revocation: begin an epoch: %w", err)
	}
	return nil
}

// Apply makes the set refuse what entries name, at once, and asks for a Sync that
// tells followers.
func (f *Feed) Apply(entries []Entry) {
	if len(entries) == 0 {
		return
	}
	f.mu.Lock()
	f.applyLocked(entries)
	f.mu.Unlock()
	f.Wake()
}

func (f *Feed) applyLocked(entries []Entry) {
	for _, e := range entries {
		switch e.Kind {
		case Session:
			f.sessions[e.ID] = e.ExpiresAt
		case User:
			f.dated = later(f.dated, e.NotBefore)
			if e.NotBefore.After(f.users[e.ID].NotBefore) {
				f.users[e.ID] = e
			}
		case All:
			if e.NotBefore.After(f.border) {
				f.border = e.NotBefore
			}
		case Key, Changed: // the keys themselves are read again; nobody here remembers a user
		}
	}
}

// Wake asks for a Sync before its time.
func (f *Feed) Wake() {
	select {
	case f.wanted <- struct{}{}:
	default:
	}
}

// Wanted brings a value when a Sync is due before its time.
func (f *Feed) Wanted() <-chan struct{} { return f.wanted }

// Sync reads what others have appended since the last Sync, and forgets what has
// expired.
func (f *Feed) Sync(ctx context.Context) error {
	if err := f.lock(ctx); err != nil {
		return err
	}
	defer func() { <-f.syncing }()
	return f.syncLocked(ctx)
}

// lock waits for whoever reads the feed, which a disk may stall.
func (f *Feed) lock(ctx context.Context) error {
	select {
	case f.syncing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("revocation: wait for another one to read the feed: %w", context.Cause(ctx))
	}
}

// Recall reads again what may be forgotten of tokens issued at issuedAt, and nothing
// unless the clock went back since: they had expired before. Ask it before a token is
// refused that has not expired.
func (f *Feed) Recall(ctx context.Context, issuedAt time.Time) error {
	if !f.forgotten(issuedAt) {
		return nil
	}
	if err := f.lock(ctx); err != nil {
		return err
	}
	defer func() { <-f.syncing }()
	if !f.forgotten(issuedAt) {
		return nil // somebody else has just done it
	}
	return f.syncLocked(ctx)
}

func (f *Feed) forgotten(issuedAt time.Time) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return issuedAt.Before(f.gone)
}

func (f *Feed) syncLocked(ctx context.Context) error {
	now := f.now() // one for all: a clock that steps in between is noticed the next time
	if err := f.read(ctx, now); err != nil {
		return fmt.Errorf("revocation: read feed: %w", err)
	}
	f.finish(now)
	if f.keys && f.KeyRevoked != nil {
		if err := f.KeyRevoked(ctx); err != nil {
			return err
		}
	}
	f.keys = false
	return nil
}

// read brings the set up to the feed's head. Where that went back, the database
// was put back to an earlier state, and what is there now is read from the first entry
// that has not expired. So it is where the clock went back: what had expired is good
// again, and may be forgotten, or was never read. What is in the set stays in it.
func (f *Feed) read(ctx context.Context, now time.Time) error {
	epoch, head, err := f.store.Head(ctx)
	if err != nil {
		return err
	}
	at := f.at // only a Sync writes it
	if at.epoch != epoch || at.seq > head || f.wentBack(now) {
		first, err := f.store.Unexpired(ctx, now)
		if err != nil {
			return err
		}
		at = Cursor{epoch: epoch, seq: head}
		if first > 0 {
			at.seq = min(first-1, head)
		}
		f.restart(at)
	}
	for at.seq < head {
		entries, err := f.store.After(ctx, at.seq, page)
		if err != nil {
			return err
		}
		if len(entries) == 0 { // pruned since
			return nil
		}
		at.seq = entries[len(entries)-1].Seq
		f.take(entries, at)
	}
	return nil
}

// wentBack reports whether now is an earlier time than that of the last Sync. Only
// the time of day does that, and not what passes meanwhile.
func (f *Feed) wentBack(now time.Time) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return now.Round(0).Before(f.synced.Round(0).Add(-backSlack))
}

func (f *Feed) restart(at Cursor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.log, f.again = at, nil, true
}

func (f *Feed) take(entries []Entry, at Cursor) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applyLocked(entries)
	f.log, f.at = append(f.log, entries...), at
	for _, e := range entries {
		f.keys = f.keys || e.Kind == Key
	}
}

// Revoked reports whether a token of this session and user, issued at issuedAt,
// is no longer to be accepted. Name a token without a session by its own id. It
// reads no database, and costs one look-up and one more if users are in the set.
// It refuses what a Recall did not bring back.
func (f *Feed) Revoked(sessionID, userID string, issuedAt time.Time) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if _, ended := f.sessions[sessionID]; ended || issuedAt.Before(f.border) || issuedAt.Before(f.gone) {
		return true
	}
	if len(f.users) == 0 {
		return false
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
