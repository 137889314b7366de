package apptest_test

import (
	"bufio"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/apptest"
)

// TestFeedOutlivesTheTimeouts holds a poll and a stream open for longer than any
// other answer may take.
func TestFeedOutlivesTheTimeouts(t *testing.T) {
	const longer = 16 * time.Second
	s := apptest.Start(t)
	s.SignUp(t, ada)
	token := s.SignIn(t, ada).Access
	var first struct {
		Cursor string `json:"cursor"`
	}
	s.Call(t, http.MethodGet, "/v1/revocations", "", nil, &first)

	var polled struct {
		Revocations []map[string]any `json:"revocations"`
	}
	var waiting sync.WaitGroup
	waiting.Go(func() {
		s.Call(t, http.MethodGet, "/v1/revocations?wait=25&after="+first.Cursor, "", nil, &polled)
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/v1/revocations?after="+first.Cursor, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	stream, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }() // the program may have ended it
	time.Sleep(longer)
	if got := s.Call(t, http.MethodPost, "/v1/logout", token, nil, nil); got != http.StatusNoContent {
		t.Fatalf("logout: %d", got)
	}
	waiting.Wait()
	if len(polled.Revocations) != 1 {
		t.Errorf("the poll was answered with %v", polled.Revocations)
	}
	lines := bufio.NewScanner(stream.Body)
	for lines.Scan() {
		if strings.Contains(lines.Text(), `"sid":`) {
			return
		}
	}
	t.Errorf("the stream ended without the logout: %v", lines.Err())
}

// TestEntryOutlivesTokensOfAClockAhead ends a session through a replica whose clock may
// be a minute behind that of the one which issued its token.
func TestEntryOutlivesTokensOfAClockAhead(t *testing.T) {
	const ttl, leeway, skew = 3 * time.Minute, 30 * time.Second, time.Minute
	s := apptest.Start(t, "JOTGATE_TOKEN_ACCESS_TTL="+ttl.String())
	s.SignUp(t, ada)
	issued := time.Now()
	if got := s.Call(t, http.MethodPost, "/v1/logout", s.SignIn(t, ada).Access, nil, nil); got != http.StatusNoContent {
		t.Fatalf("logout: %d", got)
	}
	var feed struct {
		Revocations []struct {
			Expires int64 `json:"exp"`
		} `json:"revocations"`
	}
	for len(feed.Revocations) == 0 {
		s.Call(t, http.MethodGet, "/v1/revocations", "", nil, &feed)
	}
	if got := time.Unix(feed.Revocations[0].Expires, 0).Sub(issued); got < ttl+leeway+skew {
		t.Errorf("the entry touches nothing after %s", got)
	}
}
