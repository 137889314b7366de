// Package password hashes and checks passwords with argon2id, in bounded memory
// and time, and knows which new passwords are too weak to take. It also checks
// the hashes of Django, so that who comes from there brings their password.
//
// It knows no user: whose password it is, and how often somebody may guess, is
// decided by whoever calls. Hashing runs on a few workers of its own, so that a
// storm of logins takes no more memory and processor than it was given.
package password

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// Errors a caller can act on.
var (
	// ErrOverloaded is a hash that was not begun, because too many wait already.
	ErrOverloaded = errors.New("password: too many hashes are waiting")
	// ErrClosed is a hash asked of a closed [Hasher].
	ErrClosed = errors.New("password: hasher is closed")
)

const (
	saltLen = 16
	tagLen  = 32
	// longestWait is how long a call waits for its turn. Where hashes take long, a full
	// queue takes longer than whoever asks waits for an answer.
	longestWait = 5 * time.Second
)

// Params is the cost of one hash (RFC 9106, section 3.1).
type Params struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// Hasher hashes with one set of parameters on a fixed number of workers. Create
// one with [NewHasher]; it is safe for concurrent use.
type Hasher struct {
	params Params
	jobs   chan job
	decoy  string

	// headroom is memory that is never touched. The collector runs when the heap has
	// doubled; every hash leaves its memory behind, and would be followed by a run.
	headroom []byte

	workers sync.WaitGroup
	running atomic.Int64
	closing chan struct{}
	close   sync.Once
}

type job struct {
	ctx   context.Context //nolint:containedctx // a job is one call, handed to the worker that runs it
	admit func(context.Context) error
	run   func()
	done  chan<- error
	taken *atomic.Bool // by a worker, or back by the caller
}

// NewHasher starts parallel workers, each of which holds p.MemoryKiB while it
// hashes, and lets at most queue more calls wait for them. Each has a thread of the
// operating system, which takes one of GOMAXPROCS while it hashes: who wants the rest
// of the program to go on meanwhile sets that higher by parallel.
func NewHasher(p Params, parallel, queue int) *Hasher {
	h := &Hasher{params: p, jobs: make(chan job, queue), closing: make(chan struct{})}
	h.headroom = make([]byte, parallel*int(p.MemoryKiB)<<10)
	h.decoy = encode(hashed{params: p, salt: random(saltLen), tag: random(tagLen)})
	for range parallel {
		h.workers.Go(h.work)
	}
	return h
}

// Close stops the workers after the hash that each of them runs. Calls that wait
// get [ErrClosed].
func (h *Hasher) Close() {
	h.close.Do(func() { close(h.closing) })
	h.workers.Wait()
}

// Running returns how many workers are hashing.
func (h *Hasher) Running() int { return int(h.running.Load()) }

// Waiting returns how many calls wait for a worker.
func (h *Hasher) Waiting() int { return len(h.jobs) }

// Hash returns the PHC string of plain under the hasher's parameters. It returns
// [ErrOverloaded] at once if the queue is full, and later if its turn does not come.
func (h *Hasher) Hash(ctx context.Context, plain string) (string, error) {
	out := hashed{params: h.params, salt: random(saltLen)}
	err := h.do(ctx, nil, func() { out.tag = out.derive(plain, tagLen) })
	if err != nil {
		return "", err
	}
	return encode(out), nil
}

// Match is what a password turned out to be.
type Match struct {
	OK bool
	// Outdated tells that the stored hash is weaker than the hasher's parameters,
	// or another program's.
	Outdated bool
}

// Verify tells whether plain, the text as it was typed, is the password behind
// encoded: a PHC string, or a hash that Django wrote ([CheckDjango]). An empty
// encoded stands for nobody: it costs the same as a PHC string and never matches.
//
// admit, if there is one, runs on the worker right before the hash; its error is
// returned and nothing is hashed. As no more calls are between admit and their
// result than there are workers, a budget that admit charges cannot be overrun
// by guessing in parallel.
//
// A caller whose ctx ends gets its cause at once. The worker finishes what it
// has begun all the same: leaving does not make room for another hash.
func (h *Hasher) Verify(ctx context.Context, plain, encoded string, admit func(context.Context) error) (Match, error) {
	nobody := encoded == ""
	if nobody {
		encoded = h.decoy
	}
	stored, err := h.read(encoded)
	if err != nil {
		return Match{}, err
	}
	var same bool
	if err := h.do(ctx, admit, func() { same = stored.matches(plain) }); err != nil {
		return Match{}, err
	}
	return Match{OK: same && !nobody, Outdated: stored.outdated}, nil
}

// stored is a hash taken apart.
type stored struct {
	matches  func(plain string) bool
	outdated bool
}

// read takes a PHC string, or one of Django's hashes, which all begin with the
// name of their algorithm.
func (h *Hasher) read(encoded string) (stored, error) {
	if !strings.HasPrefix(encoded, "$") {
		matches, err := parseDjango(encoded)
		if err != nil {
			return stored{}, err
		}
		return stored{matches: asTyped(matches), outdated: true}, nil
	}
	own, err := parse(encoded)
	return stored{
		matches:  func(plain string) bool { return own.matches(norm.NFC.String(plain)) },
		outdated: own.params.MemoryKiB < h.params.MemoryKiB || own.params.Passes < h.params.Passes,
	}, err
}

// do runs f on a worker and waits for it. f must touch nothing that the caller
// touches before do returns nil, because it may outlive the call.
func (h *Hasher) do(ctx context.Context, admit func(context.Context) error, f func()) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	done := make(chan error, 2) // of the worker, and of whoever took it back
	var taken atomic.Bool
	select {
	case <-h.closing:
		return ErrClosed
	default:
	}
	select {
	case h.jobs <- job{ctx: ctx, admit: admit, run: f, done: done, taken: &taken}:
	default:
		return ErrOverloaded
	}
	late := time.AfterFunc(longestWait, func() {
		if taken.CompareAndSwap(false, true) {
			done <- ErrOverloaded
		}
	})
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-h.closing:
		return ErrClosed
	}
}

func (h *Hasher) work() {
	t := newThread()
	defer close(t.work)
	for {
		select {
		case <-h.closing:
			return
		case j := <-h.jobs:
			h.running.Add(1)
			err := j.perform(t)
			h.running.Add(-1)
			j.done <- err
		}
	}
}

func (j job) perform(t thread) error {
	if j.ctx.Err() != nil {
		return context.Cause(j.ctx) // nobody waits for this hash
	}
	if !j.taken.CompareAndSwap(false, true) {
		return ErrOverloaded // nor for this one
	}
	if j.admit != nil {
		if err := j.admit(j.ctx); err != nil {
			return err
		}
	}
	t.do(j.run)
	return nil
}

func (s hashed) derive(plain string, n uint32) []byte {
	return argon2.IDKey([]byte(plain), s.salt, s.params.Passes, s.params.MemoryKiB, s.params.Lanes, n)
}

func random(n int) []byte {
	b := make([]byte, n)
	_, err := rand.Read(b)
	if err != nil {
		panic(fmt.Sprintf("password: no randomness: %v", err)) // cannot happen since Go 1.24
	}
	return b
}
