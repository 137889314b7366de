package telemetry

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// series keeps the children of one metric at hand, by what they count. It keeps
// no more than limit of them; every key that comes later shares the child of
// rest. Reading takes no lock, because each new child replaces the whole map.
type series[K comparable, C any] struct {
	open  func(K) C
	rest  K
	limit int

	mu    sync.Mutex // held to replace known
	known atomic.Pointer[map[K]C]
}

func newSeries[K comparable, C any](open func(K) C, rest K, limit int) *series[K, C] {
	s := &series[K, C]{open: open, rest: rest, limit: limit}
	s.known.Store(&map[K]C{})
	return s
}

// of returns the child that counts k.
func (s *series[K, C]) of(k K) C {
	if c, ok := (*s.known.Load())[k]; ok {
		return c
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known := *s.known.Load()
	if c, ok := known[k]; ok {
		return c
	}
	if len(known) >= s.limit {
		return s.open(s.rest)
	}
	c, next := s.open(k), maps.Clone(known)
	next[k] = c
	s.known.Store(&next)
	return c
}

// other is the label of what has none of its own.
const other = "other"

// newCounter returns a counter by one label, registered with r. Each of words
// starts at 0, so that the first event is a change; besides them the label takes
// at most more words.
func newCounter[T ~string](r *prometheus.Registry, name, help, label string, more int, words ...T) *series[T, prometheus.Counter] {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	r.MustRegister(vec)
	s := newSeries(func(word T) prometheus.Counter { return vec.WithLabelValues(string(word)) }, other, len(words)+more)
	for _, word := range words {
		s.of(word)
	}
	return s
}
