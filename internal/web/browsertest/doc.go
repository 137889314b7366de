// Package browsertest drives the sample app, and the browser client under it, in
// Chromium against the whole program. What only a browser decides is seen here:
// what it keeps of a cookie, which requests it sends where, what tabs hear of
// each other, and what a page of another origin can do.
package browsertest
