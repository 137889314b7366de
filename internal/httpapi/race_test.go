//go:build race

package httpapi_test

// share is which part of the bad input is tried, one of so many cases: the race
// detector makes each many times as slow, and finds nothing more in the others.
const share = 8
