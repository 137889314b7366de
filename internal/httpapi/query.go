package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// query returns the query of r, which may have these names and no others. It refuses
// what [url.URL.Query] leaves out without a word: a demand that is not understood
// is not one that is met.
func query(r *http.Request, names ...string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalid(fieldError{"", "malformed", "The query is not one."})
	}
	for name := range q {
		if !slices.Contains(names, name) {
			return nil, invalid(fieldError{"", "unknown", "All that a query has here is " + strings.Join(names, " and ") + "."})
		}
	}
	return q, nil
}
