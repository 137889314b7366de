package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// query is parseQuery for a query that may have these names and no others.
func query(r *http.Request, names ...string) (url.Values, error) {
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	for name := range q {
		if !slices.Contains(names, name) {
			return nil, invalid(fieldError{"", "unknown", "All that a query has here is " + strings.Join(names, " and ") + "."})
		}
	}
	return q, nil
}

// parseQuery returns the query of r. It refuses what [url.URL.Query] leaves out without
// a word: a demand that is not understood is not one that is met.
func parseQuery(r *http.Request) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalid(fieldError{"", "malformed", "The query is not one."})
	}
	return q, nil
}
