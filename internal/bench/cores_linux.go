package main

import (
	"errors"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// allowed returns the cores that this process may use.
func allowed() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, err
	}
	var all []int
	for cpu := 0; len(all) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			all = append(all, cpu)
		}
	}
	return all, nil
}

// onCores runs f on a thread that has these cores. A process that f starts has them
// too, from its first instruction on, and Go's GOMAXPROCS in it follows.
func onCores(cpus []int, f func() error) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, now unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	for _, cpu := range cpus {
		now.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &now); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.SchedSetaffinity(0, &before)) }()
	return f()
}

// becomeOn replaces this process by itself with other arguments on these cores.
func becomeOn(cpus []int, args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return onCores(cpus, func() error { return unix.Exec(self, append([]string{self}, args...), os.Environ()) })
}
