package httpapi

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
)

// TestFollowersAreBounded leaves no place free and asks once more.
func TestFollowersAreBounded(t *testing.T) {
	s := &server{following: make(chan struct{}, 1)}
	s.following <- struct{}{}
	ask := func(query, accept string) error {
		c, _ := gin.CreateTestContext(httptest.NewRecorder())
		c.Request = httptest.NewRequestWithContext(t.Context(), http.MethodGet, feedPath+query, nil)
		c.Request.Header.Set("Accept", accept)
		return s.revocations(c)
	}
	if err := ask("?wait=1", ""); !errors.Is(err, errFollowing) {
		t.Errorf("a poll: %v", err)
	}
	if err := ask("", eventStream); !errors.Is(err, errFollowing) {
		t.Errorf("a stream: %v", err)
	}
	<-s.following
	if err := ask("?wait=1", ""); err == nil || len(s.following) != 0 { // the recorder has no deadline to set
		t.Errorf("a request that is over keeps its place: %v", err)
	}
}
