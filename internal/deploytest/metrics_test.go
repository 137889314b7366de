package deploytest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/apptest"
)

// exposed is what /metrics tells: for each metric its labels and their values.
type exposed map[string]map[string][]string

// scrape runs the program, makes it count something of everything, and reads its
// metrics.
func scrape(t *testing.T) exposed {
	t.Helper()
	s := apptest.Start(t, "JOTGATE_RATE_LIMIT_ENABLED=true", "JOTGATE_RATE_LIMIT_LOGINS_PER_MINUTE=2")
	s.SignUp(t, "ada")
	ada := s.SignIn(t, "ada")
	for _, call := range []struct {
		method, path, token string
		body                any
		want                int
	}{
		{"POST", "/v1/login", "", map[string]string{"identifier": "ada", "password": "wrong"}, 401},
		{"POST", "/v1/login", "", map[string]string{"identifier": "ada", "password": "wrong"}, 429},
		{"POST", "/v1/refresh", "", map[string]string{"refresh_token": ada.Refresh}, 200},
		{"GET", "/v1/me", ada.Access, nil, 200},
		{"GET", "/v1/forward-auth", ada.Access, nil, 204},
		{"GET", "/readyz", "", nil, 200},
		{"POST", "/v1/logout", ada.Access, nil, 204},
	} {
		if got := s.Call(t, call.method, call.path, call.token, call.body, nil); got != call.want {
			t.Fatalf("%s %s = %d, want %d", call.method, call.path, got, call.want)
		}
	}
	res := httptest.NewRecorder()
	s.Operations.ServeHTTP(res, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	return parse(t, res.Body.String())
}

var (
	sample = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? \S+$`)
	label  = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"`)
)

func parse(t *testing.T, text string) exposed {
	t.Helper()
	all := exposed{"up": {}} // which Prometheus makes itself
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		m := sample.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			t.Fatalf("not a sample: %q", line)
		}
		if all[m[1]] == nil {
			all[m[1]] = map[string][]string{}
		}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			all[m[1]][l[1]] = append(all[m[1]][l[1]], l[2])
		}
	}
	return all
}

// These take PromQL apart as far as names go. Its own parser would bring the
// modules of the whole of Prometheus along, for expressions that are in our hands.
var (
	texts    = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	selector = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*) *(=~|!~|!=|=) *"([^"]*)"`)
	grouping = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right) *\(([^)]*)\)`)
	name     = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
)

// words of PromQL that are used, and so no metrics.
func words() []string {
	return []string{
		"sum", "max", "count", "rate", "increase", "changes", "absent", "histogram_quantile", "and", "or", "by", "on", "m", "s",
		"label_values",
	}
}

// fromScraping are labels that Prometheus adds.
func fromScraping() []string { return []string{"job", "instance"} }

// mistakes returns what expr names that is not exposed.
func (e exposed) mistakes(expr string) []string {
	var wrong []string
	labels := fromScraping()
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		have, ok := e[m[1]]
		if !ok {
			wrong = append(wrong, "metric "+m[1])
			continue
		}
		labels = slices.AppendSeq(labels, maps.Keys(have))
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(fromScraping(), l[1]) {
				wrong = append(wrong, matches(have, l[1], l[2], l[3])...)
			}
		}
	}
	for _, m := range grouping.FindAllStringSubmatch(expr, -1) {
		for _, l := range name.FindAllString(m[1], -1) {
			if !slices.Contains(labels, l) {
				wrong = append(wrong, "grouping label "+l)
			}
		}
	}
	// What is left are functions and metrics without a selector, which have to have one: another job has go_… too.
	rest := grouping.ReplaceAllString(selector.ReplaceAllString(texts.ReplaceAllString(expr, ""), ""), "")
	for _, left := range name.FindAllString(strings.ReplaceAll(rest, "$__rate_interval", ""), -1) {
		if !slices.Contains(words(), left) {
			wrong = append(wrong, "word "+left)
		}
	}
	return wrong
}

// matches returns what is wrong with a matcher of a metric that has these labels.
func matches(have map[string][]string, label, op, value string) []string {
	values, ok := have[label]
	if !ok {
		return []string{"label " + label}
	}
	if label == "status" {
		return nil // that a status has not been answered here says nothing
	}
	wanted := []string{value}
	if strings.HasSuffix(op, "~") {
		wanted = strings.Split(value, "|")
	}
	var wrong []string
	for _, w := range wanted {
		if !slices.Contains(values, w) {
			wrong = append(wrong, "value "+label+"="+w)
		}
	}
	return wrong
}

func TestMistakesAreFound(t *testing.T) {
	e := exposed{"a_total": {"outcome": {"ok"}}, "up": {}}
	for expr, want := range map[string]string{
		`sum by (outcome, instance) (rate(a_total{job="j",outcome="ok"}[5m])) > 0`: "",
		`absent(up{job="j"} == 1)`:             "",
		`rate(b_total{job="j"}[5m])`:           "metric b_total",
		`a_total{result="ok"}`:                 "label result",
		`a_total{outcome="okay"}`:              "value outcome=okay",
		`a_total{outcome=~"ok|bad"}`:           "value outcome=bad",
		`sum by (route) (a_total{job="j"})`:    "grouping label route",
		`a_total > 1`:                          "word a_total",
		`sum(a_total{job="j"}) / sum(b_total)`: "word b_total",
	} {
		if got := strings.Join(e.mistakes(expr), "; "); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}

type alert struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func TestAlerts(t *testing.T) {
	have := scrape(t)
	file := document[struct {
		Groups []struct {
			Name  string
			Rules []alert
		}
	}](t, "configs/prometheus/alerts.yaml", true)
	var seen []string
	for _, a := range file.Groups[0].Rules {
		for _, wrong := range have.mistakes(a.Expr) {
			t.Errorf("%s: there is no %s", a.Alert, wrong)
		}
		if slices.Contains(seen, a.Alert) || !strings.HasPrefix(a.Alert, "Jotgate") {
			t.Errorf("%s is not a name of its own", a.Alert)
		}
		seen = append(seen, a.Alert)
		if s := a.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s has severity %q", a.Alert, s)
		}
		for _, key := range []string{"summary", "description", "action"} {
			if a.Annotations[key] == "" {
				t.Errorf("%s has no %s", a.Alert, key)
			}
		}
	}
	if len(seen) < 15 || len(file.Groups) != 1 {
		t.Errorf("%d alerts in %d groups: look at this test again", len(seen), len(file.Groups))
	}
}

func TestDashboard(t *testing.T) {
	have := scrape(t)
	var board struct {
		Panels []struct {
			ID      int
			Type    string
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
		Templating struct {
			List []struct{ Name, Query string }
		}
	}
	check(t, json.Unmarshal([]byte(read(t, "configs/grafana/jotgate.json")), &board))
	ids, shown := map[int]bool{}, 0
	for _, p := range board.Panels {
		if ids[p.ID] {
			t.Errorf("%s: another panel has the id %d", p.Title, p.ID)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			shown++
			for _, wrong := range have.mistakes(target.Expr) {
				t.Errorf("%s: there is no %s", p.Title, wrong)
			}
		}
	}
	for _, v := range board.Templating.List {
		for _, m := range selector.FindAllStringSubmatch(v.Query, -1) {
			if have[m[1]] == nil {
				t.Errorf("variable %s asks for %s", v.Name, m[1])
			}
		}
	}
	// Whatever jotgate itself counts can be looked at.
	text := read(t, "configs/grafana/jotgate.json")
	for metric := range have {
		if strings.HasPrefix(metric, "jotgate_") && !strings.HasSuffix(metric, "_sum") && !strings.Contains(text, metric) {
			t.Errorf("%s is on no panel", metric)
		}
	}
	if shown < 20 {
		t.Errorf("%d expressions: look at this test again", shown)
	}
}
