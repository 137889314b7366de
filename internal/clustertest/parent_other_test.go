//go:build !linux

package clustertest

import "syscall"

// dieWithParent does nothing where the kernel offers nothing for it.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}
