package httpapi_test

import (
	"testing"
	"time"
)

// stepper is a user whose clock is moved, with what was acknowledged.
type stepper struct {
	newest string   // refresh token of the session that goes on
	ended  []answer // logins whose sessions were ended
}

// TestStepsOfTheClock moves the clock as a machine's clock is set, in both
// directions. What was acknowledged before must hold after each step.
func TestStepsOfTheClock(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		a.T = t
		a.register("ada")
		s := &stepper{newest: a.login("ada", "bearer").text(t, "refresh_token")}
		s.act(a)
		const day = 24 * time.Hour
		for _, step := range []time.Duration{
			time.Second, -time.Second, 5 * time.Second, -5 * time.Second, time.Hour, -time.Hour, 5 * time.Hour, -5 * time.Hour,
			day, -day, -time.Hour, time.Hour, -day, day,
		} {
			a.step(step)
			s.compare(a, step)
			s.act(a)
		}
	})
}

// act rotates the session that goes on, and ends another one.
func (s *stepper) act(a *api) {
	a.Helper()
	s.newest = a.refresh(s.newest).want(a.T, 200, "").text(a.T, "refresh_token")
	other := a.login("ada", "bearer")
	a.do("POST", "/v1/logout", nil, bearerOf(a, other)).want(a.T, 204, "")
	s.ended = append(s.ended, other)
}

func (s *stepper) compare(a *api, step time.Duration) {
	a.Helper()
	fresh := a.login("ada", "bearer")
	a.do("GET", "/v1/me", nil, bearerOf(a, fresh)).want(a.T, 200, "")
	a.do("POST", "/v1/login", object{"identifier": "ada", "password": otherPass}).want(a.T, 401, "bad-credentials")
	for _, e := range s.ended {
		if got := a.do("GET", "/v1/me", nil, bearerOf(a, e)); got.StatusCode != 401 {
			a.Errorf("after a step of %v the access token of an ended session is answered %d", step, got.StatusCode)
		}
		if got := a.refresh(e.text(a.T, "refresh_token")); got.StatusCode != 401 {
			a.Errorf("after a step of %v an ended session is refreshed: %d", step, got.StatusCode)
		}
	}
}

func bearerOf(a *api, login answer) string {
	a.Helper()
	return "Authorization: Bearer " + login.text(a.T, "access_token")
}
