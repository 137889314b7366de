package clustertest

import (
	"sync"
	"time"
)

// outcome is what one request came to.
type outcome int

const (
	fine    outcome = iota // an answer that was asked for
	away                   // jotgate's 503 with Retry-After: something that it needs is not there
	gateway                // nginx's 502: the replica died, or none was there
	wrong                  // anything else, such as 500, or 401 for what is valid
	broken                 // no answer: nginx is never taken away
	hanging                // no answer in time
)

func (o outcome) String() string {
	return [...]string{"fine", "503", "502", "wrong", "broken", "hanging"}[o]
}

// killSlack is how long after a replica's death nginx may still write to a
// connection of which it has not heard yet that it is closed.
const killSlack = time.Second

// storm is a time in which something is really away. It begins before that is
// taken and ends when a round of all operations has succeeded on all replicas.
type storm struct {
	name         string
	began, ended time.Time
	deadly       bool      // whether a replica is killed in it
	killed       time.Time // when that replica was gone; zero until then
}

// weather is all storms so far.
type weather struct {
	mu     sync.Mutex
	storms []*storm
}

func (w *weather) begin(name string) *storm {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &storm{name: name, began: time.Now()}
	w.storms = append(w.storms, s)
	return s
}

// kill has f kill a replica.
func (w *weather) kill(s *storm, f func()) {
	w.mu.Lock()
	s.deadly = true
	w.mu.Unlock()
	f()
	w.mu.Lock()
	s.killed = time.Now()
	w.mu.Unlock()
}

func (w *weather) end(s *storm) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.ended = time.Now()
}

// forgives reports whether a request that took from sent to got may have come to o.
func (w *weather) forgives(o outcome, sent, got time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.storms {
		if got.Before(s.began) || !s.ended.IsZero() && sent.After(s.ended) {
			continue
		}
		switch {
		case o == away:
			return true
		case o == gateway && s.deadly && (s.killed.IsZero() || sent.Before(s.killed.Add(killSlack))):
			return true
		}
	}
	return false
}
