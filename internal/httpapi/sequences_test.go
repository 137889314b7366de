package httpapi_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestSequences makes good and bad requests in any order, with the credentials
// that earlier ones brought, spent and ended ones among them, and lets the clock
// go on. What TestBadInput holds of one request is held of each, and both
// databases answer alike all along.
func TestSequences(t *testing.T) {
	t.Parallel()
	stages := bothStages(t)
	moves, err := sequenceMoves()
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, 0, len(moves))
	for id := range moves {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	rapid.Check(t, func(rt *rapid.T) {
		var wallets [2]*wallet
		for i, s := range stages {
			s.recast()
			wallets[i] = newWallet(s.cast)
		}
		for range rapid.IntRange(3, 12).Draw(rt, "steps") {
			cases := moves[rapid.SampledFrom(ids).Draw(rt, "operation")]
			c := cases[0]
			if rapid.IntRange(0, 2).Draw(rt, "bad") == 0 {
				c = rapid.SampledFrom(cases).Draw(rt, "case")
			}
			credential, refresh := rapid.IntRange(0, 5).Draw(rt, "credential"), rapid.IntRange(0, 3).Draw(rt, "refresh token")
			pause := rapid.SampledFrom([]time.Duration{0, 0, 0, time.Second, 11 * time.Second, accessTTL + time.Minute, 31 * 24 * time.Hour}).Draw(rt, "pause")
			var did [2]outcome
			for i, s := range stages {
				s.pause(pause)
				did[i] = wallets[i].spend(s, c, credential, refresh)
			}
			if did[0] != did[1] {
				rt.Fatalf("%s: %s: SQLite and PostgreSQL answer differently:\n%+v\n%+v", c, c.name, did[0], did[1])
			}
		}
		if t.Failed() {
			rt.Fatal("an answer was none that the contract allows")
		}
	})
}

// pause moves the clock. The use of the administrator's key, which is on record for
// a minute, is written down again.
func (s *stage) pause(d time.Duration) {
	if d == 0 {
		return
	}
	s.step(d)
	_, err := s.gate.KeyHolder(s.Context(), s.adminKey)
	s.must(err)
}

// sequenceMoves returns the cases of each operation that does something or shows
// what was done, the good one first.
func sequenceMoves() (map[string][]badCase, error) {
	all, err := operations()
	if err != nil {
		return nil, err
	}
	bad, err := badCases()
	if err != nil {
		return nil, err
	}
	moves := map[string][]badCase{}
	for _, o := range all {
		if o.method != http.MethodGet || o.Security != nil {
			moves[o.OperationID] = []badCase{{operation: o, name: "as it should be", change: func(*request) {}}}
		}
	}
	for _, c := range bad {
		if known := moves[c.OperationID]; known != nil {
			c.codes, c.accused = nil, "" // that is of a request whose credential is good
			moves[c.OperationID] = append(known, c)
		}
	}
	return moves, nil
}

// wallet is what a client has been given so far, newest last.
type wallet struct{ access, refresh []string }

func newWallet(c *cast) *wallet {
	return &wallet{[]string{c.one.Access, c.two.Access}, []string{c.one.Refresh, c.two.Refresh}}
}

// spend makes the request of c with the n-th newest credentials, and keeps what
// the answer brings.
func (w *wallet) spend(s *stage, c badCase, credential, refresh int) outcome {
	r := s.cast.good(c.operation)
	if c.Security != nil && r.form == nil && c.Tags[0] != "administration" && credential < len(w.access) {
		r.credential = authorization + w.access[len(w.access)-1-credential]
	}
	if _, ok := r.members["refresh_token"]; ok && refresh < len(w.refresh) {
		r.members["refresh_token"] = json.RawMessage(quoted(w.refresh[len(w.refresh)-1-refresh]))
		r.credential = ""
	}
	c.change(&r)
	got := s.send(c, r)
	_, problem := got.problem()
	var brought struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if got.StatusCode == http.StatusOK && r.form == nil && json.Unmarshal(got.body, &brought) == nil && brought.Access != "" {
		w.access, w.refresh = append(w.access, brought.Access), append(w.refresh, brought.Refresh)
	}
	return outcome{got.StatusCode, problem}
}
