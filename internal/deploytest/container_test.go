package deploytest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/needs"
)

// version is the tag of an image that says which one it is.
var version = regexp.MustCompile(`^(?:[a-z0-9.-]+/)*[a-z0-9-]+:v?[0-9]+\.[0-9]+(\.[0-9]+)?(-[a-z0-9.]+)?$`)

func TestDockerfile(t *testing.T) {
	text := read(t, "configs/Dockerfile")
	stages := regexp.MustCompile(`(?m)^FROM (?:--platform=\S+ )?(\S+)`).FindAllStringSubmatch(text, -1)
	if len(stages) != 2 || !version.MatchString(stages[0][1]) || stages[1][1] != "scratch" {
		t.Errorf("stages = %v", stages)
	}
	// The last stage is what runs.
	_, last, _ := strings.Cut(text, "FROM scratch")
	for _, want := range []string{
		`USER 65532:65532`, `VOLUME /data`, `EXPOSE 8080`, `JOTGATE_DATA_DIR=/data`, `JOTGATE_HTTP_ADDR=:8080`,
		`CMD ["/jotgate", "healthcheck"]`, `ENTRYPOINT ["/jotgate"]`, `CMD ["serve"]`, `/etc/ssl/certs/ca-certificates.crt`,
		`--chown=65532:65532`,
	} {
		if !strings.Contains(last, want) {
			t.Errorf("the image lacks %s", want)
		}
	}
	if strings.Contains(last, "RUN ") {
		t.Error("there is nothing in the image that could run anything")
	}
	if strings.Index(last, "COPY --from=build --chown") > strings.Index(last, "VOLUME") {
		t.Error("what is put into a volume after it is declared is lost")
	}
}

// The image is built as the Makefile builds the program.
func TestDockerfileBuildsAsMake(t *testing.T) {
	makefile, dockerfile := read(t, "Makefile"), read(t, "configs/Dockerfile")
	for _, want := range []string{"CGO_ENABLED=0", "-trimpath", "-buildvcs=false", "-tags=nomsgpack", "-s -w -X main.version=", "-X main.commit=", "./cmd/jotgate"} {
		if !strings.Contains(makefile, want) || !strings.Contains(dockerfile, want) {
			t.Errorf("%s is not in both Makefile and Dockerfile", want)
		}
	}
}

// service is what the test reads of a service of compose.yaml.
type service struct {
	Image, User, Restart string
	Profiles             []string
	Build                map[string]string
	ReadOnly             bool     `yaml:"read_only"`
	CapDrop              []string `yaml:"cap_drop"`
	SecurityOpt          []string `yaml:"security_opt"`
	Tmpfs, Ports         []string
	Volumes, Secrets     []string
	Environment          map[string]string
	StopGracePeriod      string `yaml:"stop_grace_period"`
	DependsOn            map[string]struct{ Condition string }
	Privileged           bool
	Networks             any
}

type project struct {
	Services map[string]service
	Secrets  map[string]struct{ File string }
	Networks map[string]struct {
		Internal bool
		IPAM     struct{ Config []struct{ Subnet string } }
	}
}

func TestCompose(t *testing.T) {
	p := document[project](t, "configs/compose.yaml", false)
	for name, s := range p.Services {
		ours := s.Image == "jotgate:dev" && s.Build["dockerfile"] == "configs/Dockerfile"
		if !ours && !version.MatchString(s.Image) {
			t.Errorf("%s: the image %q has no version", name, s.Image)
		}
		if !ours && s.User == "" {
			t.Errorf("%s: runs as whatever its image says", name)
		}
		if !s.ReadOnly || s.Privileged || s.Restart == "" || len(s.Tmpfs) == 0 ||
			strings.Join(s.CapDrop, "") != "ALL" || strings.Join(s.SecurityOpt, "") != "no-new-privileges:true" {
			t.Errorf("%s is not hardened: %+v", name, s)
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") || !strings.HasSuffix(port, ":8080") {
				t.Errorf("%s: port %s", name, port)
			}
		}
		if ours && tooShort(t, s.StopGracePeriod) {
			t.Errorf("%s: a grace of %s ends requests under way", name, s.StopGracePeriod)
		}
		if (name == "jotgate") == (len(s.Profiles) == 1 && s.Profiles[0] == "cluster") {
			t.Errorf("%s: profiles = %v", name, s.Profiles)
		}
		for _, secret := range s.Secrets {
			if p.Secrets[secret].File != "./secrets/"+secret {
				t.Errorf("%s: the secret %s is no file that the operator makes", name, secret)
			}
		}
		for key, value := range s.Environment {
			if regexp.MustCompile(`(?i)password|secret|master_key|database_url`).MatchString(key) && !strings.HasPrefix(value, "/run/secrets/") {
				t.Errorf("%s: %s is not in a file", name, key)
			}
		}
	}
	proxy, ok := p.Services["nginx"].Networks.(map[string]any)["front"].(map[string]any)
	if got := p.Services["jotgate-1"].Environment["JOTGATE_TRUSTED_PROXIES"]; !ok || got != proxy["ipv4_address"] {
		t.Errorf("replicas trust %s, and nginx is at %v", got, proxy)
	}
	if !p.Networks["back"].Internal {
		t.Error("the database's network is not internal")
	}
}

// TestTypedComposeCommands holds what is to be typed to the services: a second
// container cannot have the fixed address of the first one, and in one that runs the
// program goes by its path.
func TestTypedComposeCommands(t *testing.T) {
	p, text := document[project](t, "configs/compose.yaml", false), read(t, "configs/compose.yaml")
	typed := regexp.MustCompile(`(?m)^# +docker compose .*\b(run --rm|exec) (\S+) (\S+) \S+`).FindAllStringSubmatch(text, -1)
	if len(typed) != 2 {
		t.Errorf("%d commands are to be typed, want one on each database", len(typed))
	}
	for _, m := range typed {
		how, name, first := m[1], m[2], m[3]
		s, ok := p.Services[name]
		if !ok {
			t.Errorf("%s: there is no service %s", m[0], name)
		}
		if fixed := strings.Contains(fmt.Sprint(s.Networks), "ipv4_address"); fixed && how != "exec" {
			t.Errorf("%s: %s has a fixed address, which is taken", m[0], name)
		}
		if path := "/jotgate"; how == "exec" && (first != path || !strings.Contains(read(t, "configs/Dockerfile"), `ENTRYPOINT ["`+path+`"]`)) {
			t.Errorf("%s: the program is not %s", m[0], first)
		}
	}
}

// tooShort reports whether grace is too short for requests under way to finish.
func tooShort(t *testing.T, grace string) bool {
	t.Helper()
	d, err := time.ParseDuration(grace)
	check(t, err)
	return d <= app.StopsWithin
}

func TestUpstreamsAreTheReplicas(t *testing.T) {
	conf, compose := read(t, "configs/nginx-cluster.conf"), read(t, "configs/compose.yaml")
	upstreams := regexp.MustCompile(`server (jotgate-[0-9]+):8080 `).FindAllStringSubmatch(conf, -1)
	if len(upstreams) != 3 {
		t.Fatalf("upstreams = %v", upstreams)
	}
	for _, u := range upstreams {
		if !strings.Contains(compose, "\n  "+u[1]+":\n") {
			t.Errorf("compose.yaml has no %s", u[1])
		}
	}
}

func TestUnit(t *testing.T) {
	unit := read(t, "configs/jotgate.service")
	for _, want := range []string{
		"NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes",
		"MemoryDenyWriteExecute=yes", "SystemCallFilter=@system-service", "StateDirectory=jotgate", "Restart=on-failure",
		"LoadCredential=master.key:/etc/jotgate/master.key", "Environment=JOTGATE_MASTER_KEY_FILE=%d/master.key",
		"RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX", "User=jotgate",
	} {
		if !strings.Contains(unit, "\n"+want+"\n") {
			t.Errorf("the unit lacks %s", want)
		}
	}
	// Who hashes stands back by setpriority, which is among @resources: the last word counts.
	if strings.Index(unit, "\nSystemCallFilter=setpriority\n") < strings.Index(unit, "\nSystemCallFilter=~@privileged @resources\n") {
		t.Error("processes that hash passwords may not stand back")
	}
	stop := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)$`).FindStringSubmatch(unit)
	if stop == nil || tooShort(t, stop[1]+"s") {
		t.Errorf("TimeoutStopSec = %v ends requests under way", stop)
	}
}

// TestUnitSaysNothingWrong asks systemd, which need not run for that.
func TestUnitSaysNothingWrong(t *testing.T) {
	analyze := needs.Program(t, "systemd", "systemd-analyze")
	// A program that is there for systemd to find.
	unit := strings.Replace(read(t, "configs/jotgate.service"), "ExecStart=/usr/local/bin/jotgate", "ExecStart=/bin/true", 1)
	file := filepath.Join(t.TempDir(), "jotgate.service")
	check(t, os.WriteFile(file, []byte(unit), 0o600))
	out, err := exec.CommandContext(t.Context(), analyze, "verify", file).CombinedOutput()
	if err != nil || strings.Contains(string(out), "jotgate.service:") {
		t.Errorf("verify: %v\n%s", err, out)
	}
	// In tenths: 1.1 on systemd 252.
	out, err = exec.CommandContext(t.Context(), analyze, "security", "--offline=true", "--threshold=15", "--no-pager", file).CombinedOutput()
	if err != nil {
		t.Errorf("security: %v\n%s", err, out)
	}
}
