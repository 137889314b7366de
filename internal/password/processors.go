package password

import (
	"runtime"
	"sync"
	"time"
)

// processorsLinger is how long the processors of hashes stay after the last of them:
// to change their number stops the program for a moment.
const processorsLinger = time.Second

// changing is held by who changes GOMAXPROCS by some.
var changing sync.Mutex //nolint:gochecknoglobals // so is GOMAXPROCS

// processors raises GOMAXPROCS by n while anybody hashes, so that a thread that hashes
// takes no place from who verifies a token. They are not there all the time, since
// with more of them than cores the scheduler and the collector find work for threads
// that the system then has to take turns between.
type processors struct {
	n int

	mu     sync.Mutex
	busy   int
	raised bool
	later  *time.Timer
}

func newProcessors(n int) *processors {
	p := &processors{n: n}
	p.later = time.AfterFunc(time.Hour, p.giveBack)
	p.later.Stop()
	return p
}

// enter is called before a hash, and leave after it.
func (p *processors) enter() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy++
	p.later.Stop()
	if !p.raised {
		p.raised = true
		change(p.n)
	}
}

func (p *processors) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
	if p.busy == 0 {
		p.later.Reset(processorsLinger)
	}
}

// giveBack lowers GOMAXPROCS again, unless somebody hashes.
func (p *processors) giveBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.raised && p.busy == 0 {
		p.raised = false
		change(-p.n)
	}
}

func change(by int) {
	changing.Lock()
	defer changing.Unlock()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + by)
}
