package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// enough is the share of its cores below which a floor seems lower than it is, and
// what stands beside it better.
const enough = 0.9

var errBusy = errors.New("the machine is busy: these values are worth nothing, and none is kept")

// probe has the server's core sign for a while, which waits for nothing else, and
// remembers what share of it other programs left.
func (b *bench) probe(ctx context.Context) error {
	begin := time.Now()
	_, over, err := runFloor(ctx, b.cores.server, b.length, "sign")
	if err != nil {
		return err
	}
	b.gotShares = append(b.gotShares, (over.UserTime()+over.SystemTime()).Seconds()/time.Since(begin).Seconds())
	return nil
}

// undisturbed fails if other programs ran on the server's core.
func (b *bench) undisturbed() error {
	for _, share := range b.gotShares {
		if share < enough {
			return fmt.Errorf("%w: a process that wants a whole core got %.0f %% of it", errBusy, 100*share)
		}
	}
	return nil
}

// end keeps the figures if it is to, but none of a busy machine.
func (b *bench) end(all figures, keep bool) error {
	err := b.undisturbed()
	if !keep {
		if err != nil {
			fmt.Fprintln(b.out, err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	return all.write()
}
