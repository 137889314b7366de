package password

import "runtime"

// thread runs what it is handed on a thread of the operating system that nobody else
// uses, and that stands back where that can be asked: whoever only verifies a
// token does not wait until a hash is through.
type thread struct {
	work chan func()
	done chan struct{}
}

// newThread returns a thread, which ends when work is closed.
func newThread() thread {
	t := thread{work: make(chan func()), done: make(chan struct{})}
	go func() {
		runtime.LockOSThread() // and never unlocked: it ends with the goroutine
		standBack()
		for f := range t.work {
			f()
			t.done <- struct{}{}
		}
	}()
	return t
}

// do runs f there and waits for it.
func (t thread) do(f func()) {
	t.work <- f
	<-t.done
}
