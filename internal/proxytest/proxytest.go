// Package proxytest runs the reverse proxies of configs/ in front of the whole
// program and of an application that records what reaches it. It is tests alone.
package proxytest
