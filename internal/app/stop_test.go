package app_test

import (
	"net/http"
	"testing"
	"time"
)

// TestStopsDuringAProfile holds that a profile that somebody takes does not hold up a stop
// and makes no failure of it.
func TestStopsDuringAProfile(t *testing.T) {
	r := start(t, newApp(t, settings(t)))
	profiled := make(chan struct{})
	go func() {
		defer close(profiled)
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		if res, err := client.Get("http://" + r.Operations.String() + "/debug/pprof/profile?seconds=60"); err == nil {
			res.Body.Close()
			t.Errorf("the profile is answered %d", res.StatusCode)
		}
	}()
	time.Sleep(100 * time.Millisecond)
	begun := time.Now()
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it stops in %s", took)
	}
	<-profiled
}
