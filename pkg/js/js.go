// Package js holds jotgate's code for browsers, so that a Go program can serve
// it beside its own pages. The directory client is the same as a package for
// JavaScript, @jotgate/client.
package js

import _ "embed"

//go:embed client/client.js
var client string

// Client returns the browser client, an ES module without dependencies. It is
// to be served as text/javascript.
func Client() string { return client }
