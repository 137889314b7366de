//go:build !linux

package password

// standBack does nothing: only Linux has priorities of threads.
func standBack() {}
