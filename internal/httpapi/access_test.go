package httpapi_test

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/access.tsv anew from the rules")

// TestAccess presents every credential in every state to every route. What has to
// come of it is worked out from accessRules and accessClasses, which are written
// by hand from the contract, and is written out in testdata/access.tsv for
// readers; the program is not asked.
func TestAccess(t *testing.T) {
	t.Parallel()
	rules, classes := readTable(accessRules), readTable(accessClasses)
	routes := accessRoutes(t)
	want := tabulate(routes, rules, classes)
	compareFile(t, filepath.Join("testdata", "access.tsv"), want)
	a := newAPI(t)
	a.administer()
	n := 0
	for _, rule := range rules {
		for _, state := range statesOf(rule) {
			n++
			h := a.newHolder(n, rule["credential"], state)
			for _, r := range routes {
				decision := r.decide(rule, classes, showsOrigin(rule["credential"]))
				if strings.HasPrefix(decision, "-") {
					continue
				}
				got := a.present(h, r)
				code, _ := got.problem()
				if got.StatusCode < 300 {
					code = "ok"
				}
				if code != decision || code == "ok" && got.StatusCode != r.ok {
					t.Errorf("%s with %s, %s: %d %s, want %s", r.name, rule["credential"], state, got.StatusCode, code, decision)
				}
				if r.class == "logout" && code == "ok" {
					a.wantSessionOver(h, rule["credential"], state)
				}
				if (code == "ok" || code == "token-reused") && r.method != http.MethodGet && !r.open() {
					n++
					h = a.newHolder(n, rule["credential"], state)
				}
			}
		}
	}
}

// accessRoute is a route with one good request to it.
type accessRoute struct {
	operation
	name, class string
	ok          int // the status of success
	spoil       func(r *request)
}

// accessRoutes puts every route of the document in its class.
func accessRoutes(t *testing.T) (routes []accessRoute) {
	t.Helper()
	all, err := operations()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		r := accessRoute{operation: o, name: o.String(), class: classOf(o), spoil: func(*request) {}}
		routes = append(routes, r)
		add := func(name, class string, spoil func(r *request)) {
			routes = append(routes, accessRoute{operation: o, name: o.String() + " " + name, class: class, spoil: spoil})
		}
		switch o.OperationID {
		case "login":
			add("mode cookie", "cookie", func(r *request) { r.members["mode"] = []byte(`"cookie"`) })
		case "forwardAuth":
			add("scope=admin", "demand", func(r *request) { r.query = map[string][]string{"scope": {"admin"}} })
		case "createKey":
			add("with scope admin", "grant", func(r *request) { r.members["scopes"] = []byte(`["admin"]`) })
		}
	}
	for i, r := range routes {
		for status := range r.Responses.Map() {
			if strings.HasPrefix(status, "2") {
				_, err := fmt.Sscan(status, &routes[i].ok)
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return routes
}

func classOf(o operation) string {
	switch {
	case o.OperationID == "refresh" || o.OperationID == "logout":
		return o.OperationID
	case strings.HasPrefix(o.path, "/oauth/"):
		return "client"
	case o.OperationID == "forwardAuth":
		return "forward"
	case o.method == http.MethodGet && o.path == "/v1/me":
		return "self"
	case strings.HasPrefix(o.path, "/v1/admin/"):
		return "admin"
	case strings.HasPrefix(o.path, "/v1/me") || strings.HasPrefix(o.path, "/v1/sessions") || strings.HasPrefix(o.path, "/v1/api-keys"):
		return "manage"
	}
	return "open"
}

// open reports whether a route acts for nobody.
func (r accessRoute) open() bool {
	return slices.Contains([]string{"open", "cookie", "client"}, r.class)
}

// decide works out what a route has to answer.
func (r accessRoute) decide(rule row, classes []row, origin bool) string {
	inBody := rule["credential"] == "refresh token" || rule["credential"] == "refresh token of a cookie in the body"
	schema, _ := r.body()
	switch {
	case r.open() && r.class != "client" && inBody && schema != nil:
		return "- the body is the route's own, which has no place for it"
	case r.class == "open", r.class == "cookie" && origin:
		return "ok"
	case r.class == "cookie":
		return "csrf-rejected"
	case r.class == "refresh", r.class == "logout", r.class == "client":
		return rule[r.class]
	}
	switch as := rule["access"]; as {
	case "nobody":
		return "no-credentials"
	case "invalid":
		return "invalid-token"
	case "twice":
		return "invalid-request"
	case "foreign":
		if r.method != http.MethodGet {
			return "csrf-rejected"
		}
		return find(classes, "class", r.class)["user"]
	default:
		return find(classes, "class", r.class)[as]
	}
}

func showsOrigin(credential string) bool {
	return strings.Contains(credential, "cookie") && !strings.HasSuffix(credential, "without origin") && credential != "header and cookies" &&
		!strings.HasPrefix(credential, "access token of a cookie") && !strings.HasPrefix(credential, "refresh token of a cookie")
}

// row is a line of a table, by the names of its columns.
type row map[string]string

func readTable(text string) (rows []row) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	names := strings.Split(lines[0], "|")
	for _, line := range lines[1:] {
		r := row{}
		for i, cell := range strings.Split(line, "|") {
			r[strings.TrimSpace(names[i])] = strings.TrimSpace(cell)
		}
		rows = append(rows, r)
	}
	return rows
}

func find(rows []row, column, value string) row {
	for _, r := range rows {
		if r[column] == value {
			return r
		}
	}
	return nil
}

func statesOf(rule row) []string {
	if rule["state"] == "dead" {
		return deadSessions()
	}
	return []string{rule["state"]}
}

// tabulate writes every cell, those of one decision on one line, and those that
// cannot be with the reason why.
func tabulate(routes []accessRoute, rules, classes []row) string {
	var b strings.Builder
	b.WriteString("# What each route answers to each credential in each state. Written by \"go test ./internal/httpapi -run TestAccess -update\"\n" +
		"# from the rules in accesstable_test.go; the test holds the program to every one.\ncredential\tstate\tdecision\troutes\n")
	reached, told := map[string]bool{}, map[string]bool{}
	for _, rule := range rules {
		for _, state := range statesOf(rule) {
			reached[rule["credential"]+"/"+state] = true
			by := map[string][]string{}
			for _, r := range routes {
				decision := r.decide(rule, classes, showsOrigin(rule["credential"]))
				if decision == "ok" {
					decision = fmt.Sprint(r.ok)
				}
				by[decision] = append(by[decision], r.name)
			}
			for _, decision := range slices.Sorted(maps.Keys(by)) {
				fmt.Fprintf(&b, "%s\t%s\t%s\t%s\n", rule["credential"], state, decision, strings.Join(by[decision], ", "))
			}
		}
	}
	for _, rule := range rules {
		for _, state := range accessStates() {
			if key := rule["credential"] + "/" + state; !reached[key] && !told[key] {
				told[key] = true
				fmt.Fprintf(&b, "%s\t%s\t- %s\tevery route\n", rule["credential"], state, unreachable(rule["credential"], state))
			}
		}
	}
	return b.String()
}

func compareFile(t *testing.T, path, want string) {
	t.Helper()
	if strings.Contains(want, "\t- \t") || strings.Contains(want, "\t\t") {
		t.Fatal("a cell is neither decided nor is there a reason why not")
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the rules say; write it with -update. First difference:\n%s", path, firstDifference(string(got), want))
	}
}
