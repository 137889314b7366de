package bearer

import (
	"hash/maphash"
	"strings"
	"sync"
	"time"
)

const (
	defaultCacheSize = 8192
	cacheShards      = 16
	// turnEvery is after how long the tokens that nobody has presented since are
	// forgotten, at the latest when that has passed once more: by a shard to which
	// tokens come. One to which none do keeps those that it has.
	turnEvery = 5 * time.Minute
)

// cache remembers tokens whose signature and claims were good, by their exact
// text, so that one that is presented again costs a look-up. It says nothing about
// what may change while a token lives: its key and what was revoked.
//
// Only accepted tokens enter, so that a flood of others evicts none. Each shard
// keeps two generations: a token that is found in the old one moves to the young
// one, and the old one is dropped whole when the young one is full.
type cache struct {
	seed   maphash.Seed
	room   int // of one generation of a shard
	shards [cacheShards]cacheShard
}

type cacheShard struct {
	mu         sync.RWMutex
	young, old map[string]*acceptance
	turned     time.Time
}

// acceptance is what a token was found to be, from since until its exp. since has no
// monotonic reading: it is compared with a clock that can be put back.
type acceptance struct {
	token  string
	keyID  string
	key    Key
	claims Claims
	since  time.Time
}

// newCache returns a memory of about size tokens, or none.
func newCache(size int) *cache {
	if size < 0 {
		return nil
	}
	if size == 0 {
		size = defaultCacheSize
	}
	return &cache{seed: maphash.MakeSeed(), room: max(size/(2*cacheShards), 1)}
}

func (c *cache) shard(token string) *cacheShard {
	return &c.shards[maphash.String(c.seed, token)%cacheShards]
}

// find returns what is remembered of a token. Once it has expired, or if the clock was
// put back to before it was accepted, nothing is: the token has to be judged anew.
func (c *cache) find(token string, now time.Time) *acceptance {
	if c == nil {
		return nil
	}
	s := c.shard(token)
	s.mu.RLock()
	found, old := s.young[token], (*acceptance)(nil)
	if found == nil {
		old = s.old[token]
		found = old
	}
	s.mu.RUnlock()
	if found == nil || now.Before(found.since) || !now.Before(found.claims.ExpiresAt) {
		return nil
	}
	if old != nil {
		s.put(old, now, c.room)
	}
	return found
}

// add remembers a token that was accepted at now.
func (c *cache) add(token string, found *acceptance, now time.Time) {
	if c == nil {
		return
	}
	found.token = strings.Clone(token) // what it is cut from may be larger
	c.shard(token).put(found, now, c.room)
}

func (s *cacheShard) put(found *acceptance, now time.Time, room int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil || len(s.young) >= room || now.Sub(s.turned) >= turnEvery {
		s.old, s.young, s.turned = s.young, make(map[string]*acceptance), now
	}
	s.young[found.token] = found
}
