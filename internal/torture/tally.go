package main

import (
	"fmt"
	"sync"
	"time"
)

// finding is a way in which the program broke its word.
type finding int

const (
	lost   finding = iota // what was acknowledged is not there
	undone                // what was ended lives again
	letIn                 // somebody is in who must not be
	odd                   // an answer that no client is made for, or none
	findings
)

func (f finding) String() string { return [...]string{"lost", "undone", "let in", "odd"}[f] }

// mostNotes bounds what one fault says: after the first few, the rest follows.
const mostNotes = 20

// tally counts what one fault came to.
type tally struct {
	mu                           sync.Mutex
	fault                        string
	points                       int
	acknowledged, unknownAnswers int
	found                        [findings]int
	notes                        []string
	remark                       string
	took                         time.Duration
}

func (t *tally) add(f finding, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.found[f]++
	if len(t.notes) < mostNotes {
		t.notes = append(t.notes, fmt.Sprintf("%s: %s: %s", t.fault, f, fmt.Sprintf(format, args...)))
	}
}

// bad reports whether anything was found.
func (t *tally) bad() bool { return t.found != [findings]int{} }

func (t *tally) row() string {
	return fmt.Sprintf("%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f\t%s\n", t.fault, t.points, t.acknowledged, t.unknownAnswers,
		t.found[lost], t.found[undone], t.found[letIn], t.found[odd], t.took.Seconds(), t.remark)
}

const heading = "fault\tpoints\tacknowledged\tunknown\tlost\tundone\tlet in\todd\tseconds\t\n"

func (t *tally) count(acknowledged, unknown int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.acknowledged += acknowledged
	t.unknownAnswers += unknown
}

// unknowns is how many outcomes were unknown so far.
func (t *tally) unknowns() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.unknownAnswers
}
