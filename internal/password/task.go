package password

import (
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// task is a hash to check or to make, with all that it takes, so that another process
// can do it.
type task struct {
	Plain  []byte
	Stored string // to check Plain against; or, if it is empty,
	Params Params // what to make a hash of Plain with
	Salt   []byte
	// Besides is what Stored costs less than it should, to be spent after it; no passes are none.
	Besides Params
}

// outcome is what became of a task.
type outcome struct {
	OK  bool   // Plain is the password behind Stored
	Tag []byte // the hash that was made
}

func (t task) perform() (outcome, error) {
	if t.Stored == "" {
		return outcome{Tag: hashed{params: t.Params, salt: t.Salt}.derive(string(t.Plain), tagLen)}, nil
	}
	stored, err := read(t.Stored)
	if err != nil {
		return outcome{}, err
	}
	done := outcome{OK: stored.matches(string(t.Plain))}
	if t.Besides.Passes > 0 {
		runtime.GC() // what the first one held, so that both take no more than one
		hashed{params: t.Besides, salt: make([]byte, saltLen)}.derive(string(t.Plain), tagLen)
	}
	return done, nil
}

// stored is a hash taken apart.
type stored struct {
	matches func(plain string) bool
	params  Params
}

// read takes a PHC string, or one of Django's hashes, which all begin with the
// name of their algorithm.
func read(encoded string) (stored, error) {
	if !strings.HasPrefix(encoded, "$") {
		matches, err := parseDjango(encoded)
		if err != nil {
			return stored{}, err
		}
		return stored{matches: asTyped(matches)}, nil
	}
	own, err := parse(encoded)
	return stored{
		matches: func(plain string) bool { return own.matches(norm.NFC.String(plain)) },
		params:  own.params,
	}, err
}

// Serve performs the tasks that a [Hasher] elsewhere sends by r, one after another, and
// answers by w, until r ends.
func Serve(r io.Reader, w io.Writer) error {
	// What a hash leaves behind is collected before the next one, while the answer is on
	// its way, and so there is never more than one hash's memory.
	debug.SetGCPercent(-1)
	in, out := json.NewDecoder(r), json.NewEncoder(w)
	for {
		var t task
		if err := in.Decode(&t); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		done, err := t.perform()
		if err != nil {
			return err // the Hasher has read it already
		}
		if err := out.Encode(done); err != nil {
			return err
		}
		runtime.GC()
	}
}
