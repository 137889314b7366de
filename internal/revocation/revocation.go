// Package revocation owns what verifiers must no longer accept although it has
// not expired: an ordered feed of entries; a set of them in memory, each kept for
// as long as the longest token that it can touch, that answers for a token
// without any read; and the same feed for verifiers elsewhere, by cursor.
//
// It knows sessions and users by id only. What it needs from a database it
// states as [Store].
package revocation

import (
	"context"
	"time"
)

// Kind is what an entry names.
type Kind string

// The kinds of entries.
const (
	// Session ends all tokens of one session, or the one token of that jti which
	// belongs to none.
	Session Kind = "session"
	// User ends the tokens of one user or client that were issued before NotBefore.
	User Kind = "user"
	// Key ends all that one signing key signed.
	Key Kind = "key"
	// All ends every token that was issued before NotBefore.
	All Kind = "all"
	// Changed ends nothing: what somebody remembers of that user is outdated.
	Changed Kind = "changed"
)

// Entry is one line of the feed.
type Entry struct {
	Seq       int64 // set by the store; ascending in the order of commits
	Kind      Kind
	ID        string
	NotBefore time.Time // whole seconds, like a token's iat; zero where the kind needs none
	ExpiresAt time.Time // when no token that the entry touches can be valid any more
}

// Store keeps the feed. Its methods join the transaction that ctx carries, if any.
type Store interface {
	// Append adds entries. A reader that has seen a Seq never finds a smaller one
	// appear later: writers take turns until they commit. For that reason a
	// transaction appends last.
	Append(ctx context.Context, entries []Entry) error
	// Head returns the epoch of the database and the Seq of the newest entry, or 0
	// where there never was one. Seqs of different epochs are not compared.
	Head(ctx context.Context) (epoch, seq int64, err error)
	// After returns at most limit entries with a Seq above seq, in order.
	After(ctx context.Context, seq int64, limit int) ([]Entry, error)
	// Unexpired returns the least Seq of an entry that does not expire before t, or 0
	// where there is none.
	Unexpired(ctx context.Context, t time.Time) (seq int64, err error)
	// NextEpoch begins another epoch.
	NextEpoch(ctx context.Context) error
	// Prune deletes at most limit entries that expired before t and returns how
	// many. A Seq is never given out again, and the newest entry stays, so that
	// Head goes back only with the whole database.
	Prune(ctx context.Context, t time.Time, limit int) (int, error)
}
