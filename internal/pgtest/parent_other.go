//go:build !linux

package pgtest

import "syscall"

// dieWithParent does nothing where the kernel offers nothing for it.
func dieWithParent(*syscall.SysProcAttr) {}
