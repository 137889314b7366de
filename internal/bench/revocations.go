package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	followers = 1000
	// logoutRate is how many sessions end in a second: 10,000 in a minute.
	logoutRate = 167
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

// revocations has a thousand verifiers follow the feed by long poll while up to 10,000
// sessions a minute end, and says how long after the 204 of a logout they know.
func (b *bench) revocations(ctx context.Context) error {
	start := func() (*child, error) {
		return b.startJotgate(ctx, "revocations", noLimits, cheapMemory, cheapPasses)
	}
	return with(start, func(c *child) error {
		length := max(b.length, 10*time.Second)
		all, err := signIn(c.addr, int(length.Seconds()*logoutRate))
		if err != nil {
			return err
		}
		news := &board{begin: time.Now(), at: map[string]*atomic.Int64{}}
		for _, t := range all {
			news.at[t.Session.ID] = &atomic.Int64{}
		}
		var logouts load
		took, err := follow(ctx, c.addr, news, func(ctx context.Context) (err error) {
			logouts, err = pace(ctx, c.addr, logoutRate, length, news.endings(all))
			return err
		})
		if err != nil {
			return err
		}
		late := summary(took)
		b.add(fmt.Sprintf("from the 204 until a verifier knows, %d of them, p99", followers),
			fmt.Sprintf("p50 %.0f ms, p99 %.0f ms; %.0f logouts a minute, p50 %.0f ms, p99 %.0f ms",
				ms(late.p50), ms(late.p99), 60*logouts.rate, ms(logouts.p50), ms(logouts.p99)),
			[]float64{ms(late.p99)}, milliseconds, atMost(1000))
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

// ending is a client that ends one session after another of those that it shares with
// others, and puts on the board when each was over.
type ending struct {
	left <-chan tokens
	now  tokens
	news *board
}

// endings returns clients that end these sessions.
func (b *board) endings(all []tokens) []ask {
	left := make(chan tokens, len(all))
	for _, t := range all {
		left <- t
	}
	clients := make([]ask, connections)
	for i := range clients {
		clients[i] = &ending{left: left, news: b}
	}
	return clients
}

func (e *ending) next() []byte {
	e.now = <-e.left
	return request("POST", "/v1/logout", "", e.now.header())
}

func (e *ending) got(status int, body []byte) error {
	e.news.at[e.now.Session.ID].Store(int64(time.Since(e.news.begin)))
	return wantStatus("logout", http.StatusNoContent, status, body)
}
