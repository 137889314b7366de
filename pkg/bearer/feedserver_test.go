package bearer_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/apptest"
	"github.com/jotgate/jotgate/pkg/bearer"
)

// The program itself tells the feed of a logout.
func TestLogoutReachesAVerifier(t *testing.T) {
	s := apptest.Start(t)
	s.SignUp(t, "ada")
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	f, err := bearer.NewFeed(bearer.FeedConfig{Issuer: s.URL, Client: client, OnStale: bearer.Refuse})
	check(t, err)
	stop := follow(t, f)
	check(t, f.Ready(t.Context()))
	v, err := bearer.New(t.Context(), bearer.Config{Issuer: s.URL, Audience: s.URL, Client: client, Feed: f})
	check(t, err)
	leaves, stays := s.SignIn(t, "ada").Access, s.SignIn(t, "ada").Access
	accepted(t, v, leaves)
	if status := s.Call(t, "POST", "/v1/logout", leaves, nil, nil); status != http.StatusNoContent {
		t.Fatalf("logout: %d", status)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_, err := v.Verify(t.Context(), leaves)
		if errors.Is(err, bearer.ErrRevoked) {
			break
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("after the logout: %v", err)
		}
	}
	accepted(t, v, stays)
	if f.Health() != nil || f.Staleness() > 30*time.Second || f.Size() == 0 {
		t.Errorf("%d entries, %s old: %v", f.Size(), f.Staleness(), f.Health())
	}
	stop()
}
