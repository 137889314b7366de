package client

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// State is what a signed-in app has to keep. The zero State is signed out. It is
// as secret as a password: it must not be logged, and backups of it should be
// left out or encrypted.
type State struct {
	// BaseURL is whose tokens these are: they are sent nowhere else.
	BaseURL string `json:"base_url"`
	// RefreshToken is spent by the next refresh, which brings its child.
	RefreshToken string `json:"refresh_token"`
	// RetrySecret is made at login. The Idempotency-Key of each refresh is made of it
	// and of the token presented, so it is stored before a refresh can be sent, stays
	// the same until the child is stored, and is the same to all who share a [Store].
	RetrySecret string `json:"retry_secret"`
	AccessToken string `json:"access_token"`
	// SentAt is the local time at which the access token was asked for, and ExpiresIn
	// its life in seconds from then: 1 to 86,400.
	SentAt    time.Time `json:"sent_at"`
	ExpiresIn int64     `json:"expires_in"`
}

const maxExpiresIn = 24 * 60 * 60 // seconds; jotgate issues no access token that lives longer

// SignedOut reports whether there is nothing to refresh with.
func (s State) SignedOut() bool { return s.RefreshToken == "" }

// Format implements [fmt.Formatter]: no verb prints the tokens.
func (s State) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.describe()) }

// LogValue implements [slog.LogValuer].
func (s State) LogValue() slog.Value { return slog.StringValue(s.describe()) }

func (s State) describe() string {
	if s.SignedOut() {
		return "signed out"
	}
	return "signed in to " + s.BaseURL
}

// complete reports whether s is a state that this package makes.
func (s State) complete() bool {
	return s == (State{}) || s.BaseURL != "" && s.RefreshToken != "" && s.RetrySecret != "" && s.AccessToken != "" &&
		!s.SentAt.IsZero() && 0 < s.ExpiresIn && s.ExpiresIn <= maxExpiresIn
}

// alive reports whether the access token lives longer than ahead. Both clocks
// have to agree: the monotonic one, where the state is of this process, stands
// still while some devices sleep, and the other one can be set. A time before
// SentAt tells that it was set back, and nothing of the token.
func (s State) alive(now time.Time, ahead time.Duration) bool {
	left := time.Duration(s.ExpiresIn)*time.Second - ahead
	within := func(since time.Duration) bool { return 0 <= since && since < left }
	return s.AccessToken != "" && within(now.Sub(s.SentAt)) && within(now.Round(0).Sub(s.SentAt.Round(0)))
}

// fresh reports whether the access token needs no refresh yet: that is due
// before its end by early, or by a quarter of a life that is short.
func (s State) fresh(now time.Time, early time.Duration) bool {
	return s.alive(now, min(early, time.Duration(s.ExpiresIn)*time.Second/4))
}

func newRetrySecret() string { return rand.Text() }

// retryKey returns the Idempotency-Key with which the refresh token is presented.
// It is unlike that of any other token, and whoever learns the token alone cannot
// make it.
func (s State) retryKey() string {
	mac := hmac.New(sha256.New, []byte(s.RetrySecret))
	mac.Write([]byte(s.RefreshToken))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Store keeps the state of one app: in a file, in memory, or in what the platform
// has for secrets. Clients and processes may share one. It is safe for
// concurrent use.
//
// Those that share one should have a [Shared] one. With another, where the refresh of one is
// held up on its way while another refreshes twice, it brings a token that is spent, and
// the session ends; and a refresh may save what it got over what a login saved meanwhile.
type Store interface {
	// Load returns what was saved last, or the zero State if nothing was.
	Load() (State, error)
	// Save returns when s will outlive the process and a loss of power, as far as the
	// store keeps anything that long. After an error, or a crash on the way, Load
	// returns either s or what was there before. The zero State removes what is there.
	Save(s State) error
}

// MemoryStore is a [Store] that ends with the process. The zero value is empty
// and ready for use.
type MemoryStore struct {
	mu    sync.Mutex
	state State
	turn  chan struct{} // full while somebody refreshes
}

// Load implements [Store].
func (m *MemoryStore) Load() (State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state, nil
}

// Save implements [Store].
func (m *MemoryStore) Save(s State) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = s
	return nil
}
