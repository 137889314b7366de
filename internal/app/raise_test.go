package app_test

import (
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/app"
)

// TestLongerLifeWaitsUntilOthersHeard raises token.access_ttl beside a replica that dates
// what it revokes by the old one.
func TestLongerLifeWaitsUntilOthersHeard(t *testing.T) {
	c := settings(t)
	before := c.Token.AccessTTL
	start(t, newApp(t, c))
	c.Token.AccessTTL = 3 * time.Hour
	raised := newApp(t, c)
	quick, err := app.NewPaced(t.Context(), c, app.Build{Version: "test"}, slog.New(slog.DiscardHandler),
		app.Pace{PublishAhead: time.Second, KeysMaxAge: time.Second, ReloadEach: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := quick.Close(); err != nil {
			t.Error(err)
		}
	})
	lives := func(a *app.App) time.Duration {
		t.Helper()
		by := caller{t, "http://" + start(t, a).API.String()}
		by.do("POST", "/v1/users", `{"username":"ada","password":"correct horse battery staple"}`)
		_, body := by.do("POST", "/v1/login", `{"identifier":"ada","password":"correct horse battery staple"}`)
		var got struct {
			Seconds int `json:"expires_in"`
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		return time.Duration(got.Seconds) * time.Second
	}
	if got := lives(raised); got != before {
		t.Errorf("before others heard of it a token lives for %s, want %s", got, before)
	}
	if got := lives(newApp(t, c)); got != before {
		t.Errorf("where one more replica starts so a token lives for %s, want %s", got, before)
	}
	if got := lives(quick); got != c.Token.AccessTTL {
		t.Errorf("when others have heard of it a token lives for %s, want %s", got, c.Token.AccessTTL)
	}
}
