package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// profileLength is how long the program is watched.
const profileLength = 30 * time.Second

// profile watches the program under a mixed load and writes where its time goes, for
// the compiler. Hashes are cheap: what is in them is assembler.
func (b *bench) profile(ctx context.Context) error {
	if b.profileTo == "" {
		return errors.New("-profile says where to")
	}
	ops, err := freeAddr()
	if err != nil {
		return err
	}
	start := func() (*child, error) {
		return b.startJotgate(ctx, "profile", noLimits, cheapMemory, cheapPasses, "JOTGATE_OPS_ADDR="+ops)
	}
	return with(start, func(c *child) error {
		mix, err := mixed(c.addr)
		if err != nil {
			return err
		}
		loaded, stop := context.WithCancel(ctx)
		defer stop()
		done := make(chan error, 1)
		go func() { _, err := drive(loaded, c.addr, mix); done <- err }()
		text, err := fetchProfile(ctx, ops)
		stop()
		if err := errors.Join(err, <-done); err != nil {
			return err
		}
		b.row("profile", fmt.Sprintf("%d bytes in %s", len(text), b.profileTo))
		return os.WriteFile(b.profileTo, text, 0o644)
	})
}

// mixed is a load of verified requests, refreshes and logins.
func mixed(addr string) ([]ask, error) {
	refreshes, err := refreshing(addr)
	if err != nil {
		return nil, err
	}
	t, err := signIn(addr, 1)
	if err != nil {
		return nil, err
	}
	mix := append(times(16, t[0].forwardAuth()), times(8, t[0].me())...)
	mix = append(mix, refreshes.asks[:sessions/2]...)
	return append(mix, times(4, loginRequest())...), nil
}

func fetchProfile(ctx context.Context, ops string) (text []byte, err error) {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%.0f", ops, profileLength.Seconds())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	text, err = io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %d %s", url, res.StatusCode, text)
	}
	return text, err
}

// against compares the program with another build of it, round by round.
func (b *bench) against(ctx context.Context) error {
	if b.other == "" {
		return errors.New("-other names the other program")
	}
	other := *b
	other.program = b.other
	startOther := func() (*child, error) { return other.startJotgate(ctx, "other", noLimits, cheapMemory, cheapPasses) }
	startOurs := func() (*child, error) { return b.startJotgate(ctx, "ours", noLimits, cheapMemory, cheapPasses) }
	return with(startOther, func(theirs *child) error {
		return with(startOurs, func(ours *child) error { return b.compare(ctx, theirs.addr, ours.addr) })
	})
}

func (b *bench) compare(ctx context.Context, theirs, ours string) error {
	names := []string{"GET /v1/forward-auth", "GET /v1/me", "POST /v1/refresh"}
	first, err := threeKinds(theirs)
	if err != nil {
		return err
	}
	second, err := threeKinds(ours)
	if err != nil {
		return err
	}
	for i, name := range names {
		if err := compare(ctx, b.rounds, b.length, first[i], second[i]); err != nil {
			return err
		}
		b.add(name, second[i].String(), shares(second[i].rates, first[i].rates), "of the other program", target{})
	}
	return nil
}

func threeKinds(addr string) ([]*measured, error) {
	refreshes, err := refreshing(addr)
	if err != nil {
		return nil, err
	}
	t, err := signIn(addr, 1)
	if err != nil {
		return nil, err
	}
	return []*measured{
		{addr: addr, asks: times(connections, t[0].forwardAuth())},
		{addr: addr, asks: times(connections, t[0].me())},
		refreshes,
	}, nil
}
