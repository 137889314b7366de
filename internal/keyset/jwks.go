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
	keys  []opened // in the order of line
	line  timeline
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
	sn := &snapshot{keys: keys, line: make(timeline, len(keys)), byKID: make(map[string]int, len(keys))}
	for i, k := range keys {
		sn.line[i], sn.byKID[k.KID] = k.Sealed, i
	}
	return sn
}

// firstLive returns the index of the first key that is neither gone nor revoked.
// Keys leave in the order in which they came, so that of all after it only
// revoked ones are not live.
func (sn *snapshot) firstLive(now time.Time, retain time.Duration) int {
	first := 0
	for first < len(sn.keys) && !sn.line.state(first, now, retain).published() {
		first++
	}
	return first
}

// document returns the JWK set of the keys from index first on, without those
// that were revoked. Two callers at
// once may both build it, and build the same.
func (sn *snapshot) document(first int) *document {
	if d := sn.doc.Load(); d != nil && d.first == first {
		return d
	}
	jwks := make([][]byte, 0, len(sn.keys)-first)
	for _, k := range sn.keys[first:] {
		if k.RevokedAt.IsZero() {
			jwks = append(jwks, k.jwk)
		}
	}
	body := slices.Concat([]byte(`{"keys":[`), bytes.Join(jwks, []byte(",")), []byte(`]}`))
	sum := sha256.Sum256(body)
	d := &document{first: first, body: body, etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`}
	sn.doc.Store(d)
	return d
}
