package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/jotgate/jotgate/internal/config"
)

func load(t *testing.T, file string, environ []string, args ...string) (config.Config, error) {
	t.Helper()
	s := config.Source{Environ: environ, Flags: pflag.NewFlagSet("test", pflag.ContinueOnError)}
	config.RegisterFlags(s.Flags)
	if err := s.Flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	if file != "" {
		s.File = filepath.Join(t.TempDir(), "jotgate.yaml")
		if err := os.WriteFile(s.File, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return config.Load(s)
}

func TestNothingGivenIsTheDefault(t *testing.T) {
	got, err := load(t, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.Default(), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got.Database.URL.Reveal() != "sqlite:data/jotgate.db" || got.Token.Audience != "http://localhost:8080" {
		t.Errorf("database %s, audience %s", got.Database.URL.Reveal(), got.Token.Audience)
	}
}

func TestTheLaterSourceWins(t *testing.T) {
	const file = "token:\n  access_ttl: 1m\nlog:\n  level: debug\n  format: text\n"
	got, err := load(t, file, []string{"JOTGATE_LOG_LEVEL=warn", "JOTGATE_LOG_FORMAT=json", "PATH=/bin"}, "--log.level=error")
	if err != nil {
		t.Fatal(err)
	}
	if got.Token.AccessTTL != time.Minute || got.Log.Level != "error" || got.Log.Format != "json" {
		t.Errorf("access_ttl %s, log %+v", got.Token.AccessTTL, got.Log)
	}
}

func TestDerivedSettingsFollow(t *testing.T) {
	got, err := load(t, "", []string{"JOTGATE_DATA_DIR=/srv/jotgate/", "JOTGATE_PUBLIC_URL=https://auth.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Database.URL.Reveal() != "sqlite:/srv/jotgate/jotgate.db" || got.Token.Audience != "https://auth.example.com" {
		t.Errorf("database %s, audience %s", got.Database.URL.Reveal(), got.Token.Audience)
	}
}

func TestMistakes(t *testing.T) {
	pg := "JOTGATE_DATABASE_URL=postgres://u:canary@db.example.com/jotgate"
	tests := []struct {
		name    string
		file    string
		environ []string
		want    string
	}{
		{"unknown variable", "", []string{"JOTGATE_TOKEN_TTL=1m"}, "JOTGATE_TOKEN_TTL: unknown variable"},
		{"near miss", "", []string{"JOTGATE_DATADIR=x"}, "did you mean JOTGATE_DATA_DIR?"},
		{"unknown key", "tokens:\n  alg: ES256\n", nil, "tokens.alg: unknown setting; did you mean token.alg?"},
		{"section for a value", "data_dir:\n  x: y\n", nil, "data_dir.x: unknown setting"},
		{"value for a section", "token: ES256\n", nil, "token: unknown setting"},
		{"key twice", "data_dir: a\ndata_dir: b\n", nil, "already defined"},
		{"not YAML", "a: [", nil, "read configuration file"},
		{"number for text", "data_dir: 5\n", nil, "must be text; put it in quotes"},
		{"word for a number", "password:\n  queue: many\n", nil, "password.queue: must be a whole number from 1 to 1000000"},
		{"too small", "", []string{"JOTGATE_PASSWORD_MIN_LENGTH=7"}, "JOTGATE_PASSWORD_MIN_LENGTH: must be a whole number from 8 to 256"},
		{"too much memory", "", []string{"JOTGATE_PASSWORD_MEMORY_KIB=262145"}, "must be a whole number from 64 to 262144"},
		{"zero duration", "", []string{"JOTGATE_REFRESH_GRACE=0s"}, "JOTGATE_REFRESH_GRACE: must be a duration above zero"},
		{"duration without a unit", "token:\n  access_ttl: 600\n", nil, "must be a duration above zero, such as 90s"},
		{"long access token", "", []string{"JOTGATE_TOKEN_ACCESS_TTL=25h"}, "token.access_ttl: 25h is more than 24h"},
		{"unknown algorithm", "", []string{"JOTGATE_TOKEN_ALG=none"}, `"none" is not one of ES256, EdDSA, RS256`},
		{"algorithm in another case", "", []string{"JOTGATE_TOKEN_ALG=es256"}, "is not one of"},
		{"sample app now and then", "spa:\n  enabled: maybe\n", nil, `"maybe" is not one of auto, true, false`},
		{"true for a word", "log:\n  level: true\n", nil, `"true" is not one of debug, info, warn, error`},
		{"neither true nor false", "", []string{"JOTGATE_RATE_LIMIT_ENABLED=yes"}, "must be true or false"},
		{"public URL with a path", "", []string{"JOTGATE_PUBLIC_URL=https://example.com/auth"}, "is not an origin"},
		{"public URL with a slash", "", []string{"JOTGATE_PUBLIC_URL=https://example.com/"}, "is not an origin"},
		{"public URL in clear text", "", []string{"JOTGATE_PUBLIC_URL=http://auth.example.com"}, "use https"},
		{"public URL of another scheme", "", []string{"JOTGATE_PUBLIC_URL=ftp://example.com"}, "neither https nor http"},
		{"public URL with its own port", "", []string{"JOTGATE_PUBLIC_URL=https://example.com:443"}, "browsers leave out"},
		{"origin in upper case", "", []string{"JOTGATE_COOKIE_TRUSTED_ORIGINS=https://App.example.com"}, "is not an origin"},
		{"any origin", "", []string{"JOTGATE_CORS_ALLOWED_ORIGINS=*"}, "is not an origin"},
		{"null origin", "", []string{"JOTGATE_CORS_ALLOWED_ORIGINS=null"}, "is not an origin"},
		{"origins by a pattern", "", []string{"JOTGATE_CORS_ALLOWED_ORIGINS=https://*.example.com"}, "each origin is listed by itself"},
		{"origin of other letters", "", []string{"JOTGATE_COOKIE_TRUSTED_ORIGINS=https://münchen.example"}, "in ASCII (xn--"},
		{"public URL of other letters", "", []string{"JOTGATE_PUBLIC_URL=https://münchen.example"}, "in ASCII (xn--"},
		{"origin with an empty label", "", []string{"JOTGATE_COOKIE_TRUSTED_ORIGINS=https://app..example.com"}, "no host"},
		{"origin with a long label", "", []string{"JOTGATE_COOKIE_TRUSTED_ORIGINS=https://" + strings.Repeat("a", 64) + ".example"}, "no host"},
		{"origin with a final dot", "", []string{"JOTGATE_COOKIE_TRUSTED_ORIGINS=https://example.com."}, "no host"},
		{"origin with half an address", "", []string{"JOTGATE_COOKIE_TRUSTED_ORIGINS=https://10.0.0.300"}, "no host"},
		{"origin with an address in an address", "", []string{"JOTGATE_COOKIE_TRUSTED_ORIGINS=https://[::ffff:192.0.2.1]"}, "no host"},
		{"origin with a number for a name", "", []string{"JOTGATE_COOKIE_TRUSTED_ORIGINS=https://a.0xa1"}, "no host"},
		{"origin with a long address", "", []string{"JOTGATE_COOKIE_TRUSTED_ORIGINS=https://[2001:db8:0::1]"}, "no host"},
		{"port of an origin too high", "", []string{"JOTGATE_PUBLIC_URL=https://app.example.com:99999"}, "no port from 1 to 65535"},
		{"port of an origin zero", "", []string{"JOTGATE_CORS_ALLOWED_ORIGINS=https://app.example.com:0"}, "no port from 1 to 65535"},
		{"port of an origin with a zero", "", []string{"JOTGATE_CORS_ALLOWED_ORIGINS=https://app.example.com:08443"}, "no port from 1 to 65535"},
		{"port of an origin left out", "", []string{"JOTGATE_CORS_ALLOWED_ORIGINS=https://app.example.com:"}, "no port from 1 to 65535"},
		{"one bad of two origins", "", []string{"JOTGATE_CORS_ALLOWED_ORIGINS=https://a.example.com,b"}, `"b" is not an origin`},
		{"audience of two words", "", []string{"JOTGATE_TOKEN_AUDIENCE=orders api"}, "is not an audience"},
		{"audience with a fragment", "", []string{"JOTGATE_TOKEN_AUDIENCE=https://example.com/#a"}, "is not an audience"},
		{"audience with a colon that is no URI", "", []string{"JOTGATE_TOKEN_AUDIENCE=1:orders"}, "is not an audience"},
		{"audience beyond ASCII", "token:\n  audience: \"\u00e4pfel\"\n", nil, "is not an audience"},
		{"long audience", "", []string{"JOTGATE_TOKEN_AUDIENCE=" + strings.Repeat("a", 513)}, "is not an audience"},
		{"proxy by name", "", []string{"JOTGATE_TRUSTED_PROXIES=proxy"}, "neither an address nor a range"},
		{"everybody a proxy", "", []string{"JOTGATE_TRUSTED_PROXIES=0.0.0.0/0"}, "would trust everybody"},
		{"address without a port", "", []string{"JOTGATE_HTTP_ADDR=localhost"}, "is not host:port"},
		{"port too high", "", []string{"JOTGATE_HTTP_ADDR=:65536"}, "is not host:port"},
		{"operations for the public", "", []string{"JOTGATE_OPS_ADDR=127.0.0.1:8080"}, "ops.addr: 127.0.0.1:8080 is http.addr too"},
		{"unknown database", "", []string{"JOTGATE_DATABASE_URL=mysql://canary"}, "must begin with sqlite: or postgres://"},
		{"SQLite in memory", "", []string{"JOTGATE_DATABASE_URL=sqlite::memory:"}, "must name a file"},
		{"PostgreSQL without a master key", "", []string{pg}, "PostgreSQL needs a master key"},
		{"two master keys", "", []string{"JOTGATE_MASTER_KEY=canary", "JOTGATE_MASTER_KEY_FILE=x"}, "are both given"},
		{"two database URLs", "", []string{pg, "JOTGATE_MASTER_KEY=canary", "JOTGATE_DATABASE_URL_FILE=x"}, "database.url and database.url_file are both given"},
		{"Redis of another scheme", "", []string{"JOTGATE_REDIS_URL=http://u:canary@localhost"}, "JOTGATE_REDIS_URL: must begin with redis://"},
		{"Redis by address", "", []string{"JOTGATE_REDIS_URL=localhost:6379"}, "must begin with redis://"},
		{"Redis without a host", "", []string{"JOTGATE_REDIS_URL=redis:///0"}, "must name a host"},
		{"Redis that is no URL", "", []string{"JOTGATE_REDIS_URL=redis://u:canary@x@%zz"}, "is not a URL"},
		{"Redis with a port of letters", "", []string{"JOTGATE_REDIS_URL=redis://canary:secret"}, "is not a URL"},
		{"port of Redis too high", "", []string{"JOTGATE_REDIS_URL=redis://u:canary@localhost:65536"}, "must have a port from 1 to 65535"},
		{"database of Redis by name", "", []string{"JOTGATE_REDIS_URL=redis://u:canary@localhost/limits"}, "must have the number of a database"},
		{"Redis without TLS checks", "", []string{"JOTGATE_REDIS_URL=rediss://u:canary@localhost?skip_verify=true"}, "takes no parameters"},
		{"relative socket of Redis", "", []string{"JOTGATE_REDIS_URL=unix://canary/redis.sock"}, "must name a socket"},
		{"two Redis URLs", "redis:\n  url: redis://u:canary@localhost\n", []string{"JOTGATE_REDIS_URL_FILE=x"}, "redis.url and redis.url_file are both given"},
		{"no secret file", "", []string{"JOTGATE_DATABASE_URL_FILE=/nowhere/x"}, "database.url_file: open /nowhere/x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(t, tt.file, tt.environ)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error = %v, want %q in it", err, tt.want)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error repeats a secret: %v", err)
			}
		})
	}
}

func TestSampleAppIsForDevelopment(t *testing.T) {
	tests := []struct {
		file, url string
		want      bool
	}{
		{"", "http://localhost:8080", true},
		{"", "https://auth.example.com", false},
		{"spa:\n  enabled: true\n", "https://auth.example.com", true},
		{"spa:\n  enabled: \"true\"\n", "https://auth.example.com", true},
		{"spa:\n  enabled: false\n", "http://localhost:8080", false},
		{"spa:\n  enabled: \"auto\"\n", "http://localhost:8080", true},
	}
	for _, tt := range tests {
		c, err := load(t, tt.file, []string{"JOTGATE_PUBLIC_URL=" + tt.url})
		if err != nil || c.SampleApp() != tt.want {
			t.Errorf("%q on %s: %t, %v; want %t", tt.file, tt.url, c.SampleApp(), err, tt.want)
		}
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	_, err := load(t, "nothing: x\nlog:\n  level: loud\n", []string{"JOTGATE_A=1", "JOTGATE_B=2", "JOTGATE_TOKEN_ALG=x"})
	if err == nil || strings.Count(err.Error(), "\n") != 4 {
		t.Errorf("error = %v, want five lines", err)
	}
}

func TestAccepts(t *testing.T) {
	for _, environ := range [][]string{
		{"JOTGATE_PUBLIC_URL=http://127.0.0.1:9000"},
		{"JOTGATE_PUBLIC_URL=http://[::1]:9000"},
		{"JOTGATE_PUBLIC_URL=http://app.localhost:3000"},
		{"JOTGATE_PUBLIC_URL=https://xn--mnchen-3ya.example:65535"},
		{"JOTGATE_CORS_ALLOWED_ORIGINS=https://my_app-2.example,https://0xa1.example,https://a.0xg,https://intranet,https://10.0.0.3:1,https://[2001:db8::1]"},
		{"JOTGATE_TRUSTED_PROXIES=10.0.0.0/8, 192.0.2.1,2001:db8::/32"},
		{"JOTGATE_TEST_REQUIRE=postgres"},
		{"JOTGATE_TOKEN_AUDIENCE=orders-api"},
		{"JOTGATE_TOKEN_AUDIENCE=urn:orders"},
		{"JOTGATE_TOKEN_AUDIENCE=https://api.example.com/orders"},
		{"JOTGATE_LOG_LEVEL="},
		{"JOTGATE_REDIS_URL=redis://localhost"},
		{"JOTGATE_REDIS_URL=redis://:p%40ss@localhost:6379/3"},
		{"JOTGATE_REDIS_URL=rediss://user:pass@redis.example.com:6380/"},
		{"JOTGATE_REDIS_URL=unix:///run/redis.sock"},
		{"JOTGATE_DATABASE_URL=postgres://localhost/x", "JOTGATE_MASTER_KEY_FILE=x"},
		{"JOTGATE_HTTP_ADDR=127.0.0.1:0", "JOTGATE_OPS_ADDR=127.0.0.1:0"},
		{"JOTGATE_TOKEN_ACCESS_TTL=1s", "JOTGATE_REFRESH_GRACE=1ms", "JOTGATE_REFRESH_IDLE_TTL=2s", "JOTGATE_REFRESH_ABSOLUTE_TTL=2s"},
	} {
		if _, err := load(t, "", environ); err != nil {
			t.Errorf("%v: %v", environ, err)
		}
	}
}

func TestSecretFromAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "url")
	for text, ok := range map[string]bool{
		"sqlite:/x/y.db": true, "sqlite:/x/y.db\n": true, "sqlite:/x/y.db\r\n": true, "": false, "\n": false, "a\nb": false,
		strings.Repeat("x", 5000): false, "mysql://x": false,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := load(t, "", []string{"JOTGATE_DATABASE_URL_FILE=" + path})
		if (err == nil) != ok || ok && c.Database.URL.Reveal() != "sqlite:/x/y.db" {
			t.Errorf("%.20q: %q, %v", text, c.Database.URL.Reveal(), err)
		}
	}
}

func TestRedisURLFromAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "url")
	for text, ok := range map[string]bool{"redis://u:p@localhost/1\n": true, "http://canary": false} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := load(t, "", []string{"JOTGATE_REDIS_URL_FILE=" + path})
		if (err == nil) != ok || ok && c.Redis.URL.Reveal() != "redis://u:p@localhost/1" {
			t.Errorf("%q: %q, %v", text, c.Redis.URL.Reveal(), err)
		}
		if err != nil && (strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "redis.url_file: the text in "+path)) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSecretDoesNotPrint(t *testing.T) {
	c := config.Default()
	c.MasterKey, c.Database.URL = config.NewSecret("canary"), config.NewSecret("postgres://u:canary@h/d")
	c.Redis.URL = config.NewSecret("redis://u:canary@h")
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%p"} {
		fmt.Fprintf(&out, verb, c)
		fmt.Fprintf(&out, verb, &c)
		fmt.Fprintf(&out, verb, c.MasterKey)
		fmt.Fprintf(&out, verb, struct{ s config.Secret }{c.MasterKey})
	}
	for _, marshal := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal} {
		text, err := marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "config", c)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "config", c, "secret", c.MasterKey)
	if err := c.WriteYAML(&out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "canary") || strings.Contains(out.String(), fmt.Sprintf("%x", "canary")) {
		t.Errorf("a secret is printed: %s", out.String())
	}
}

func TestWrittenYAMLLoads(t *testing.T) {
	want, err := load(t, "", []string{"JOTGATE_TRUSTED_PROXIES=10.0.0.0/8,192.0.2.1", "JOTGATE_TOKEN_ACCESS_TTL=90s", "JOTGATE_RATE_LIMIT_ENABLED=false"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := want.WriteYAML(&out); err != nil {
		t.Fatal(err)
	}
	got, err := load(t, strings.Replace(out.String(), `"[redacted]"`, `""`, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-written +loaded:\n%s", diff)
	}
}

func TestExampleIsComplete(t *testing.T) {
	const path = "../../configs/jotgate.yaml"
	got, err := config.Load(config.Source{File: path})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.Default(), got); diff != "" {
		t.Errorf("the example differs from the defaults: -want +got:\n%s", diff)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for name, v := range tree {
		group, ok := v.(map[string]any)
		if !ok {
			keys = append(keys, name)
		}
		for inner := range group {
			keys = append(keys, name+"."+inner)
		}
	}
	var want []string
	for _, s := range config.Settings() {
		want = append(want, s.Key)
	}
	slices.Sort(keys)
	slices.Sort(want)
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("-settings +example:\n%s", diff)
	}
}

func TestREADMEHasEverySetting(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range config.Settings() {
		row := fmt.Sprintf("| `%s` | %s | %s |\n", s.Env, "`"+s.Default+"`", s.Usage)
		if s.Default == "" {
			row = fmt.Sprintf("| `%s` | | %s |\n", s.Env, s.Usage)
		}
		if !strings.Contains(string(text), row) {
			t.Errorf("README lacks the row\n%s", row)
		}
	}
}

// TestContract has the variables that other people's tests rely on.
func TestContract(t *testing.T) {
	defaults := map[string]string{}
	for _, s := range config.Settings() {
		defaults[s.Env] = s.Default
	}
	for name, want := range map[string]string{
		"JOTGATE_HTTP_ADDR": "127.0.0.1:8080", "JOTGATE_OPS_ADDR": "127.0.0.1:9090", "JOTGATE_PUBLIC_URL": "http://localhost:8080",
		"JOTGATE_DATA_DIR": "data", "JOTGATE_DATABASE_URL": "sqlite:data/jotgate.db", "JOTGATE_MASTER_KEY_FILE": "",
		"JOTGATE_RATE_LIMIT_ENABLED": "true", "JOTGATE_TOKEN_AUDIENCE": "http://localhost:8080", "JOTGATE_TOKEN_ALG": "ES256",
		"JOTGATE_TOKEN_ACCESS_TTL": "10m", "JOTGATE_REFRESH_GRACE": "10s", "JOTGATE_REFRESH_IDLE_TTL": "720h",
		"JOTGATE_REFRESH_ABSOLUTE_TTL": "2160h", "JOTGATE_PASSWORD_MEMORY_KIB": "19456", "JOTGATE_PASSWORD_PASSES": "2",
		"JOTGATE_PASSWORD_PARALLEL": "0", "JOTGATE_COOKIE_TRUSTED_ORIGINS": "", "JOTGATE_CORS_ALLOWED_ORIGINS": "",
		"JOTGATE_TRUSTED_PROXIES": "", "JOTGATE_LOG_LEVEL": "info", "JOTGATE_LOG_FORMAT": "json", "JOTGATE_REGISTRATION": "open",
	} {
		if got, ok := defaults[name]; !ok || got != want {
			t.Errorf("%s has default %q, %t; want %q", name, got, ok, want)
		}
	}
}

// TestAccessTokensLiveWholeSeconds, as the times in them are (RFC 7519, section 2).
func TestAccessTokensLiveWholeSeconds(t *testing.T) {
	for given, want := range map[string]time.Duration{"1ns": time.Second, "500ms": time.Second, "1s": time.Second, "90500ms": 91 * time.Second, "24h": 24 * time.Hour} {
		got, err := load(t, "", []string{"JOTGATE_TOKEN_ACCESS_TTL=" + given})
		if err != nil || got.Token.AccessTTL != want {
			t.Errorf("%s: %s, %v; want %s", given, got.Token.AccessTTL, err, want)
		}
	}
	if _, err := load(t, "", []string{"JOTGATE_TOKEN_ACCESS_TTL=24h0.5s"}); err == nil {
		t.Error("more than a day is taken")
	}
}

// TestEitherLifeMayBeTheLonger: a session ends at the earlier of both.
func TestEitherLifeMayBeTheLonger(t *testing.T) {
	if got, err := load(t, "", []string{"JOTGATE_REFRESH_ABSOLUTE_TTL=1h"}); err != nil || got.Refresh.AbsoluteTTL != time.Hour {
		t.Errorf("absolute %s, %v", got.Refresh.AbsoluteTTL, err)
	}
}
