package password

import (
	"encoding/json"
	"io"
	"os/exec"
	"runtime"
)

// aside performs tasks in a process of its own, which stands back: whoever only verifies
// a token does not wait until a hash is through, and does not pay for collecting what
// the hash leaves behind. golang.org/x/crypto/argon2 hashes on goroutines that it starts
// itself, so a thread of a lower priority within this process would not do. It is for
// one goroutine.
type aside struct {
	command func() *exec.Cmd // nil performs tasks in this process
	failed  func(error)

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
	if err != nil {
		a.failed(err)
		a.stop()
		return t.perform()
	}
	return done, nil
}

func (a *aside) ask(t task) (done outcome, err error) {
	if a.cmd == nil {
		if err := a.start(); err != nil {
			return outcome{}, err
		}
	}
	if err := a.enc.Encode(t); err != nil {
		return outcome{}, err
	}
	err = a.dec.Decode(&done)
	return done, err
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

// stop ends the process, if there is one. It has nothing to lose.
func (a *aside) stop() {
	if a.cmd == nil {
		return
	}
	_ = a.in.Close()         //nolint:errcheck // it may have ended already
	_ = a.cmd.Process.Kill() //nolint:errcheck // the same
	_ = a.cmd.Wait()         //nolint:errcheck // it was killed
	a.cmd = nil
}
