package clustertest

import "syscall"

// dieWithParent has the kernel send s when this process dies without stopping
// what it started, as after a panic or a test time-out.
func dieWithParent(a *syscall.SysProcAttr, s syscall.Signal) { a.Pdeathsig = s }
