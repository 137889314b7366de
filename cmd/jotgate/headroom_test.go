package main

import (
	"os/exec"
	"runtime"
	"testing"
)

// TestServeHasHeadroom holds that a server's heap may grow before it is collected.
func TestServeHasHeadroom(t *testing.T) {
	serveBy(t, func(string) *exec.Cmd { return exec.Command("/nowhere") })
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc < headroomBytes || m.NextGC < 2*headroomBytes {
		t.Errorf("%d bytes are in the heap, and the next collection is at %d", m.HeapAlloc, m.NextGC)
	}
}
