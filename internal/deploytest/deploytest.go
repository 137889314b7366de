// Package deploytest holds what configs/ offers for running jotgate (images,
// manifests, units, alerts, dashboards, pages) to the program as it is: settings,
// routes, commands, metrics and times that are named there have to exist. It is
// tests alone.
package deploytest
