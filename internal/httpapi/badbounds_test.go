package httpapi_test

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// bound is a value at a bound that the document names, or one step beyond it.
type bound struct {
	label, value string
	beyond       bool
}

func (b bound) codes() []string {
	if b.beyond {
		return []string{"invalid-fields", "weak-password"}
	}
	return nil
}

// accused is the member that an answer must not accuse. The least length of a
// password is a setting, which the document cannot know.
func (b bound) accused(name string) string {
	if b.beyond || strings.HasSuffix(name, "password") && strings.HasPrefix(b.label, "minLength") {
		return ""
	}
	return "/" + name
}

// bounds is every bound of a schema, with the value that just fits and the one
// that just does not.
func bounds(name string, s *openapi3.Schema) (all []bound) {
	add := func(label string, beyond bool, v any) {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err) // numbers and texts are JSON
		}
		all = append(all, bound{label, string(text), beyond})
	}
	if s.MinLength > 0 {
		add("minLength", false, textOf(name, int(s.MinLength), "a"))
		add("minLength-1", true, textOf(name, int(s.MinLength)-1, "a"))
	}
	if s.MaxLength != nil {
		most := int(*s.MaxLength)
		add("maxLength", false, textOf(name, most, "a"))
		add("maxLength+1", true, textOf(name, most+1, "a"))
		if s.Pattern == "" && name != "email" {
			for _, wide := range []string{"\u00e9", "\U0001f600"} { // code points count, not bytes
				add("maxLength of "+wide, false, textOf(name, most, wide))
				add("maxLength+1 of "+wide, true, textOf(name, most+1, wide))
			}
		}
	}
	if s.Min != nil {
		add("minimum", false, *s.Min)
		add("minimum-1", true, *s.Min-1)
	}
	if s.Max != nil {
		add("maximum", false, int64(*s.Max))
		add("maximum+1", true, int64(*s.Max)+1)
		add("the largest integer", true, int64(1<<63-1))
	}
	if s.MaxItems != nil {
		add("maxItems", false, listOf(int(*s.MaxItems)))
		add("maxItems+1", true, listOf(int(*s.MaxItems)+1))
	}
	if s.Items != nil && s.Items.Value.MaxLength != nil {
		most := int(*s.Items.Value.MaxLength)
		add("maxLength of an item", false, []string{"urn:" + strings.Repeat("a", most-4)})
		add("maxLength+1 of an item", true, []string{"urn:" + strings.Repeat("a", most-3)})
	}
	return all
}

// textOf returns n characters that a member of this name may have.
func textOf(name string, n int, filler string) string {
	if name != "email" || n < 80 {
		return strings.Repeat(filler, n)
	}
	const local, end = 64, ".example.com"
	text := strings.Repeat("a", local) + "@"
	for len(text) < n-len(end)-63 {
		text += strings.Repeat("b", 62) + "."
	}
	return text + strings.Repeat("c", n-len(end)-len(text)) + end
}

// listOf returns n texts, of which each is a scope and a URI.
func listOf(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("urn:%d", i)
	}
	return list
}
