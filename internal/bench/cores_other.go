//go:build !linux

package main

import "errors"

// allowed returns none: only Linux binds a process to a core on demand.
func allowed() ([]int, error) { return nil, nil }

func onCores([]int, func() error) error { return errors.ErrUnsupported }

func becomeOn([]int, []string) error { return errors.ErrUnsupported }
