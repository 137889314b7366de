// Package verifier is here for its test, which runs those of @jotgate/verifier, the
// Node package in this directory, beside the program whose tokens it verifies.
package verifier
