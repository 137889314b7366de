package redistest

import "syscall"

// dieWithParent ends the server when this process dies without stopping it, as
// after a panic or a test time-out.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
