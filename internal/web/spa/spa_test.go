package spa_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/web/spa"
)

// TestPolicy has every source of the policy: one that is added has to be wanted.
func TestPolicy(t *testing.T) {
	var got []string
	for directive := range strings.SplitSeq(spa.Policy, "; ") {
		got = append(got, directive)
	}
	want := []string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self'", "form-action 'none'",
		"base-uri 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
	}
	if !slices.Equal(got, want) {
		t.Errorf("policy = %q, want %q", got, want)
	}
}

func TestPageHasNothingInline(t *testing.T) {
	page := string(spa.Files()["index.html"])
	for _, inline := range []string{`<style`, `\sstyle=`, `\son[a-z]+=`, `javascript:`, `<script[^>]*>[^<]`, `https?://`} {
		if found := regexp.MustCompile(inline).FindString(page); found != "" {
			t.Errorf("the page has %q", found)
		}
	}
}

func TestWhatFilesNameIsThere(t *testing.T) {
	all := spa.Files()
	names := regexp.MustCompile(`(?:"/app/|from '\./)([a-z.]+)["']`)
	found := 0
	for file, text := range all {
		for _, m := range names.FindAllSubmatch(text, -1) {
			found++
			if _, ok := all[string(m[1])]; !ok {
				t.Errorf("%s names %s, which is not there", file, m[1])
			}
		}
	}
	if found < len(all) {
		t.Errorf("%d names in %d files", found, len(all))
	}
}

func TestScriptsMakeNoMarkupOfText(t *testing.T) {
	sinks := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|localStorage|sessionStorage|document\.cookie`)
	for file, text := range spa.Files() {
		if found := sinks.Find(text); found != nil && (file != "client.js" || string(found) != "localStorage") {
			t.Errorf("%s has %s", file, found)
		}
	}
}
