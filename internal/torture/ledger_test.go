package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// forgetful acknowledges everything, and then answers as its fault has it: by the path, or
// by the path and the password that is sent.
func forgetful(t *testing.T, answers map[string]int) *wire {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var sent struct{ Password string }
		_ = json.NewDecoder(r.Body).Decode(&sent)
		status := cmp.Or(answers[r.URL.Path+" "+sent.Password], answers[r.URL.Path], http.StatusUnauthorized)
		if status >= 400 {
			w.Header().Set("Content-Type", "application/problem+json")
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"status":%d,"code":"x","access_token":"a","refresh_token":"a.eyJnZW4iOjJ9.c"}`, status)
	}))
	t.Cleanup(s.Close)
	return &wire{base: s.URL, client: s.Client(), tally: &tally{}}
}

func TestComparisonFindsWhatBroke(t *testing.T) {
	t.Parallel()
	live := &device{tokens: tokens{Access: "a", Refresh: "a.eyJnZW4iOjF9.c"}}
	ended := &device{tokens: live.tokens, ended: true}
	for name, tt := range map[string]struct {
		device  *device
		answers map[string]int
		want    [findings]int
	}{
		"nothing, where a session lives":       {live, map[string]int{"/v1/login right": 200, "/v1/refresh": 200, "/v1/me": 200}, [findings]int{}},
		"nothing, where a session has ended":   {ended, map[string]int{"/v1/login right": 200}, [findings]int{}},
		"the last password is refused":         {nil, nil, [findings]int{lost: 1}},
		"the last password is answered 418":    {nil, map[string]int{"/v1/login": 418}, [findings]int{lost: 1}},
		"a wrong password is let in":           {nil, map[string]int{"/v1/login": 200}, [findings]int{letIn: 1}},
		"a rotation is lost":                   {live, map[string]int{"/v1/login right": 200, "/v1/me": 200}, [findings]int{lost: 1}},
		"an access token is refused":           {live, map[string]int{"/v1/login right": 200, "/v1/refresh": 200}, [findings]int{lost: 1}},
		"an ended session is let in":           {ended, map[string]int{"/v1/login right": 200, "/v1/me": 200}, [findings]int{undone: 1}},
		"an ended session is let in elsewhere": {ended, map[string]int{"/v1/login right": 200, "/v1/forward-auth": 204}, [findings]int{undone: 1}},
		"an ended session is refreshed":        {ended, map[string]int{"/v1/login right": 200, "/v1/refresh": 200}, [findings]int{undone: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := forgetful(t, tt.answers)
			p := &person{name: "ada", password: "right", registered: true}
			if tt.device != nil {
				d := *tt.device
				p.devices = []*device{&d}
			}
			(&ledger{wire: w}).compare(t.Context(), p)
			if w.tally.found != tt.want {
				t.Errorf("found %v, want %v: %q", w.tally.found, tt.want, w.tally.notes)
			}
		})
	}
}

// TestUnknownChangeLeavesOnePassword has a change of unknown outcome after which both passwords work, and one after which neither does.
func TestUnknownChangeLeavesOnePassword(t *testing.T) {
	t.Parallel()
	for status, want := range map[int][findings]int{http.StatusOK: {letIn: 1}, http.StatusUnauthorized: {lost: 1}} {
		w := forgetful(t, map[string]int{"/v1/login": status})
		p := &person{name: "ada", password: "old", registered: true}
		(&ledger{wire: w}).perform(context.WithoutCancel(t.Context()), p, &act{op: change, device: &device{}, password: "new", again: true})
		if w.tally.found != want || p.pending != nil {
			t.Errorf("logins answered %d: found %v, want %v", status, w.tally.found, want)
		}
	}
}
