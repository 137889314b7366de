package password

import "golang.org/x/sys/unix"

// standBack lowers the priority of the calling thread. Linux has one for each
// thread, unlike POSIX. Where that is forbidden it stays as it is.
func standBack() {
	const later = 10
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), later) //nolint:errcheck // see above
}
