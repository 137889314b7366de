package main

import (
	"errors"
	"testing"
)

func TestFiguresOfABusyMachineAreNotKept(t *testing.T) {
	t.Parallel()
	if err := (&bench{gotShares: []float64{0.99, 0.97}}).undisturbed(); err != nil {
		t.Errorf("a quiet machine: %v", err)
	}
	if err := (&bench{gotShares: []float64{0.99, 0.25, 0.97}}).undisturbed(); !errors.Is(err, errBusy) {
		t.Errorf("a busy machine: %v, want errBusy", err)
	}
}
