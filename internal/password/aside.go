package password

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"
)

const (
	// answerWithin is much more than a hash takes.
	answerWithin = 30 * time.Second
	// endWithin is how long a process has to end by itself.
	endWithin = time.Second
)

// aside performs tasks in a process of its own, which stands back: whoever only verifies
// a token does not wait until a hash is through, and does not pay for collecting what
// the hash leaves behind. golang.org/x/crypto/argon2 hashes on goroutines that it starts
// itself, so a thread of a lower priority within this process would not do. It is for
// one goroutine.
type aside struct {
	command  func() *exec.Cmd // nil performs tasks in this process
	failed   func(error)
	patience time.Duration   // for one answer
	closing  <-chan struct{} // closed when answers are wanted no more

	cmd *exec.Cmd
	in  io.WriteCloser
	enc *json.Encoder
	dec *json.Decoder
}

// perform does t here if the process fails: a password must not be refused for that.
func (a *aside) perform(t task) (outcome, error) {
	if a.command == nil {
		return t.perform()
	}
	done, err := a.ask(t)
	if err == nil {
		return done, nil
	}
	if status := a.stop(); status != nil {
		err = fmt.Errorf("it ended with %w: %w", status, err)
	}
	if errors.Is(err, ErrClosed) {
		return outcome{}, ErrClosed
	}
	a.failed(err)
	return t.perform()
}

func (a *aside) ask(t task) (done outcome, err error) {
	if a.cmd == nil {
		if err := a.start(); err != nil {
			return outcome{}, err
		}
	}
	answered, why, process := make(chan struct{}), make(chan error, 1), a.cmd.Process
	go func() { why <- a.watch(process, answered) }()
	if err = a.enc.Encode(t); err == nil {
		err = a.dec.Decode(&done)
	}
	close(answered)
	if killed := <-why; killed != nil && err != nil {
		err = killed
	}
	return done, err
}

// watch kills a process that does not answer in time, and returns why it did.
func (a *aside) watch(p *os.Process, answered <-chan struct{}) error {
	late := time.NewTimer(a.patience)
	defer late.Stop()
	why := fmt.Errorf("no answer in %s", a.patience)
	select {
	case <-answered:
		return nil
	case <-late.C:
	case <-a.closing:
		why = ErrClosed
		select {
		case <-answered:
			return nil
		case <-time.After(endWithin):
		}
	}
	_ = p.Kill() //nolint:errcheck // it may have ended already
	return why
}

func (a *aside) start() error {
	cmd := a.command()
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		standBack()            // which the process inherits
		started <- cmd.Start()
	}()
	if err := <-started; err != nil {
		return err
	}
	a.cmd, a.in, a.enc, a.dec = cmd, in, json.NewEncoder(in), json.NewDecoder(out)
	return nil
}

// stop ends the process, if there is one, and returns how it ended. It has nothing to
// lose, and ends by itself with its input unless it hangs.
func (a *aside) stop() error {
	if a.cmd == nil {
		return nil
	}
	_ = a.in.Close() //nolint:errcheck // it may have ended already
	process := a.cmd.Process
	kill := time.AfterFunc(endWithin, func() { _ = process.Kill() }) //nolint:errcheck // the same
	defer kill.Stop()
	status := a.cmd.Wait()
	a.cmd = nil
	return status
}
