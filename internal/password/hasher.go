// Package password hashes and checks passwords with argon2id, in bounded memory
// and time, and knows which new passwords are too weak to take. It also checks
// the hashes of Django, so that who comes from there brings their password.
//
// It knows no user: whose password it is, and how often somebody may guess, is
// decided by whoever calls. Hashing runs on a few workers of its own, and where
// it can in processes of a lower priority, so that a storm of logins takes no more
// memory and processor than it was given.
package password

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
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

// without returns what is left of the work of p, memory times passes, after that of
// less. Nothing is if less costs as much, or is unknown: one of Django's.
func (p Params) without(less Params) Params {
	work, done := uint64(p.MemoryKiB)*uint64(p.Passes), uint64(less.MemoryKiB)*uint64(less.Passes)
	if done == 0 || done >= work {
		return Params{}
	}
	memory := (work - done) / uint64(p.Passes)
	return Params{MemoryKiB: uint32(memory), Passes: p.Passes, Lanes: p.Lanes} //nolint:gosec // less than p's
}

// Hasher hashes with one set of parameters on a fixed number of workers. Create
// one with [NewHasher]; it is safe for concurrent use.
type Hasher struct {
	params Params
	jobs   chan job
	decoy  string

	// Command starts a process that calls [Serve] on its standard input and output.
	// There is one for each worker, which ends when it has had nothing to do for a minute.
	// One that takes 30 s for a hash is killed. If it is nil, workers hash in this process.
	// Set it and Failed before the first hash.
	Command func() *exec.Cmd
	// Failed is told why a process of Command failed. The hash was made in this one.
	Failed func(error)

	patience time.Duration // with a process of Command, for one hash

	workers sync.WaitGroup
	running atomic.Int64
	closing chan struct{}
	close   sync.Once
}

type job struct {
	ctx   context.Context //nolint:containedctx // a job is one call, handed to the worker that runs it
	admit func(context.Context) error
	task  task
	done  chan<- result
	taken *atomic.Bool // by a worker, or back by the caller
}

type result struct {
	outcome

	err error
}

// workerLinger is how long a process waits for its next hash.
const workerLinger = time.Minute

// NewHasher starts parallel workers, each of which holds p.MemoryKiB while it
// hashes, and lets at most queue more calls wait for them.
func NewHasher(p Params, parallel, queue int) *Hasher {
	return newHasher(p, parallel, queue, workerLinger)
}

func newHasher(p Params, parallel, queue int, linger time.Duration) *Hasher {
	h := &Hasher{params: p, jobs: make(chan job, queue), closing: make(chan struct{}), patience: answerWithin}
	h.decoy = encode(hashed{params: p, salt: random(saltLen), tag: random(tagLen)})
	for range parallel {
		h.workers.Go(func() { h.work(linger) })
	}
	return h
}

// Close stops the workers after the hash that each of them runs, and kills a process
// that takes longer than a second for it. Calls that wait get [ErrClosed].
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
	made, err := h.do(ctx, nil, task{Plain: []byte(plain), Params: out.params, Salt: out.salt})
	if err != nil {
		return "", err
	}
	out.tag = made.Tag
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
// A PHC string of weaker parameters costs as much as one of the hasher's, whether
// plain is right or not.
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
	stored, err := read(encoded)
	if err != nil {
		return Match{}, err
	}
	checked, err := h.do(ctx, admit, task{Plain: []byte(plain), Stored: encoded, Besides: h.params.without(stored.params)})
	if err != nil {
		return Match{}, err
	}
	// One of Django's has no parameters.
	weaker := stored.params.MemoryKiB < h.params.MemoryKiB || stored.params.Passes < h.params.Passes
	return Match{OK: checked.OK && !nobody, Outdated: weaker}, nil
}

// do has a worker perform t and waits for it.
func (h *Hasher) do(ctx context.Context, admit func(context.Context) error, t task) (outcome, error) {
	if ctx.Err() != nil {
		return outcome{}, context.Cause(ctx)
	}
	done := make(chan result, 2) // of the worker, and of whoever took it back
	var taken atomic.Bool
	select {
	case <-h.closing:
		return outcome{}, ErrClosed
	default:
	}
	select {
	case h.jobs <- job{ctx: ctx, admit: admit, task: t, done: done, taken: &taken}:
	default:
		return outcome{}, ErrOverloaded
	}
	late := time.AfterFunc(longestWait, func() {
		if taken.CompareAndSwap(false, true) {
			done <- result{err: ErrOverloaded}
		}
	})
	defer late.Stop()
	select {
	case r := <-done:
		return r.outcome, r.err
	case <-ctx.Done():
		return outcome{}, context.Cause(ctx)
	case <-h.closing:
		return outcome{}, ErrClosed
	}
}

func (h *Hasher) work(linger time.Duration) {
	a := &aside{closing: h.closing}
	defer func() { _ = a.stop() }() //nolint:errcheck // its work is done
	for {
		select {
		case <-h.closing:
			return
		case j := <-h.jobs:
			a.command, a.failed, a.patience = h.Command, h.Failed, h.patience
			h.running.Add(1)
			done, err := j.perform(a)
			h.running.Add(-1)
			j.done <- result{done, err}
		case <-time.After(linger):
			_ = a.stop() //nolint:errcheck // the same
		}
	}
}

func (j job) perform(a *aside) (outcome, error) {
	if j.ctx.Err() != nil {
		return outcome{}, context.Cause(j.ctx) // nobody waits for this hash
	}
	if !j.taken.CompareAndSwap(false, true) {
		return outcome{}, ErrOverloaded // nor for this one
	}
	if j.admit != nil {
		if err := j.admit(j.ctx); err != nil {
			return outcome{}, err
		}
	}
	return a.perform(j.task)
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
