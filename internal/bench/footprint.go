package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// settling is how long a server is left alone before its memory is read.
const settling = 300 * time.Millisecond

// footprint measures the start on a database that is there, the memory of a
// server that nobody asks, and the program's size.
func (b *bench) footprint(ctx context.Context) error {
	start := func() (*child, error) { return b.startJotgate(ctx, "footprint") }
	if err := with(start, func(*child) error { return nil }); err != nil {
		return err
	}
	var starts, memory []float64
	for range b.rounds {
		begin := time.Now()
		if err := with(start, func(c *child) error {
			starts = append(starts, ms(time.Since(begin)))
			time.Sleep(settling)
			mib, err := c.memory("VmRSS")
			memory = append(memory, mib)
			return err
		}); err != nil {
			return err
		}
	}
	info, err := os.Stat(b.program)
	if err != nil {
		return err
	}
	size := float64(info.Size()) / 1e6
	b.add("start on an existing database, until it listens", fmt.Sprintf("%.0f ms", median(starts)), starts, milliseconds, atMost(100))
	b.addMemory("resident memory, idle", fmt.Sprintf("%.0f MiB", median(memory)), memory, 40)
	b.add("program", fmt.Sprintf("%.1f MB", size), []float64{size}, megabytes, atMost(30))
	return nil
}
