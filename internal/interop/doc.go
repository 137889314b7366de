// Package interop holds no code, only tests that somebody else's libraries agree
// with jotgate: they accept what it issues, with nothing but its issuer and its
// published keys, and refuse what looks like it. A mistake that token and bearer
// share would pass the tests of both.
package interop
