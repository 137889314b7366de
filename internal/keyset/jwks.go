package keyset

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"sync/atomic"
	"time"
)

// snapshot is the keys of a set at one reading. It does not change, but for the
// document, which is a cache.
type snapshot struct {
	keys  []opened // in the order in which they start to sign
	byKID map[string]int
	doc   atomic.Pointer[document]
}

// document is the JWK set of the keys from index first on.
type document struct {
	first int
	body  []byte
	etag  string
}

// newSnapshot takes over keys and puts them in order.
func newSnapshot(keys []opened) *snapshot {
	slices.SortFunc(keys, func(a, b opened) int { return bySigning(a.Sealed, b.Sealed) })
	byKID := make(map[string]int, len(keys))
	for i, k := range keys {
		byKID[k.KID] = i
	}
	return &snapshot{keys: keys, byKID: byKID}
}

// state returns the state of the key at index i.
func (sn *snapshot) state(i int, now time.Time, retain time.Duration) State {
	switch {
	case sn.keys[i].ActivatesAt.After(now):
		return Pending
	case i+1 == len(sn.keys) || sn.keys[i+1].ActivatesAt.After(now):
		return Active
	case sn.keys[i+1].ActivatesAt.Add(retain).After(now):
		return Retiring
	}
	return Gone
}

// firstLive returns the index of the first key that is not gone. Keys leave in
// the order in which they came, so all after it are live too.
func (sn *snapshot) firstLive(now time.Time, retain time.Duration) int {
	first := 0
	for first < len(sn.keys) && sn.state(first, now, retain) == Gone {
		first++
	}
	return first
}

// document returns the JWK set of the keys from index first on. Two callers at
// once may both build it, and build the same.
func (sn *snapshot) document(first int) *document {
	if d := sn.doc.Load(); d != nil && d.first == first {
		return d
	}
	jwks := make([][]byte, 0, len(sn.keys)-first)
	for _, k := range sn.keys[first:] {
		jwks = append(jwks, k.jwk)
	}
	body := slices.Concat([]byte(`{"keys":[`), bytes.Join(jwks, []byte(",")), []byte(`]}`))
	sum := sha256.Sum256(body)
	d := &document{first: first, body: body, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`}
	sn.doc.Store(d)
	return d
}
