package gate

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jotgate/jotgate/internal/audit"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/keyset"
	"github.com/jotgate/jotgate/internal/revocation"
)

// ImportKey adds a signing key that was made elsewhere to set. Its errors are
// those of [keyset.Set.Import].
func (g *Gate) ImportKey(ctx context.Context, set *keyset.Set, private []byte, alg keyset.Algorithm) (info keyset.Info, err error) {
	err = g.Commit(ctx, func(ctx context.Context) (flow.Outcome, error) {
		info, err = set.Import(ctx, private, alg)
		return signingEvent(audit.KeyImported, info.KID), err
	})
	return info, err
}

// RotateKey adds a key of alg to set, which is published before it signs. Its
// errors are those of [keyset.Set.Rotate].
func (g *Gate) RotateKey(ctx context.Context, set *keyset.Set, alg keyset.Algorithm) (info keyset.Info, err error) {
	fresh, err := keyset.Generate(alg)
	if err != nil {
		return info, err
	}
	err = g.commitKeys(ctx, set, func(ctx context.Context) (flow.Outcome, error) {
		info, err = set.Rotate(ctx, fresh)
		return signingEvent(audit.KeyRotated, info.KID), err
	})
	return info, err
}

// RotateKeyByAge is RotateKey if the key that signs would otherwise do so for
// longer than every, and reports whether that was so.
func (g *Gate) RotateKeyByAge(ctx context.Context, set *keyset.Set, alg keyset.Algorithm, every time.Duration) (rotated bool, err error) {
	if err := set.Reload(ctx); err != nil || !set.Due(every) {
		return false, err
	}
	fresh, err := keyset.Generate(alg)
	if err != nil {
		return false, err
	}
	err = g.commitKeys(ctx, set, func(ctx context.Context) (flow.Outcome, error) {
		var info keyset.Info
		if info, rotated, err = set.RotateDue(ctx, fresh, every); !rotated {
			return flow.Outcome{}, err
		}
		return signingEvent(audit.KeyRotated, info.KID), nil
	})
	return rotated && err == nil, err
}

// RevokeKey takes the key named kid out of use, in set and, through the feed,
// everywhere, and ends all that it signed. Its errors are those of
// [keyset.Set.Revoke].
func (g *Gate) RevokeKey(ctx context.Context, set *keyset.Set, kid string) (done keyset.RevokedKey, err error) {
	if err := set.Reload(ctx); err != nil {
		return done, err
	}
	alg, _, ok := set.SignsSince()
	if !ok {
		return done, fmt.Errorf("gate: revoke key %q: %w", kid, keyset.ErrNoKey)
	}
	spare, err := keyset.Generate(alg)
	if err != nil {
		return done, err
	}
	err = g.commitKeys(ctx, set, func(ctx context.Context) (flow.Outcome, error) {
		if done, err = set.Revoke(ctx, kid, spare); err != nil || done.Already {
			return flow.Outcome{}, err
		}
		out := signingEvent(audit.KeyRevoked, kid)
		if done.Successor != nil {
			out.Events = append(out.Events, audit.Event{Kind: audit.KeyRotated, Detail: done.Successor.KID})
		}
		out.Revoked = []revocation.Entry{g.Revocations.Key(kid)}
		return out, nil
	})
	return done, err
}

// ResealKeys seals the keys of set under the master key that are sealed under the
// other one, and returns how many those were.
func (g *Gate) ResealKeys(ctx context.Context, set *keyset.Set) (n int, err error) {
	err = g.commitKeys(ctx, set, func(ctx context.Context) (flow.Outcome, error) {
		if n, err = set.Reseal(ctx); err != nil || n == 0 {
			return flow.Outcome{}, err
		}
		return signingEvent(audit.KeysResealed, strconv.Itoa(n)), nil
	})
	return n, err
}

// commitKeys is Commit for acts on set, which learns of them once they are
// committed and not before.
func (g *Gate) commitKeys(ctx context.Context, set *keyset.Set, act func(ctx context.Context) (flow.Outcome, error)) error {
	if err := g.Commit(ctx, act); err != nil {
		return err
	}
	return set.Reload(ctx)
}

func signingEvent(kind audit.Kind, detail string) flow.Outcome {
	return flow.Outcome{Events: []audit.Event{{Kind: kind, Detail: detail}}}
}
