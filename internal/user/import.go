package user

import (
	"fmt"
	"time"

	"github.com/jotgate/jotgate/internal/password"
)

// Import is a user of another system, with what they may bring along.
type Import struct {
	ExternalID ExternalID
	Username   Username // empty if there is none; one of the two is needed
	Email      Email    // empty if there is none; it does not count as verified
	// PasswordHash is what [password.CheckDjango] takes, or empty for none.
	PasswordHash string
	Roles        []Role
	Disabled     bool
	CreatedAt    time.Time // zero, or in the future, is taken for the time of the import
}

// Import returns the user that i becomes, who is not stored yet. The rules for a
// new password do not apply, because there is only its hash. Its errors are
// [ErrNoIdentity], [ErrInvalidExternal], and those of [password.CheckDjango].
func (s *Service) Import(i Import) (User, error) {
	if i.Username == "" && i.Email == "" {
		return User{}, ErrNoIdentity
	}
	if _, err := ParseExternalID(string(i.ExternalID)); err != nil {
		return User{}, err
	}
	if i.PasswordHash != "" {
		if err := password.CheckDjango(i.PasswordHash); err != nil {
			return User{}, fmt.Errorf("user: take over password: %w", err)
		}
	}
	id, err := newID()
	if err != nil {
		return User{}, err
	}
	created := s.Now()
	if !i.CreatedAt.IsZero() && i.CreatedAt.Before(created) {
		created = i.CreatedAt
	}
	return User{
		ID: id, Username: i.Username, Email: i.Email, Roles: i.Roles, ExternalID: i.ExternalID, PasswordHash: i.PasswordHash,
		Disabled: i.Disabled, CreatedAt: created.UTC().Truncate(time.Microsecond),
	}, nil
}
