package clustertest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

// mostReported bounds what one run says: after the first few, the rest follows.
const mostReported = 20

// book counts what requests came to, and keeps what was acknowledged.
type book struct {
	mu       sync.Mutex
	counts   map[string]map[outcome]int // by operation
	sum      map[outcome]int
	reported int
	retried  int // operations whose outcome was unknown at first
	dead     []grave
	users    int
}

// grave is a session whose end was acknowledged, with a token pair of it.
type grave struct {
	device

	how string
}

func newBook() *book { return &book{counts: map[string]map[outcome]int{}, sum: map[outcome]int{}} }

func (b *book) count(operation string, o outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.counts[operation] == nil {
		b.counts[operation] = map[outcome]int{}
	}
	b.counts[operation][o]++
	b.sum[o]++
}

// total is how many requests came to o so far.
func (b *book) total(o outcome) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sum[o]
}

func (b *book) unknown() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.retried++
}

func (b *book) registered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.users++
}

func (b *book) bury(g grave) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dead = append(b.dead, g)
}

func (b *book) graves() []grave {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.dead)
}

// violated fails the test with what must not have happened.
func (b *book) violated(t *testing.T, format string, args ...any) {
	t.Helper()
	b.mu.Lock()
	b.reported++
	report := b.reported <= mostReported
	b.mu.Unlock()
	if report {
		t.Errorf(format, args...)
	} else {
		t.Fail()
	}
}

// table is the counts as text.
func (b *book) table() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var s strings.Builder
	row := func(name string, counts map[outcome]int) {
		fmt.Fprintf(&s, "\n%-14s", name)
		for o := fine; o <= hanging; o++ {
			fmt.Fprintf(&s, " %s %-6d", o, counts[o])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.counts)) {
		row(name, b.counts[name])
	}
	row("all", b.sum)
	fmt.Fprintf(&s, "\nin the book: %d users registered, %d sessions ended, %d operations with an outcome that was unknown at first",
		b.users, len(b.dead), b.retried)
	return s.String()
}
