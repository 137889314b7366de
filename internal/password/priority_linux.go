package password

import "golang.org/x/sys/unix"

// standBack lowers the priority of the calling thread. Linux has one for each
// thread, unlike POSIX. Where that is forbidden it stays as it is.
func standBack() {
	const lower, least = 10, 19
	// The system call returns 20 less the nice value, so as not to be negative.
	if own, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid()); err == nil {
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), min(20-own+lower, least)) //nolint:errcheck // see above
	}
}
