package pgtest

import "syscall"

// dieWithParent makes the kernel shut the server down when this process dies
// without stopping it, as after a panic or a test time-out. SIGQUIT is
// PostgreSQL's immediate shutdown, which ends the server's own children too.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGQUIT }
