//go:build !race

package httpapi_test

// share is which part of the bad input is tried: all of it.
const share = 1
