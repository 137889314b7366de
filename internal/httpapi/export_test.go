package httpapi

import (
	"maps"
	"slices"
)

// Routes returns "METHOD /path" of every route, with Gin's names of parameters.
func Routes(c Config) ([]string, error) {
	e, err := newEngine(c)
	if err != nil {
		return nil, err
	}
	var routes []string
	for _, r := range e.Routes() {
		routes = append(routes, r.Method+" "+r.Path)
	}
	return routes, nil
}

// Codes returns every problem code.
func Codes() []string { return slices.Sorted(maps.Keys(kinds)) }

// CodeOf returns the problem code of err.
func CodeOf(err error) string { return problemOf(err).Code }
