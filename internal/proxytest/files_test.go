package proxytest

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Headers of forward-auth's answer that an application is told.
func identity() []string {
	return []string{"X-Auth-User-Id", "X-Auth-Session-Id", "X-Auth-Client-Id", "X-Auth-Roles", "X-Auth-Scope"}
}

func TestTraefik(t *testing.T) {
	text, err := os.ReadFile("../../configs/traefik.yaml")
	check(t, err)
	var file struct {
		HTTP struct {
			Middlewares map[string]struct {
				ForwardAuth struct {
					Address            string
					TrustForwardHeader *bool  `yaml:"trustForwardHeader"`
					Drop               string `yaml:"authResponseHeadersRegex"`
				} `yaml:"forwardAuth"`
			}
			Routers map[string]struct {
				Rule, Service string
				EntryPoints   []string `yaml:"entryPoints"`
				Middlewares   []string
				Priority      int
				TLS           map[string]any
			}
			Services map[string]any
		}
	}
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	d.KnownFields(true)
	check(t, d.Decode(&file))
	for name, m := range file.HTTP.Middlewares {
		if !strings.HasPrefix(m.ForwardAuth.Address, "http://127.0.0.1:8080/v1/forward-auth") || m.ForwardAuth.TrustForwardHeader == nil || *m.ForwardAuth.TrustForwardHeader {
			t.Errorf("%s asks %+v", name, m.ForwardAuth)
		}
		drop := regexp.MustCompile(m.ForwardAuth.Drop)
		for _, header := range identity() {
			for _, spelling := range spellings(header) {
				if !drop.MatchString(spelling) {
					t.Errorf("%s lets %s through", name, spelling)
				}
			}
		}
	}
	if rule := file.HTTP.Routers["reports"].Rule; !strings.Contains(rule, "(Path(`/api/reports`) || PathPrefix(`/api/reports/`))") {
		t.Errorf("the demand for a scope is for %s", rule)
	}
	for name, r := range file.HTTP.Routers {
		if file.HTTP.Services[r.Service] == nil || r.TLS == nil || len(r.EntryPoints) == 0 {
			t.Errorf("router %s: %+v", name, r)
		}
		if r.Service == "application" && (len(r.Middlewares) != 1 || file.HTTP.Middlewares[r.Middlewares[0]].ForwardAuth.Address == "") {
			t.Errorf("router %s leads to the application unguarded", name)
		}
	}
	if len(file.HTTP.Middlewares) != 2 || len(file.HTTP.Routers) != 3 {
		t.Error("a middleware or router more or less: look at this test again")
	}
}

func TestCaddyfile(t *testing.T) {
	text, err := os.ReadFile("../../configs/Caddyfile")
	check(t, err)
	if !regexp.MustCompile(`(?m)^\t@reports path /api/reports /api/reports/\*$(?s:.)*\bhandle @reports \{\n\t+import signed-in reports:read$`).Match(text) {
		t.Error("the demand for a scope is not for /api/reports and what is below it")
	}
	var drops, copies []string
	depth, guarded := 0, map[int]bool{}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		switch {
		case words[0] == "}":
			guarded[depth] = false
			depth--
		case words[len(words)-1] == "{":
			depth++
		case words[0] == "request_header":
			drops = append(drops, strings.TrimPrefix(words[1], "-"))
		case words[0] == "copy_headers":
			copies = words[1:]
		case words[0] == "import" && words[1] == "signed-in":
			guarded[depth] = true
		case words[0] == "reverse_proxy" && words[1] == "127.0.0.1:3000" && !guarded[depth]:
			t.Error("the application is reached unguarded")
		}
	}
	if depth != 0 {
		t.Errorf("%d blocks are open at the end", depth)
	}
	if !slices.Equal(copies, identity()) {
		t.Errorf("copy_headers %v, want %v", copies, identity())
	}
	for _, header := range identity() {
		for _, spelling := range spellings(header) {
			// Caddy compares a name with a * at its end as a prefix, without regard to case.
			if !slices.ContainsFunc(drops, func(drop string) bool {
				prefix, open := strings.CutSuffix(drop, "*")
				return open && strings.HasPrefix(strings.ToLower(spelling), strings.ToLower(prefix))
			}) {
				t.Errorf("%s is let through", spelling)
			}
		}
	}
	if strings.Index(string(text), "request_header") > strings.Index(string(text), "handle @jotgate") {
		t.Error("headers are dropped too late")
	}
}
