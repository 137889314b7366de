// Package clustertest runs jotgate as a cluster: three replicas of the real
// binary on a PostgreSQL with a standby, nginx before them. While people sign in
// and out it takes one thing after another away, and asks afterwards whether all
// that was acknowledged still holds. It is tests alone.
//
//	go test ./internal/clustertest -cluster.soak=10m
//
// goes on taking things away for that long.
package clustertest
