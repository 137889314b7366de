package bearer

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net/http"
	"sync"
	"time"
)

const (
	minWait, maxWait       = time.Second, 25 * time.Second
	minBackoff, maxBackoff = 250 * time.Millisecond, 5 * time.Second
	// pace is the least time between the beginnings of two requests, so that a feed in
	// which much happens is read in pages and not entry by entry.
	pace = 250 * time.Millisecond
	// forgetEvery spaces out the walks over the whole set.
	forgetEvery = time.Minute
)

// Run follows the feed until ctx ends, and returns why that did. What it started
// has ended then. While the issuer is away it tries again, ever less often but at
// least every 5 s, and goes on where it was. Run may be called again then, and is an
// error while it is running already.
func (f *Feed) Run(ctx context.Context) error {
	if !f.running.TryLock() {
		return errors.New("bearer: the feed is being followed already")
	}
	defer f.running.Unlock()
	var prepared sync.WaitGroup
	defer prepared.Wait()
	if f.asker != nil && f.asker.builtIn != nil {
		prepared.Go(func() { f.asker.builtIn.prepare(ctx) })
	}
	wait, failures := time.Duration(0), 0
	for {
		began := f.now()
		more, err := f.step(ctx, wait)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		f.note(err)
		pause := time.Duration(0)
		switch {
		case err != nil:
			// Without a wait, the next answer tells at once that all is well again.
			pause, wait = backoff(failures, err), 0
			failures++
		case more:
			wait, failures = 0, 0
		default:
			pause, wait, failures = min(pace-f.now().Sub(began), pace), f.wait(), 0
		}
		f.forget(errors.Is(err, errFull))
		if !sleep(ctx, pause) {
			return context.Cause(ctx)
		}
	}
}

// wait is how long the issuer may hold an answer: three fit into MaxStaleness, so
// that one may be lost.
func (f *Feed) wait() time.Duration {
	return min(max((f.max/3).Truncate(time.Second), minWait), maxWait)
}

var (
	errFull  = errors.New("more entries are alive than MaxEntries")
	errStuck = errors.New("the feed does not go on")
)

// step reads one page and reports whether there is another one already.
func (f *Feed) step(ctx context.Context, wait time.Duration) (more bool, err error) {
	if f.cursor == "" {
		wait = 0
	}
	asked := f.now()
	p, err := f.ask(ctx, f.cursor, wait)
	if e, ok := errors.AsType[*statusError](err); ok && e.status == http.StatusUnprocessableEntity {
		f.cursor, f.missed = "", nil // not one of this issuer's, whatever happened to it
	}
	switch {
	case err != nil:
		return false, err
	case *p.More && p.Cursor == f.cursor:
		return false, errStuck
	}
	if !f.apply(p.Entries) && f.missed == nil {
		f.missed = new(f.cursor) // what there was no room for; of another kind there is for what follows
	}
	f.cursor = p.Cursor
	switch {
	case *p.More:
		return true, nil
	case f.missed != nil:
		return false, errFull
	}
	f.isComplete(p.asOf(asked.Add(wait)))
	return false, nil
}

// apply makes the set refuse what entries name, as many as there is room for.
func (f *Feed) apply(entries []entry) bool {
	now, all := f.now().Unix(), true
	for _, e := range entries {
		known := e.Key == nil || f.set.endsKey(*e.Key)
		all = f.set.add(e, now) && all
		if !known && f.set.endsKey(*e.Key) {
			f.dropKey(*e.Key)
		}
	}
	return all
}

// whenKeyEnds has drop called for every key that the feed ends from now on.
func (f *Feed) whenKeyEnds(drop func(kid string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onKey = append(f.onKey, drop)
}

// dropKey has verifiers forget a key, and not only refuse it as long as the entry
// lives: who stole it goes on signing.
func (f *Feed) dropKey(kid string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, drop := range f.onKey {
		drop(kid)
	}
}

func (f *Feed) isComplete(asOf time.Time) {
	f.complete.Store(&asOf)
	f.settled.Do(func() { close(f.ready) })
}

func (f *Feed) note(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = err
}

// forget drops what has expired, once a minute, or soon if all was read and there was
// no room for some, which is read again then. A clock that went back makes good what
// had expired, so that all is to be read again.
func (f *Feed) forget(soon bool) {
	now := f.now().Unix()
	every := int64(forgetEvery / time.Second)
	if soon {
		every /= 6
	}
	switch since := now - f.forgot; {
	case since < 0:
		f.cursor, f.missed = "", nil
	case since < every:
		return
	}
	f.forgot = now
	f.set.forget(now)
	if soon && f.missed != nil {
		f.cursor, f.missed = *f.missed, nil
	}
}

// backoff is how long to wait after a failure that others came before: at least half
// of a time that doubles, so that verifiers do not come back together, and what the
// issuer asks for, neither for more than 5 s.
func backoff(failures int, err error) time.Duration {
	d := min(minBackoff<<min(failures, 10), maxBackoff)
	var random [2]byte
	rand.Read(random[:]) // it never fails
	d = d/2 + d/2*time.Duration(binary.LittleEndian.Uint16(random[:]))>>16
	if e, ok := errors.AsType[*statusError](err); ok {
		d = max(d, e.retryAfter)
	}
	return d
}

// sleep reports false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
