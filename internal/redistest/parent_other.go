//go:build !linux

package redistest

import "syscall"

// dieWithParent does nothing where the kernel offers nothing for it.
func dieWithParent() *syscall.SysProcAttr { return nil }
