// Package session owns how long a sign-in lasts: the one row that stands for a
// sign-in on one device, the rotation of its refresh token, and what it means
// when a spent token comes back.
//
// It reads no token and knows no user but by id. What it needs from a database
// it states as [Store]; package store provides one, and storetest says how it
// must behave.
package session

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// Errors a caller can act on.
var (
	// ErrNotFound is a session that is not there, or is somebody else's.
	ErrNotFound = errors.New("session: not found")
	// ErrEnded is a session that is over, or was never there.
	ErrEnded = errors.New("session: ended")
	// ErrReused is a spent refresh token that came back; the session is over now.
	ErrReused = errors.New("session: spent refresh token used again")
	// ErrAhead is a generation that this database has not issued yet, as after a
	// restore from a backup. Nothing is revoked for it.
	ErrAhead = errors.New("session: generation is ahead of the database")
	// ErrWrongMode is a token that travelled in another way than its session's.
	ErrWrongMode = errors.New("session: token of the other mode")
	// ErrInvalidMode is a mode that is neither bearer nor cookie.
	ErrInvalidMode = errors.New("session: not a mode")
	// ErrConflict is a compare-and-swap that found another state.
	ErrConflict = errors.New("session: changed in the meantime")
)

// ID identifies a session. It is opaque, fresh at every sign-in, never reused.
type ID string

// Generation is the ordinal of a refresh token within its session, from 1 on.
type Generation int64

// Mode is how the tokens of a session travel. It is fixed at sign-in.
type Mode string

// The modes.
const (
	Bearer Mode = "bearer" // in the Authorization header and in bodies
	Cookie Mode = "cookie" // in HttpOnly cookies and nowhere else
)

// ParseMode returns the mode named s, Bearer for "", or [ErrInvalidMode].
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case "":
		return Bearer, nil
	case Bearer, Cookie:
		return m, nil
	}
	return "", ErrInvalidMode
}

// Reason is why a session ended.
type Reason string

// The reasons.
const (
	ReasonLogout   Reason = "logout"
	ReasonRevoked  Reason = "revoked" // ended by its user from another session
	ReasonReuse    Reason = "reuse"
	ReasonPassword Reason = "password"
	ReasonDisabled Reason = "disabled"
	ReasonClosed   Reason = "closed"
	ReasonEpoch    Reason = "epoch"   // everything older was ended
	ReasonCrowded  Reason = "crowded" // its user opened too many
)

// MaxPerUser is how many living sessions a user may have: as many as one transaction can
// end while others wait. Those that were not used for longest give way to a new one.
const MaxPerUser = 10_000

// Leeway is how long after the end of a session by time its access tokens may be accepted,
// by the verifier that is the most lenient. Until then it can be ended.
const Leeway = time.Minute

// RetryKey is the hash of the Idempotency-Key that a rotation came with, or empty. That of
// a session has those of everybody who got the child, separated by spaces.
type RetryKey string

func (k RetryKey) has(other RetryKey) bool {
	return slices.Contains(strings.Fields(string(k)), string(other)) // and none is in no list
}

// Session is one sign-in on one device.
type Session struct {
	ID        ID
	UserID    string
	Mode      Mode
	Device    string // what the client calls itself, or empty
	IP        string
	UserAgent string
	CreatedAt time.Time
	// Generation is the current one. It became current at LastUsedAt. Who asked for it
	// came with Retry.
	Generation Generation
	LastUsedAt time.Time
	Retry      RetryKey
	// ExpiresAt is the earlier of the idle and the absolute end.
	ExpiresAt  time.Time
	AbsoluteAt time.Time
	EndedAt    time.Time // zero while it lives
}

// Over reports whether the session has ended or expired at now.
func (s Session) Over(now time.Time) bool {
	return !s.EndedAt.IsZero() || !now.Before(s.ExpiresAt)
}

// Rotation is the compare-and-swap that makes From's child current.
type Rotation struct {
	ID     ID
	UserID string
	Mode   Mode
	From   Generation
	Retry  RetryKey
	At     time.Time
	// IdleUntil is the new idle end; the absolute end stays and caps it.
	IdleUntil time.Time
}

// Swap makes the child of r.From current in one atomic step and returns the session as it
// is then. If the session does not live at r.At, is not at r.From, or is of another user
// or mode, it changes nothing and returns [ErrConflict]. It joins the transaction that ctx
// carries, if any, and may find out more on its way.
type Swap func(ctx context.Context, r Rotation) (Session, error)

// Which selects living sessions: one by ID, or all of a user, or all of a user
// but one, or of those at most Limit beyond the Keep that were used last, or of
// everybody's at most Limit that were opened before Before. UserID together with ID
// selects the session only if it is the user's.
type Which struct {
	ID     ID
	UserID string
	Except ID
	Keep   int       // only with UserID, and only together with Limit
	Before time.Time // only without ID and UserID, and only together with Limit
	Limit  int
}

// crowdSlice is how many sessions give way to a new one at most. There are more than one
// where the database is of a version that knew no [MaxPerUser].
const crowdSlice = 1000

// Crowded selects what the user of opened, which is new, has beyond [MaxPerUser] sessions.
func Crowded(opened Session) Which {
	return Which{UserID: opened.UserID, Except: opened.ID, Keep: MaxPerUser - 1, Limit: crowdSlice}
}

// Store keeps sessions, one row each for its whole life. Its methods join the
// transaction that ctx carries, if any.
type Store interface {
	Create(ctx context.Context, s Session) error
	// ByID returns [ErrNotFound] if there is no such row. Inside a transaction nobody else
	// changes the session until it ends.
	ByID(ctx context.Context, id ID) (Session, error)
	// Living returns the user's sessions that are not over at now, newest use
	// first, at most limit.
	Living(ctx context.Context, userID string, now time.Time, limit int) ([]Session, error)
	// End ends the sessions selected that have not ended, nor expired by more than
	// [Leeway] at now, and returns their ids. A Which without ID, UserID and Before
	// selects nothing.
	End(ctx context.Context, w Which, why Reason, now time.Time) ([]ID, error)
	// Prune looks at no more than limit sessions that may have been over before t,
	// deletes those that were, and returns at how many it looked: fewer than limit if
	// there are no more.
	Prune(ctx context.Context, t time.Time, limit int) (int, error)
	// Remember adds retry to those that the session has, as long as current is its
	// generation and it has not more than a few.
	Remember(ctx context.Context, id ID, current Generation, retry RetryKey) error
}
