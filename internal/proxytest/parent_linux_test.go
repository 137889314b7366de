package proxytest

import (
	"os/exec"
	"syscall"
)

// dieWithParent ends the proxy when this process dies without stopping it, as
// after a panic or a test time-out.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
