package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jotgate/jotgate/internal/keyset"
	"github.com/jotgate/jotgate/internal/store"
)

// Pace is how fast keys move. It is no setting: too fast a pace makes verifiers
// refuse what is good. Tests hurry.
type Pace struct {
	// PublishAhead is how long a key is published before it signs. It is longer than
	// the other two together.
	PublishAhead time.Duration
	// KeysMaxAge is how long verifiers keep the key set, in whole seconds.
	KeysMaxAge time.Duration
	// ReloadEach is how long a replica may not know of a key.
	ReloadEach time.Duration
}

func steady() Pace {
	return Pace{PublishAhead: 10 * time.Minute, KeysMaxAge: 5 * time.Minute, ReloadEach: time.Minute}
}

const (
	// clockSkew is what the clocks of two replicas may differ by: one that is behind
	// signs a little longer with a key that has retired, and ends a session whose
	// tokens are younger than its clock.
	clockSkew = time.Minute
	// livesLate is how long after it was last seen somebody may still have issued a
	// token: they are seen once a minute.
	livesLate = 5 * time.Minute
)

func (a *App) openKeys(ctx context.Context, master, other keyset.MasterKey) error {
	alg, err := keyset.ParseAlgorithm(a.config.Token.Alg)
	if err != nil {
		return err
	}
	if err := a.learnLives(ctx); err != nil {
		return err
	}
	if a.livedBefore, err = a.db.TokenLives().Shortest(ctx, time.Now().Add(-livesLate)); err != nil {
		return err
	}
	a.Keys = keyset.New(a.db.Keys(), master, keyset.Config{
		PublishAhead: a.pace.PublishAhead, Other: other, Now: time.Now,
		Retain: a.retain,
	})
	err = a.Keys.Ensure(ctx, alg)
	if errors.Is(err, keyset.ErrWrongMasterKey) {
		return fmt.Errorf("%w; give the one that sealed them"+lostKeyPage, err)
	}
	return err
}

// accessTTL is how long a token lives that is issued now. Other replicas keep what they
// revoke for as long as they know tokens to live, and hear of a longer life once in a while:
// until all have, tokens live no longer than those of any replica that is at work. That one
// has heard of a longer life does not mean that all have.
func (a *App) accessTTL() time.Duration {
	ttl := a.config.Token.AccessTTL
	if a.livedBefore == 0 || time.Since(a.noted) > 2*a.pace.ReloadEach {
		return ttl
	}
	return min(ttl, a.livedBefore)
}

// longestLife is how long after its issue any token that is about may be
// accepted, whichever replica issued it, before or after its settings were changed.
func (a *App) longestLife() time.Duration {
	return max(a.config.Token.AccessTTL, time.Duration(a.lives.Load())) + leeway
}

// retain is how long a key and what is revoked are kept for the tokens that they touch.
func (a *App) retain() time.Duration { return a.longestLife() + clockSkew }

// noteLife tells other replicas how long the tokens of this one live, and learns
// it of theirs.
func (a *App) noteLife(ctx context.Context) error {
	if err := a.db.TokenLives().Seen(ctx, a.config.Token.AccessTTL, time.Now()); err != nil {
		return err
	}
	return a.learnLives(ctx)
}

func (a *App) learnLives(ctx context.Context) error {
	now := time.Now()
	longest, err := a.db.TokenLives().Longest(ctx, now, leeway+livesLate)
	if err != nil {
		return err
	}
	latest, err := a.db.TokenLives().Latest(ctx, now)
	if err != nil {
		return err
	}
	a.lives.Store(int64(longest))
	a.latest.Store(latest.UnixMicro())
	return nil
}

// seen is the latest time that the clock of a replica is known to have shown.
func (a *App) seen() time.Time { return time.UnixMicro(a.latest.Load()) }

// rotateKeys makes the next signing key when the time has come. One replica does
// so, and if it dies the next one to look does.
func (a *App) rotateKeys(ctx context.Context) error {
	every := a.config.Token.RotateEvery
	if every == 0 || !a.Keys.Due(every) {
		return nil
	}
	_, err := a.db.AsLeader(ctx, store.Rotating, func(ctx context.Context) error {
		rotated, err := a.Gate.RotateKeyByAge(ctx, a.Keys, keyset.Algorithm(a.config.Token.Alg), every)
		if rotated {
			a.log.InfoContext(ctx, "the next signing key is published", slog.Duration("signs_in", a.pace.PublishAhead))
		}
		return err
	})
	return err
}

// tellAlgorithm warns of a setting that does nothing yet.
func (a *App) tellAlgorithm(ctx context.Context) {
	keys := slices.DeleteFunc(a.Keys.List(), func(k keyset.Info) bool { return k.State == keyset.Revoked })
	if len(keys) == 0 {
		return
	}
	if signs := keys[len(keys)-1].Algorithm; string(signs) != a.config.Token.Alg {
		a.log.WarnContext(ctx, "token.alg is not the algorithm of the newest signing key; jotgate keys rotate makes a key of it",
			slog.String("token_alg", a.config.Token.Alg), slog.String("key_alg", string(signs)))
	}
}

// keyAge is for how many seconds the key that signs has done so.
func (a *App) keyAge() float64 {
	_, since, ok := a.Keys.SignsSince()
	if !ok {
		return 0
	}
	return max(0, time.Since(since).Seconds())
}
