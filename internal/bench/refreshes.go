package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

const masterKey = "JOTGATE_MASTER_KEY=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// rotating is a client that refreshes, each time with the token that it got.
type rotating struct{ token string }

func (r *rotating) next() []byte {
	return request("POST", "/v1/refresh", `{"refresh_token":"`+r.token+`"}`)
}

func (r *rotating) got(status int, body []byte) error {
	var t tokens
	if err := json.Unmarshal(body, &t); err != nil || status != 200 {
		return fmt.Errorf("refresh: %d %s", status, body)
	}
	r.token = t.Refresh
	return nil
}

// refreshing returns clients each of which refreshes a session of its own.
func refreshing(addr string) (*measured, error) {
	signedIn, err := signIn(addr, sessions)
	if err != nil {
		return nil, err
	}
	m := &measured{addr: addr}
	for _, t := range signedIn {
		m.asks = append(m.asks, &rotating{t.Refresh})
	}
	return m, nil
}

// refreshesOnSQLite compares a refresh with the sum of its parts: an answered request,
// a signature, and a row that is written together with others.
func (b *bench) refreshesOnSQLite(ctx context.Context) error {
	return with(func() (*child, error) { return b.startHello(ctx) }, func(floor *child) error {
		start := func() (*child, error) { return b.startJotgate(ctx, "sqlite", noLimits, cheapMemory, cheapPasses) }
		return with(start, func(c *child) error { return b.refreshRounds(ctx, floor, c) })
	})
}

func (b *bench) refreshRounds(ctx context.Context, floor, c *child) error {
	ours, err := refreshing(c.addr)
	if err != nil {
		return err
	}
	bare := &measured{addr: floor.addr, asks: times(sessions, bareRequest())}
	var signs, rows, sums []float64
	length := b.length / perRound
	for turn := range b.rounds * perRound {
		if err := bare.round(ctx, length); err != nil {
			return err
		}
		sign, err := rateOf(ctx, b.cores.server, length, "sign")
		if err != nil {
			return err
		}
		row, err := rateOf(ctx, b.cores.server, length, "rows", filepath.Join(b.dir, "rows"+strconv.Itoa(turn)))
		if err != nil {
			return err
		}
		if err := ours.round(ctx, length); err != nil {
			return err
		}
		signs, rows, sums = append(signs, sign), append(rows, row), append(sums, 1/(1/bare.rates[turn]+1/sign+1/row))
	}
	b.row("the parts of a refresh", fmt.Sprintf("bare handler %.0f/s, ES256 signatures %.0f/s, rows in groups of 32 %.0f/s; one after another %.0f/s",
		median(bare.rates), median(signs), median(rows), median(sums)))
	b.add("POST /v1/refresh, SQLite", ours.String(), byRound(shares(ours.rates, sums)), "of the sum of its parts", atLeast(0.5))
	return nil
}

// refreshesOnPostgres compares a refresh with the least that it writes.
func (b *bench) refreshesOnPostgres(ctx context.Context) (err error) {
	url, stop, err := b.startPostgres(ctx)
	if err != nil {
		b.row("POST /v1/refresh, PostgreSQL", "not measured: "+err.Error())
		return nil
	}
	defer func() { err = errors.Join(err, stop()) }()
	start := func() (*child, error) {
		return b.startJotgate(ctx, "postgres", noLimits, cheapMemory, cheapPasses, "JOTGATE_DATABASE_URL="+url, masterKey)
	}
	return with(start, func(c *child) error {
		ours, err := refreshing(c.addr)
		if err != nil {
			return err
		}
		var bare []float64
		for range b.rounds * perRound {
			rate, err := rateOf(ctx, b.cores.server, b.length/perRound, "update", url)
			if err != nil {
				return err
			}
			bare = append(bare, rate)
			if err := ours.round(ctx, b.length/perRound); err != nil {
				return err
			}
		}
		b.row("pgx alone, the compare-and-swap of a session from 32 connections", fmt.Sprintf("%.0f/s", median(bare)))
		b.add("POST /v1/refresh, PostgreSQL", ours.String(), byRound(shares(ours.rates, bare)), "of pgx alone", atLeast(0.4))
		return nil
	})
}

// startPostgres starts a PostgreSQL on the server's core.
func (b *bench) startPostgres(ctx context.Context) (url string, stop func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, self, floorArg, "postgres")
	said := &tail{}
	cmd.Stderr = said
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := startOn(b.cores.server, cmd); err != nil {
		return "", nil, err
	}
	stop = func() error { return errors.Join(in.Close(), cmd.Wait()) }
	url, err = bufio.NewReader(out).ReadString('\n')
	if errors.Is(err, io.EOF) {
		return "", nil, errors.Join(errors.New(said.String()), stop())
	}
	return strings.TrimSpace(url), stop, err
}
