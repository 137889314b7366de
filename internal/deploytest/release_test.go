package deploytest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/needs"
)

// release is what the test reads of .goreleaser.yaml.
type release struct {
	Builds []struct {
		Main, Binary        string
		Env, Flags, Ldflags []string
		Targets             []string
	}
	Archives []struct {
		Files []struct{ Src string }
	}
	Sboms []struct {
		Cmd  string
		Args []string
	}
	Checksum struct {
		NameTemplate string `yaml:"name_template"`
		IDs          []string
	}
	Signs []struct {
		ID, Artifacts, Cmd string
		Args               []string
	}
}

// The release is built as the Makefile builds the program, which CI compares
// with a second build.
func TestReleaseBuildsAsMake(t *testing.T) {
	r := document[release](t, ".goreleaser.yaml", false)
	if len(r.Builds) != 1 {
		t.Fatalf("%d builds", len(r.Builds))
	}
	b := r.Builds[0]
	if b.Main != "./cmd/jotgate" || b.Binary != "jotgate" || !slices.Contains(b.Env, "CGO_ENABLED=0") {
		t.Errorf("build = %+v", b)
	}
	makefile := read(t, "Makefile")
	_, line, _ := strings.Cut(makefile, "export GOFLAGS := ")
	line, _, _ = strings.Cut(line, "\n")
	flags := append(strings.Fields(line), "-trimpath")
	if !slices.Equal(b.Flags, flags) {
		t.Errorf("flags = %v, make uses %v", b.Flags, flags)
	}
	linked := regexp.MustCompile(`-X main\.\w+=|-[sw] `)
	_, line, _ = strings.Cut(makefile, "LDFLAGS := ")
	line, _, _ = strings.Cut(line, "\n")
	if got, want := linked.FindAllString(b.Ldflags[0], -1), linked.FindAllString(line, -1); !slices.Equal(got, want) {
		t.Errorf("linked with %v, make uses %v", got, want)
	}
	for _, f := range r.Archives[0].Files {
		read(t, f.Src)
	}
}

// TestReleaseTargetsExist has Go and the drivers know every platform.
func TestReleaseTargetsExist(t *testing.T) {
	t.Parallel()
	for _, target := range document[release](t, ".goreleaser.yaml", false).Builds[0].Targets {
		system, machine, _ := strings.Cut(target, "_")
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Error}}{{.}}{{end}}", "./cmd/jotgate")
		cmd.Dir = "../.."
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+machine)
		out, err := cmd.CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != "" {
			t.Errorf("%s: %v %s", target, err, out)
		}
	}
}

// TestReleaseTools holds the tools of a release to those that are pinned.
func TestReleaseTools(t *testing.T) {
	r := document[release](t, ".goreleaser.yaml", false)
	pinned, makefile := read(t, "internal/tools/go.mod"), read(t, "Makefile")
	if !strings.Contains(pinned, "/cmd/cyclonedx-gomod\n") || !strings.Contains(pinned, "/cmd/govulncheck\n") {
		t.Error("a tool is not pinned")
	}
	if !slices.Contains(r.Sboms[0].Args, "-modfile=../internal/tools/go.mod") || !strings.Contains(makefile, "cyclonedx-gomod bin") {
		t.Errorf("lists of modules are made by %v", r.Sboms[0].Args)
	}
	page := read(t, "configs/docs/releasing.md")
	for _, m := range regexp.MustCompile("(?m)(?:^|`)make ((?:[a-z]+ ?)+)").FindAllStringSubmatch(page, -1) {
		for target := range strings.FieldsSeq(m[1]) {
			if !strings.Contains(makefile, "\n"+target+":") {
				t.Errorf("the page names make %s, which is no target", target)
			}
		}
	}
	if !strings.Contains(page, r.Checksum.NameTemplate) || r.Signs[0].Artifacts != "checksum" || r.Signs[0].Cmd != "ssh-keygen" {
		t.Errorf("sums in %s are signed with %s", r.Checksum.NameTemplate, r.Signs[0].Cmd)
	}
}

// TestSumsLeaveOutTheirSignature: goreleaser writes them anew when they are signed, and
// with another sum in them the signature would fit no more.
func TestSumsLeaveOutTheirSignature(t *testing.T) {
	t.Parallel()
	r := document[release](t, ".goreleaser.yaml", false)
	if len(r.Checksum.IDs) == 0 || slices.Contains(r.Checksum.IDs, r.Signs[0].ID) {
		t.Errorf("sums of %v, among which is the signature %q", r.Checksum.IDs, r.Signs[0].ID)
	}
}

// TestSignaturesAreChecked types what the page says, with a key of its own.
func TestSignaturesAreChecked(t *testing.T) {
	t.Parallel()
	needs.Program(t, "ssh", "ssh-keygen")
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(read(t, "configs/docs/releasing.md"), -1)
	if len(blocks) != 5 {
		t.Fatalf("%d blocks", len(blocks))
	}
	verify, key, sign := blocks[0][1], blocks[2][1], blocks[4][1]
	dir := t.TempDir()
	shell := func(script string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", script)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	check(t, os.WriteFile(filepath.Join(dir, "jotgate_1_linux_amd64.tar.gz"), []byte("program"), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "jotgate_1_linux_amd64.cdx.json"), []byte("{}"), 0o600))
	for _, script := range []string{strings.Replace(key, "-C release", "-C release -N ''", 1), sign, verify} {
		if out, err := shell(script); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
	}
	for name, script := range map[string]string{
		"a changed program": "cp -r . ../program; cd ../program; echo x >> jotgate_1_linux_amd64.tar.gz\n" + verify,
		"changed sums":      "cp -r . ../sums; cd ../sums; echo x >> jotgate_1_linux_amd64.tar.gz; sha256sum *.tar.gz *.json > SHA256SUMS\n" + verify,
	} {
		if out, err := shell(script); err == nil {
			t.Errorf("%s passes: %s", name, out)
		}
	}
}
