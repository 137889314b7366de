//go:build race

package token_test

// tokens is how many ids are compared: under the race detector each signature takes
// many times as long, and that ids differ is no matter of races.
const tokens = 2000
