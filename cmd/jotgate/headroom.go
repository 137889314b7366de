package main

import (
	"runtime"
	"runtime/debug"
)

// headroomBytes is how much more than it needs the heap of a server may grow before
// it is collected.
const headroomBytes = 16 << 20

// headroom has the heap collected less often than it would be for its size. What stays
// of a small server's requests is some megabytes, and each time as much again has come a
// collection goes through it. What is given here is never written to: it takes no
// memory, and counts for the collector as though it did. First it throws away what
// starting has left. keep is called at the end.
func headroom() (keep func()) {
	debug.FreeOSMemory()
	room := make([]byte, headroomBytes)
	return func() { runtime.KeepAlive(room) }
}
