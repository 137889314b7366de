package user

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/jotgate/jotgate/internal/password"
)

// Config is what a [Service] works with. All fields are needed, but for
// Attempts: nil looks at every password.
type Config struct {
	Store     Store
	Attempts  Attempts
	Allowance Allowance
	Hasher    *password.Hasher
	Policy    password.Policy
	Now       func() time.Time // time.Now everywhere but in tests
}

// Service applies the user rules. Create one with [New]; it is safe for
// concurrent use.
type Service struct {
	Config
}

// New returns a Service.
func New(c Config) *Service { return &Service{c} }

// Draft is a user who does not exist yet: what [Service.Draft] checked.
type Draft struct {
	username Username
	email    Email
	password string
}

// Draft checks what somebody wants to register with, and pays for no hash.
// Empty strings stand for absent names. Its errors are [ErrNoIdentity],
// [ErrInvalidUsername], [ErrInvalidEmail], and those of a new password.
func (s *Service) Draft(username, email, plain string) (Draft, error) {
	if username == "" && email == "" {
		return Draft{}, ErrNoIdentity
	}
	var d Draft
	var errName, errEmail error
	if username != "" {
		d.username, errName = ParseUsername(username)
	}
	if email != "" {
		d.email, errEmail = ParseEmail(email)
	}
	var errPassword error
	d.password, errPassword = s.newPassword(plain, d.username, d.email)
	return d, errors.Join(errName, errEmail, errPassword)
}

// New hashes the draft's password and returns the user, who is not stored yet.
func (s *Service) New(ctx context.Context, d Draft, roles []Role) (User, error) {
	hash, err := s.Hasher.Hash(ctx, d.password)
	if err != nil {
		return User{}, fmt.Errorf("user: hash password: %w", err)
	}
	id, err := newID()
	if err != nil {
		return User{}, err
	}
	return User{
		ID: id, Username: d.username, Email: d.email, Roles: roles,
		PasswordHash: hash, CreatedAt: s.Now().UTC().Truncate(time.Microsecond),
	}, nil
}

func newID() (ID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("user: make an id: %w", err)
	}
	return ID(id.String()), nil
}

// Authenticated is a user whose password was right a moment ago. The flow that
// acts on it must look again, in its transaction, whether User is still so.
type Authenticated struct {
	User User
	// Rehashed is a new hash of the same password, where the stored one is
	// weaker than today's setting; empty otherwise.
	Rehashed string
}

// Authenticate returns the user whom identifier and password open, or
// [ErrBadCredentials], or a [*TooManyAttemptsError].
//
// An unknown identifier, a disabled user and one without a password cost the
// same hash and the same database work as a wrong password, so that neither the
// answer nor its time tells which users there are.
func (s *Service) Authenticate(ctx context.Context, identifier, plain string) (Authenticated, error) {
	if _, err := password.Normalize(plain); err != nil {
		return Authenticated{}, fmt.Errorf("user: %w", err)
	}
	u, bucket, err := s.lookup(ctx, identifier)
	if err != nil {
		return Authenticated{}, err
	}
	return s.check(ctx, u, bucket, plain)
}

// AuthenticateAgain is [Service.Authenticate] for a user whose hash was replaced
// since a. The attempt was paid for then, and plain was right, so that it costs a
// hash and nothing of the budget.
func (s *Service) AuthenticateAgain(ctx context.Context, a Authenticated, plain string) (Authenticated, error) {
	u, err := s.Store.ByID(ctx, a.User.ID)
	if errors.Is(err, ErrNotFound) {
		return a, ErrBadCredentials
	}
	if err != nil {
		return Authenticated{}, fmt.Errorf("user: look up by id: %w", err)
	}
	return s.verify(ctx, u, plain, nil)
}

// Confirm checks the password of a user who is signed in already. It fails in the
// same ways as signing in, and spends from a budget of its own: anybody can use up
// the other one, and whoever is signed in is not to wait for strangers.
func (s *Service) Confirm(ctx context.Context, id ID, plain string) (Authenticated, error) {
	if _, err := password.Normalize(plain); err != nil {
		return Authenticated{}, fmt.Errorf("user: %w", err)
	}
	u, err := s.Store.ByID(ctx, id)
	if err != nil {
		return Authenticated{}, fmt.Errorf("user: look up by id: %w", err)
	}
	return s.check(ctx, u, confirmBucket(id), plain)
}

// Succeeded gives the user the full budgets of wrong passwords back. It joins
// the transaction in ctx.
func (s *Service) Succeeded(ctx context.Context, a Authenticated) error {
	if s.Attempts == nil {
		return nil
	}
	if err := s.Attempts.Clear(ctx, loginBucket(a.User.ID), confirmBucket(a.User.ID)); err != nil {
		return fmt.Errorf("user: clear attempts: %w", err)
	}
	return nil
}

// Rehash returns the hash of a new password for u, or the errors of a new
// password. Nothing is stored.
func (s *Service) Rehash(ctx context.Context, u User, plain string) (string, error) {
	plain, err := s.newPassword(plain, u.Username, u.Email)
	if err != nil {
		return "", err
	}
	hash, err := s.Hasher.Hash(ctx, plain)
	if err != nil {
		return "", fmt.Errorf("user: hash password: %w", err)
	}
	return hash, nil
}

// CheckNew returns the errors of a new password for u, and pays for no hash.
func (s *Service) CheckNew(u User, plain string) error {
	_, err := s.newPassword(plain, u.Username, u.Email)
	return err
}

// RoleNames returns roles as plain strings. It is never nil.
func RoleNames(roles []Role) []string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return names
}

// ParseRoles returns roles without repetitions, sorted, or [ErrInvalidRole].
func ParseRoles(names []string) ([]Role, error) {
	roles := make([]Role, 0, len(names))
	for _, n := range names {
		r, err := ParseRole(n)
		if err != nil {
			return nil, err
		}
		roles = append(roles, r)
	}
	slices.Sort(roles)
	roles = slices.Compact(roles)
	if len(roles) > MaxRoles {
		return nil, fmt.Errorf("%w: more than %d", ErrInvalidRole, MaxRoles)
	}
	return roles, nil
}

func (s *Service) newPassword(plain string, n Username, e Email) (string, error) {
	plain, err := password.Normalize(plain)
	if err != nil {
		return "", fmt.Errorf("user: %w", err)
	}
	err = s.Policy.Check(plain, string(n), string(e))
	if weak, ok := errors.AsType[*password.WeakError](err); ok && weak.Rule == password.TooShort {
		return "", fmt.Errorf("user: %w: it must have at least %d characters", err, weak.MinLength)
	}
	if err != nil {
		return "", fmt.Errorf("user: %w", err)
	}
	return plain, nil
}

// lookup returns the zero User for an identifier that nobody goes by, with the
// bucket that its attempts are counted in: all names of one user share one.
func (s *Service) lookup(ctx context.Context, identifier string) (User, string, error) {
	nobody := bucketOf("name", foldASCII(identifier))
	i, err := ParseIdentifier(identifier)
	if err != nil {
		return User{}, nobody, nil //nolint:nilerr // what nobody can be called is nobody's name
	}
	u, err := s.Store.ByIdentifier(ctx, i)
	if errors.Is(err, ErrNotFound) {
		return User{}, nobody, nil
	}
	if err != nil {
		return User{}, "", fmt.Errorf("user: look up by identifier: %w", err)
	}
	return u, loginBucket(u.ID), nil
}

// check verifies plain against u, the zero User included. The attempt is paid
// for on the hashing worker just before the hash, so that no burst of parallel
// guesses gets more of them looked at than the budget holds. The hasher gets
// plain as it was typed, because another program may have hashed it like that.
func (s *Service) check(ctx context.Context, u User, bucket, plain string) (Authenticated, error) {
	return s.verify(ctx, u, plain, func(ctx context.Context) error { return s.charge(ctx, bucket) })
}

func (s *Service) verify(ctx context.Context, u User, plain string, admit func(context.Context) error) (Authenticated, error) {
	match, err := s.Hasher.Verify(ctx, plain, u.PasswordHash, admit)
	if err != nil {
		return Authenticated{}, fmt.Errorf("user: verify password: %w", err)
	}
	if !match.OK || u.Disabled || u.ID == "" {
		return Authenticated{User: u}, ErrBadCredentials
	}
	a := Authenticated{User: u}
	if match.Outdated {
		if a.Rehashed, err = s.renew(ctx, plain); err != nil {
			return Authenticated{}, err
		}
	}
	return a, nil
}

// renew returns a new hash of a password that was right. Its rules for a new
// one do not apply: nobody chose it now.
func (s *Service) renew(ctx context.Context, plain string) (string, error) {
	normalized, err := password.Normalize(plain)
	if err != nil {
		return "", fmt.Errorf("user: %w", err)
	}
	hash, err := s.Hasher.Hash(ctx, normalized)
	if err != nil {
		return "", fmt.Errorf("user: rehash password: %w", err)
	}
	return hash, nil
}

func (s *Service) charge(ctx context.Context, bucket string) error {
	if s.Attempts == nil {
		return nil
	}
	wait, err := s.Attempts.Charge(ctx, bucket, s.Allowance, s.Now())
	if err != nil {
		return fmt.Errorf("user: count attempt: %w", err)
	}
	if wait > 0 {
		return &TooManyAttemptsError{Allowance: s.Allowance, RetryAfter: wait}
	}
	return nil
}

func loginBucket(id ID) string { return bucketOf("id", string(id)) }

func confirmBucket(id ID) string { return bucketOf("confirm", string(id)) }

// bucketOf hashes, so that the table of attempts holds no name and no long text.
func bucketOf(kind, name string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + name))
	return hex.EncodeToString(sum[:])
}
