//go:build !race

package token_test

// tokens is how many ids are compared.
const tokens = 100_000
