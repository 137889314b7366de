package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	followers = 1000
	// perMinute is how many sessions end in a minute.
	perMinute = 10_000
	// feedTail is how long after the last logout verifiers may still learn of it.
	feedTail = 10 * time.Second
)

// board knows when each session was over, so that whoever learns of it can tell how
// late that is.
type board struct {
	begin time.Time
	at    map[string]*atomic.Int64 // session id -> nanoseconds since begin, when the 204 had come
}

// late returns how long ago the session was over; 0 if the news came before the 204.
func (b *board) late(id string) (time.Duration, bool) {
	at, ok := b.at[id]
	if !ok {
		return 0, false
	}
	over := time.Duration(at.Load())
	if over == 0 {
		return 0, true
	}
	return time.Since(b.begin) - over, true
}

// revocations has a thousand verifiers follow the feed by long poll while 10,000
// sessions a minute end, and says how long after the 204 of a logout they know.
func (b *bench) revocations(ctx context.Context) error {
	start := func() (*child, error) {
		return b.startJotgate(ctx, "revocations", noLimits, cheapMemory, cheapPasses)
	}
	return with(start, func(c *child) error {
		all, err := signIn(c.addr, int(max(b.length, 10*time.Second)*perMinute/time.Minute))
		if err != nil {
			return err
		}
		news := &board{begin: time.Now(), at: map[string]*atomic.Int64{}}
		for _, t := range all {
			news.at[t.Session.ID] = &atomic.Int64{}
		}
		took, err := follow(ctx, c.addr, news, func(ctx context.Context) error { return logOut(ctx, c.addr, all, news) })
		if err != nil {
			return err
		}
		slices.Sort(took)
		b.add(fmt.Sprintf("from the 204 until a verifier knows, %d of them, %d logouts a minute, p99", followers, perMinute),
			fmt.Sprintf("p50 %.0f ms, p99 %.0f ms", ms(took[len(took)/2]), ms(took[len(took)*99/100])), []float64{ms(took[len(took)*99/100])}, milliseconds, atMost(1000))
		return nil
	})
}

// follow runs the verifiers beside act, and returns how late each of them learned
// of each session. It fails if one of them has missed one.
func follow(ctx context.Context, addr string, news *board, act func(context.Context) error) (took []time.Duration, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: followers}}
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	var errs []error
	var following sync.WaitGroup
	for range followers {
		following.Go(func() {
			mine, err := verifier(ctx, client, addr, news)
			mu.Lock()
			defer mu.Unlock()
			took, errs = append(took, mine...), append(errs, err)
		})
	}
	acted := act(ctx)
	done := make(chan struct{})
	go func() { following.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(feedTail):
	}
	stop()
	<-done
	if err := errors.Join(append(errs, acted)...); err != nil {
		return nil, err
	}
	if missed := followers*len(news.at) - len(took); missed != 0 {
		return nil, fmt.Errorf("%d of %d revocations did not reach a verifier", missed, followers*len(news.at))
	}
	return took, nil
}

// verifier reads the feed until it knows of all sessions or ctx ends.
func verifier(ctx context.Context, client *http.Client, addr string, news *board) (took []time.Duration, err error) {
	cursor := ""
	for len(took) < len(news.at) {
		var page struct {
			Cursor      string
			Revocations []struct {
				SessionID string `json:"sid"`
			}
		}
		if err := get(ctx, client, "http://"+addr+"/v1/revocations?wait=25&after="+cursor, &page); err != nil {
			if ctx.Err() != nil {
				return took, nil //nolint:nilerr // what is missing is counted
			}
			return took, err
		}
		cursor = page.Cursor
		for _, r := range page.Revocations {
			if d, ok := news.late(r.SessionID); ok {
				took = append(took, d)
			}
		}
	}
	return took, nil
}

func get(ctx context.Context, client *http.Client, url string, answer any) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return errors.Join(err, fmt.Errorf("GET %s: %d %s", url, res.StatusCode, text))
	}
	return json.Unmarshal(text, answer)
}

// logOut ends the sessions one after another, evenly.
func logOut(ctx context.Context, addr string, all []tokens, news *board) error {
	tick := time.NewTicker(time.Minute / perMinute)
	defer tick.Stop()
	for _, t := range all {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		status, body, err := once(addr, request("POST", "/v1/logout", "", "Authorization: Bearer "+t.Access))
		if err != nil || status != http.StatusNoContent {
			return errors.Join(err, fmt.Errorf("logout: %d %s", status, body))
		}
		news.at[t.Session.ID].Store(int64(time.Since(news.begin)))
	}
	return nil
}
