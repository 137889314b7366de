package internal

import (
	"cmp"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/jotgate/jotgate/"

// Groups of rooms, as doc.go tells of them.
var (
	tools = []string{
		"internal/keyset", "internal/opaque", "internal/password", "internal/ratelimit", "internal/scope",
		"internal/telemetry", "internal/token",
	}
	nouns = []string{
		"internal/apikey", "internal/audit", "internal/client", "internal/revocation", "internal/session", "internal/user",
	}
	flows = []string{"internal/flow", "internal/gate", "internal/oauth"}
	edges = []string{"internal/djangousers", "internal/door", "internal/httpapi", "internal/oauthapi"}
)

// rooms is the map: what each package may import from this module. A package
// that is not here has no place. A group may be allowed for one of it; what is
// allowed by itself is imported.
var rooms = map[string][]string{
	"pkg/bearer":                   nil,
	"pkg/bearer/ginbearer":         {"pkg/bearer"},
	"pkg/js/verifier":              nil,
	"pkg/js":                       nil,
	"pkg/client":                   nil,
	"internal":                     nil,
	"internal/door":                nil,
	"internal/keyset":              nil,
	"internal/opaque":              nil,
	"internal/password":            nil,
	"internal/password/commonlist": {"internal/password"},
	"internal/ratelimit":           nil,
	"internal/scope":               nil,
	"internal/telemetry":           nil,
	"internal/token":               {"internal/keyset"},
	"internal/apikey":              tools,
	"internal/audit":               tools,
	"internal/client":              tools,
	"internal/revocation":          tools,
	"internal/session":             tools,
	"internal/user":                tools,
	"internal/flow":                slices.Concat(nouns, tools),
	"internal/gate":                slices.Concat(nouns, tools, []string{"internal/flow"}),
	"internal/oauth":               slices.Concat(nouns, tools, []string{"internal/flow"}),
	"internal/oauthapi":            slices.Concat(flows, nouns, tools, []string{"pkg/bearer"}),
	"internal/djangousers":         slices.Concat(flows, nouns, tools),
	"internal/djangotest":          nil,
	"internal/httpapi":             slices.Concat(flows, nouns, tools, []string{"internal/oauthapi", "internal/web/spa", "pkg/bearer", "pkg/bearer/ginbearer"}),
	"internal/web/spa":             {"pkg/js"},
	"internal/web/browsertest":     nil,
	"internal/store":               slices.Concat(nouns, []string{"internal/keyset"}),
	"internal/store/storetest":     slices.Concat(nouns, []string{"internal/keyset", "internal/store"}),
	"internal/needs":               nil,
	"internal/pgtest":              {"internal/needs"},
	"internal/redistest":           {"internal/needs"},
	"internal/apptest":             {"internal/app", "internal/config"},
	"internal/proxytest":           nil,
	"internal/clustertest":         nil,
	"internal/deploytest":          nil,
	"internal/config":              nil,
	"internal/app":                 slices.Concat(edges, flows, nouns, tools, []string{"internal/config", "internal/store", "pkg/bearer"}),
	"internal/bench":               {"internal/app", "internal/pgtest", "internal/store", "pkg/bearer"},
	"internal/torture":             {"internal/pgtest"},
	"internal/mutants":             nil,
	"cmd/jotgate":                  slices.Concat(nouns, flows, []string{"internal/app", "internal/config", "internal/djangousers", "internal/keyset", "internal/password", "internal/store", "internal/telemetry"}),
	"internal/interop":             nil,
}

// homes is where a library of somebody else may be imported, and nowhere else.
// Two packages talk to databases: store to ours, and djangousers to somebody
// else's, which it only reads and which no ORM of ours describes. Spans are made
// where requests come in and where statements go out, and telemetry alone says
// what becomes of them.
var homes = map[string][]string{
	"github.com/gin-gonic/gin":        {"internal/httpapi", "internal/oauthapi", "pkg/bearer/ginbearer", "internal/bench"},
	"github.com/rs/cors":              {"internal/httpapi"},
	"gorm.io/":                        {"internal/store"},
	"modernc.org/":                    {"internal/store", "internal/djangousers", "internal/bench"},
	"github.com/pressly/goose":        {"internal/store"},
	"github.com/jackc/pgx":            {"internal/store", "internal/djangousers", "internal/pgtest", "internal/bench"},
	"github.com/golang-jwt/jwt":       {"pkg/bearer", "internal/token", "internal/bench"},
	"github.com/go-jose/":             {"internal/keyset"},
	"golang.org/x/crypto/argon2":      {"internal/password", "internal/bench"},
	"golang.org/x/crypto/bcrypt":      {"internal/password"},
	"golang.org/x/crypto/scrypt":      {"internal/password"},
	"github.com/FastFilter/":          {"internal/password"},
	"github.com/throttled/":           {"internal/ratelimit"},
	"github.com/redis/go-redis":       {"internal/ratelimit"},
	"github.com/go-redis/redis_rate":  {"internal/ratelimit"},
	"github.com/alicebob/miniredis":   {},
	"github.com/prometheus/":          {"internal/telemetry"},
	"go.opentelemetry.io/":            {"internal/telemetry", "internal/httpapi", "internal/store", "internal/ratelimit", "internal/app"},
	"go.opentelemetry.io/otel/sdk":    {"internal/telemetry"},
	"go.opentelemetry.io/otel/export": {"internal/telemetry"},
	"go.opentelemetry.io/contrib/":    {"internal/httpapi"},
	"go.opentelemetry.io/proto/":      {"internal/telemetry"},
	"github.com/XSAM/otelsql":         {"internal/store"},
	"github.com/knadh/koanf":          {"internal/config"},
	"github.com/spf13/pflag":          {"internal/config"},
	"github.com/spf13/cobra":          {"cmd/jotgate"},
	"golang.org/x/term":               {"cmd/jotgate"},
	"github.com/getkin/kin-openapi":   {},
	"github.com/rogpeppe/go-internal": {},
	"github.com/Shopify/toxiproxy":    {},
	"github.com/rs/zerolog":           {},
	"github.com/coreos/go-oidc":       {},
	"github.com/lestrrat-go/jwx":      {},
	"pgregory.net/rapid":              {},
	"go.uber.org/goleak":              {},
	"github.com/google/go-cmp":        {"internal/store/storetest"},
}

type pkg struct {
	ImportPath, Dir string
	GoFiles         []string
	Imports         []string
}

// packages lists the packages of the module, as they are built for this machine.
func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "../...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = room(p.ImportPath)
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b pkg) int { return cmp.Compare(a.ImportPath, b.ImportPath) })
	return all
}

// room is the path of a package within the module.
func room(importPath string) string { return strings.TrimPrefix(importPath, module) }

func TestMapIsHeld(t *testing.T) {
	for _, p := range packages(t) {
		allowed, known := rooms[p.ImportPath]
		if !known {
			t.Errorf("%s is not on the map", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			if inside := room(imported); inside != imported && !slices.Contains(allowed, inside) {
				t.Errorf("%s imports %s, which the map does not allow", p.ImportPath, inside)
			}
		}
	}
}

// TestMapAllowsWhatIsUsed has no room that is not there, and no import allowed by itself,
// without the rest of its group, that is not made.
func TestMapAllowsWhatIsUsed(t *testing.T) {
	imports := map[string][]string{}
	for _, p := range packages(t) {
		imports[p.ImportPath] = p.Imports
	}
	for name, allowed := range rooms {
		if _, there := imports[name]; !there {
			t.Errorf("%s is on the map and not there", name)
		}
		unused := slices.DeleteFunc(slices.Clone(allowed), func(a string) bool {
			return slices.Contains(imports[name], module+a)
		})
		for _, group := range [][]string{tools, nouns, flows, edges} {
			if !slices.ContainsFunc(group, func(g string) bool { return !slices.Contains(allowed, g) }) {
				unused = slices.DeleteFunc(unused, func(u string) bool { return slices.Contains(group, u) })
			}
		}
		if len(unused) > 0 {
			t.Errorf("%s may import %v and does not", name, unused)
		}
	}
}

// TestDocHasTheMap compares the rooms of doc.go with the table. Only the table has the
// package of doc.go itself, and only doc.go the tools, which are a module of their own.
func TestDocHasTheMap(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "// # The rooms\n")
	list, _, _ = strings.Cut(list, "\n// Three things differ")
	told := []string{"internal"}
	for _, found := range regexp.MustCompile(`(?m)^//\t(\S+)  `).FindAllStringSubmatch(list, -1) {
		name := found[1]
		if !strings.HasPrefix(name, "cmd/") && !strings.HasPrefix(name, "pkg/") {
			name = "internal/" + name
		}
		if name != "internal/tools" {
			told = append(told, name)
		}
	}
	slices.Sort(told)
	if want := slices.Sorted(maps.Keys(rooms)); !slices.Equal(told, want) {
		t.Errorf("doc.go has the rooms\n%v, want\n%v", told, want)
	}
}

func TestLibrariesStayHome(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			for library, home := range homes {
				if strings.HasPrefix(imported, library) && !slices.Contains(home, p.ImportPath) {
					t.Errorf("%s imports %s, whose home is %v", p.ImportPath, imported, home)
				}
			}
		}
	}
}

func TestNounsAndFlowsKnowNoTechnology(t *testing.T) {
	for _, p := range packages(t) {
		if !slices.Contains(slices.Concat(nouns, flows), p.ImportPath) {
			continue
		}
		for _, banned := range []string{"net/http", "log/slog", "database/sql", "os"} {
			if slices.Contains(p.Imports, banned) {
				t.Errorf("%s imports %s", p.ImportPath, banned)
			}
		}
	}
}

// TestNothingSkipsByItself leaves skipping to package needs, which CI forbids it. To be short
// on time is the other reason, and rapid's rt is not a test but one of its tries.
func TestNothingSkipsByItself(t *testing.T) {
	skips := regexp.MustCompile(`\b(\w+)\.Skip(f|Now)?\(`)
	short := regexp.MustCompile(`if testing\.Short\(\) \{\s+t\.Skip\(`)
	for _, p := range packages(t) {
		files, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, found := range skips.FindAllSubmatch(short.ReplaceAll(text, nil), -1) {
				if p.ImportPath != "internal/needs" && string(found[1]) != "rt" {
					t.Errorf("%s/%s skips by itself: %s", p.ImportPath, filepath.Base(file), found[0])
				}
			}
		}
	}
}

var packageComment = regexp.MustCompile(`^(Package|Command) [a-z]+ .*[^ ]`)

func TestEveryPackageSaysWhyItIs(t *testing.T) {
	vague := []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "base", "models", "types", "manager"}
	for _, p := range packages(t) {
		var comments []string
		for _, file := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil {
				comments = append(comments, f.Doc.Text())
			}
		}
		if len(comments) != 1 || !packageComment.MatchString(comments[0]) {
			t.Errorf("%s has %d package comments, want one that begins with Package or Command and says why", p.ImportPath, len(comments))
		}
		if slices.Contains(vague, path.Base(p.ImportPath)) {
			t.Errorf("%s names no concept", p.ImportPath)
		}
	}
}
