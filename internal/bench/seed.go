package main

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/jotgate/jotgate/internal/app"
)

// What databases are filled with, as internal/session and internal/app leave it behind.
const (
	seededFor    = 90 * 24 * time.Hour // since the first user came
	idleLife     = 30 * 24 * time.Hour
	absoluteLife = 90 * 24 * time.Hour
	keptOver     = app.KeepOver
	keptRevoked  = app.KeepRevoked
	keptAudit    = 90 * 24 * time.Hour
	// oneDue is of how many sessions one waits for the pruner.
	oneDue = 21
	// oneOver is of how many others one is over, and stays for the time being.
	oneOver       = 20
	seededAddress = "198.51.100.7"
	seededBrowser = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)

// seeding is what a database is filled with: users who all have one password, their
// sessions, and what else came of them.
type seeding struct {
	users    int
	sessions int // that are not due for pruning
	hash     string
	now      time.Time
}

// table is rows in the order of their primary key.
type table struct {
	name    string
	columns []string
	rows    int
	row     func(i int) []any
}

func (s seeding) tables() []table {
	return []table{
		{"users", []string{
			"id", "username", "email_verified", "roles", "password_hash", "disabled", "created_at", "tokens_valid_after",
		}, s.users, s.userRow},
		{"sessions", []string{
			"id", "user_id", "mode", "device", "ip", "user_agent", "created_at", "generation", "last_used_at", "retry", "expires_at",
			"absolute_at", "ended_at", "end_reason", "prune_at",
		}, s.sessions + s.due(), s.sessionRow},
		{"revocations", []string{"kind", "subject_id", "not_before", "expires_at"}, s.revocationsDue() + s.revoked(), s.revocationRow},
		{"audit_events", []string{
			"at", "kind", "user_id", "session_id", "detail", "ip", "user_agent", "request_id",
		}, s.eventsDue() + s.sessions/100, s.eventRow},
	}
}

// due is how many sessions there are beyond those that stay.
func (s seeding) due() int { return s.sessions / (oneDue - 1) }

func (s seeding) revocationsDue() int { return s.due() / 5 }
func (s seeding) eventsDue() int      { return s.due() / 5 }

// revoked is how many entries of the feed are still in force.
func (s seeding) revoked() int { return s.sessions / 1000 }

func (s seeding) ago(d time.Duration) int64 { return s.now.Add(-d).UnixMicro() }

// scattered is a number below n that goes with i and looks like chance.
func scattered(i, n int) int {
	x := uint64(i) + 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return int((x ^ x>>31) % uint64(n))
}

// idAt is a UUID of version 7 that goes with i.
func idAt(micros int64, i int) string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], uint64(micros/1000)<<16)
	binary.BigEndian.PutUint64(id[8:], uint64(scattered(i, 1<<62)))
	id[6], id[7] = 0x70, byte(i)
	id[8] |= 0x80
	return id.String()
}

// at spreads n things evenly over the time since the first user came, up to two days ago.
func (s seeding) at(i, n int) int64 {
	const lately = 2 * 24 * time.Hour
	step := (seededFor - lately) / time.Duration(n)
	return s.ago(seededFor - time.Hour - time.Duration(i)*step)
}

func usernameOf(i int) string { return fmt.Sprintf("user-%07d", i+1) }

func (s seeding) userID(i int) string { return idAt(s.at(i, s.users), i) }

func (s seeding) userRow(i int) []any {
	return []any{s.userID(i), usernameOf(i), false, "[]", s.hash, false, s.at(i, s.users), int64(0)}
}

// sessionRow is a living session, or one in which oneOver or oneDue shows.
func (s seeding) sessionRow(i int) []any {
	created := s.at(i, s.sessions+s.due())
	used := max(created, s.ago(time.Duration(scattered(i, int(idleLife-24*time.Hour)))))
	absolute := created + absoluteLife.Microseconds()
	expires := min(used+idleLife.Microseconds(), absolute)
	var ended int64
	reason := ""
	if over, ok := s.over(i); ok {
		if i%2 == 0 {
			ended, reason = over, "logout"
		} else {
			expires = over
		}
	}
	return []any{
		idAt(created, i), s.userID(i * 7919 % s.users), "bearer", "laptop", seededAddress, seededBrowser, created, int64(1 + i%9), used, "",
		expires, absolute, ended, reason, expires,
	}
}

// over is when a session ended or expired, if it did: long enough ago for the pruner,
// or not.
func (s seeding) over(i int) (at int64, ok bool) {
	const day = int(24 * time.Hour)
	switch {
	case i%oneDue == 0:
		return s.ago(keptOver + time.Hour + time.Duration(scattered(i, day))), true
	case i%oneOver == 1:
		return s.ago(time.Hour + time.Duration(scattered(i, day*4/5))), true
	}
	return 0, false
}

// revocationRow is one that the pruner waits for, or one that stays in force for longer
// than the measurement takes.
func (s seeding) revocationRow(i int) []any {
	expires := s.ago(keptRevoked + time.Hour)
	if i >= s.revocationsDue() {
		expires = s.ago(-2 * time.Hour)
	}
	return []any{"session", idAt(expires, i), int64(0), expires}
}

func (s seeding) eventRow(i int) []any {
	at := s.ago(keptAudit + time.Hour)
	if i >= s.eventsDue() {
		at = s.at(i-s.eventsDue(), s.sessions/100)
	}
	return []any{at, "logged_in", s.userID(i % s.users), idAt(at, i), "", seededAddress, seededBrowser, idAt(at, i+1)}
}

// feed is revocations of the last day that are kept though they have expired, and after
// them those in force.
func (s seeding) feed(past int) table {
	return table{"revocations", []string{"kind", "subject_id", "not_before", "expires_at"}, past + s.revoked(), func(i int) []any {
		if i >= past {
			return s.revocationRow(s.revocationsDue() + i - past)
		}
		expires := s.ago(keptOver - time.Duration(i)*(keptOver-time.Hour)/time.Duration(past))
		return []any{"session", idAt(expires, i), int64(0), expires}
	}}
}
