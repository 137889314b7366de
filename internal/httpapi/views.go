package httpapi

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
)

type userView struct {
	ID            string    `json:"id"`
	Username      *string   `json:"username"`
	Email         *string   `json:"email"`
	EmailVerified bool      `json:"email_verified"`
	Roles         []string  `json:"roles"`
	CreatedAt     time.Time `json:"created_at"`
}

func userOf(u user.User) userView {
	return userView{
		ID: string(u.ID), Username: orNull(string(u.Username)), Email: orNull(string(u.Email)),
		EmailVerified: u.EmailVerified, Roles: user.RoleNames(u.Roles), CreatedAt: u.CreatedAt.UTC(),
	}
}

type sessionView struct {
	ID         string    `json:"id"`
	Mode       string    `json:"mode"`
	Device     *string   `json:"device"`
	IP         string    `json:"ip"`
	UserAgent  string    `json:"user_agent"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	Current    bool      `json:"current"`
}

func sessionOf(s session.Session, current session.ID) sessionView {
	return sessionView{
		ID: string(s.ID), Mode: string(s.Mode), Device: orNull(s.Device), IP: s.IP, UserAgent: s.UserAgent,
		CreatedAt: s.CreatedAt.UTC(), LastUsedAt: s.LastUsedAt.UTC(), ExpiresAt: s.ExpiresAt.UTC(),
		Current: s.ID == current,
	}
}

// orEmpty makes no list [] in JSON, not null.
func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// fieldOf returns the row of fields for err, which has one.
func fieldOf(err error) fieldError {
	for _, row := range fields {
		if errors.Is(err, row.err) {
			return row.fieldError
		}
	}
	return fieldError{}
}

func sortedByPointer(errs []fieldError) []fieldError {
	slices.SortFunc(errs, func(a, b fieldError) int { return cmp.Compare(a.Pointer, b.Pointer) })
	return errs
}
