package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// operation is one route as the document describes it.
type operation struct {
	method, path string
	*openapi3.Operation
}

func (o operation) String() string { return o.method + " " + o.path }

// operations lists what the document describes.
func operations() ([]operation, error) {
	doc, err := described()
	if err != nil {
		return nil, err
	}
	var all []operation
	for _, path := range slices.Sorted(maps.Keys(doc.Paths.Map())) {
		item := doc.Paths.Value(path)
		for _, method := range slices.Sorted(maps.Keys(item.Operations())) {
			all = append(all, operation{method, path, item.GetOperation(method)})
		}
	}
	return all, nil
}

// body returns the schema of the request body and its media type.
func (o operation) body() (*openapi3.Schema, string) {
	for kind, content := range bodies(o.Operation) {
		return content.Schema.Value, kind
	}
	return nil, ""
}

// badCase is a good request with one thing in it replaced.
type badCase struct {
	operation
	name string
	// change takes the good request and makes the bad one of it.
	change func(r *request)
	// codes are what may be answered; none is whatever the document has.
	codes []string
	// accused is a member that no answer may accuse, because it is as it should be.
	accused string
	// secret is what the request has where secrets are.
	secret string
}

const formKind = "application/x-www-form-urlencoded"

// badCases generates every case from the document.
func badCases() ([]badCase, error) {
	all, err := operations()
	if err != nil {
		return nil, err
	}
	var cases []badCase
	for i, o := range all {
		schema, kind := o.body()
		switch kind {
		case "application/json":
			cases = slices.Concat(cases, o.brokenBodies(), o.members(schema))
		case formKind:
			cases = append(cases, o.forms(schema)...)
		default:
			cases = append(cases, badCase{operation: o, name: "a body that nobody asked for", change: func(r *request) { r.raw, r.kind = `{"a":`, "application/json" }})
		}
		cases = slices.Concat(cases, o.parameters(), o.headers(i))
	}
	return cases, nil
}

// brokenBodies is what is wrong with a body whatever its members are.
func (o operation) brokenBodies() (cases []badCase) {
	add := func(name, code string, change func(r *request)) {
		cases = append(cases, badCase{operation: o, name: "body: " + name, change: change, codes: []string{code}})
	}
	for name, text := range brokenJSON() {
		add(name, "malformed-json", func(r *request) {
			text := text
			if len(r.members) == 0 {
				text = strings.ReplaceAll(text, "%s,", "")
			}
			r.raw = strings.ReplaceAll(text, "%s", r.inner())
		})
	}
	add("of 16 KiB and a byte", "body-too-large", func(r *request) { r.raw = "{" + r.inner() + "}" + strings.Repeat(" ", 16<<10) })
	add("of a megabyte", "body-too-large", func(r *request) { r.raw = "{" + strings.Repeat(" ", 1<<20) + r.inner() + "}" })
	for _, kind := range otherTypes() {
		add(fmt.Sprintf("Content-Type %q", kind), "unsupported-media-type", func(r *request) { r.raw, r.kind = "{"+r.inner()+"}", kind })
	}
	for _, name := range []string{"Content-Encoding: gzip", "Content-Type: application/json"} {
		add(name+" too", "unsupported-media-type", func(r *request) { r.raw, r.extra = "{"+r.inner()+"}", append(r.extra, name) })
	}
	slices.SortStableFunc(cases, func(a, b badCase) int { return strings.Compare(a.name, b.name) })
	return cases
}

// members is what is wrong with one member of a JSON body.
func (o operation) members(schema *openapi3.Schema) (cases []badCase) {
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		s := schema.Properties[name].Value
		set := func(label, value string, c badCase) {
			c.operation, c.name = o, "member "+name+": "+label
			c.change = func(r *request) { r.members[name] = json.RawMessage(value) }
			if isSecret(name) {
				c.secret = value
			}
			cases = append(cases, c)
		}
		for kind, values := range wrongTypes() {
			for _, v := range values {
				if !s.Type.Includes(kind) && (kind != "integer" || !s.Type.Includes("number")) && (kind != "array" || v == "[]" || !s.Type.Includes("array")) {
					code := "malformed-json"
					if kind == "number" && s.Type.Includes("integer") {
						code = "invalid-fields"
					}
					set("is "+short(v), v, badCase{codes: []string{code}})
				}
			}
		}
		for _, v := range naughtyStrings() {
			switch {
			case s.Type.Includes("string"):
				set("is "+short(quoted(v)), quoted(v), badCase{})
			case s.Type.Includes("array"):
				set("has "+short(quoted(v)), "["+quoted(v)+"]", badCase{})
			}
		}
		for _, v := range []string{`"\u0000"`, `"a\u0000b"`, `"\ud800"`, "\"\xff\"", `"\udfff\ud83d"`} {
			set(fmt.Sprintf("is %q", v), v, badCase{codes: []string{"malformed-json"}})
		}
		for _, b := range bounds(name, s) {
			set(b.label, b.value, badCase{codes: b.codes(), accused: b.accused(name)})
		}
		cases = append(cases, o.absences(name, slices.Contains(schema.Required, name), s)...)
	}
	slices.SortStableFunc(cases, func(a, b badCase) int { return strings.Compare(a.name, b.name) })
	return cases
}

// absences is a member that is not there, there twice, or there under a name that
// only looks like its own.
func (o operation) absences(name string, required bool, s *openapi3.Schema) []badCase {
	good := func(r *request) string {
		if v, ok := r.members[name]; ok {
			return string(v)
		}
		return `"a"`
	}
	rename := func(to string) func(r *request) {
		return func(r *request) { r.members[to] = json.RawMessage(good(r)); delete(r.members, name) }
	}
	malformed := []string{"malformed-json"}
	cases := []badCase{
		{name: "twice", codes: malformed, change: func(r *request) {
			r.raw = "{" + strings.Join([]string{r.inner(), quoted(name) + ":" + good(r), quoted(name) + ":" + good(r)}, ",") + "}"
		}},
		{name: "twice, once escaped", codes: malformed, change: func(r *request) {
			r.raw = fmt.Sprintf(`{%q:%s,"\u%04x%s":%s}`, name, good(r), name[0], name[1:], good(r))
		}},
		{name: "in another case", codes: malformed, change: rename(strings.ToUpper(name))},
		{name: "in full width", codes: malformed, change: rename(string(rune(name[0])-'a'+'ａ') + name[1:])},
		{name: "with a zero-width space", codes: malformed, change: rename(name + "\u200b")},
		{name: "with a NUL", codes: malformed, change: rename(name + "\x00")},
	}
	if required {
		missing := []string{"invalid-fields"}
		cases = append(cases, badCase{name: "absent", codes: missing, change: func(r *request) { delete(r.members, name) }})
		if !s.Type.Includes("null") {
			cases = append(cases, badCase{name: "null", codes: missing, change: func(r *request) { r.members[name] = json.RawMessage("null") }})
		}
	}
	for i := range cases {
		cases[i].operation, cases[i].name = o, "member "+name+": "+cases[i].name
	}
	return cases
}

// forms is what is wrong with a form: each parameter in turn.
func (o operation) forms(schema *openapi3.Schema) (cases []badCase) {
	add := func(name string, change func(r *request), codes ...string) {
		cases = append(cases, badCase{operation: o, name: "form " + name, change: change, codes: codes})
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		for _, v := range append(naughtyStrings(), "\x00", "\xff", "a\x00", "\xed\xa0\x80") {
			var codes []string
			if strings.ContainsAny(v, "\x00") || v == "\xff" || v == "\xed\xa0\x80" {
				codes = []string{"invalid_request"}
			}
			add(name+": "+short(fmt.Sprintf("%q", v)), func(r *request) { r.form.Set(name, v) }, codes...)
		}
		add(name+": twice", func(r *request) { r.form[name] = []string{"a", "a"} }, "invalid_request")
		add(name+": in the query", func(r *request) { r.query = url.Values{name: {"a"}} }, "invalid_request")
	}
	for _, body := range []string{"%", "%zz=1", "a=%", "a;b=c", "token=a;token=b", "grant_type=client_credentials&x=%ff"} {
		add(fmt.Sprintf("is %q", body), func(r *request) { r.raw, r.form = body, nil }, "invalid_request")
	}
	add("of 17 KiB", func(r *request) { r.raw, r.form = "a="+strings.Repeat("a", 17<<10), nil }, "invalid_request")
	add("of many names", func(r *request) { r.raw, r.form = strings.Repeat("&a%5B%5D=1", 1600), nil }, "invalid_request")
	for _, kind := range []string{"", "application/json", "multipart/form-data; boundary=x", formKind + "; charset=utf-16", formKind + ", text/plain"} {
		add(fmt.Sprintf("as %q", kind), func(r *request) { r.kind = kind }, "invalid_request")
	}
	return cases
}

// parameters is what is wrong with one in the path, the query or a header.
func (o operation) parameters() (cases []badCase) {
	for _, p := range o.Parameters {
		name, s := p.Value.Name, p.Value.Schema.Value
		values := map[string][]string{}
		for _, v := range append(naughtyStrings(), "\x00", "a\x00b", "\xff", "\xc3\x28") {
			if name == "wait" && len(v) == 1 && '0' < v[0] { // a wait that is one is no bad input
				continue
			}
			values[v] = nil
		}
		if s.MaxLength != nil && p.Value.In != "path" {
			values[strings.Repeat("1", int(*s.MaxLength)+1)] = []string{"invalid-fields"}
		}
		for _, v := range slices.Sorted(maps.Keys(values)) {
			c := badCase{operation: o, name: fmt.Sprintf("%s %s: %s", p.Value.In, name, short(fmt.Sprintf("%q", v))), codes: values[v]}
			switch p.Value.In {
			case "path":
				c.change = func(r *request) { r.id = v }
			case "query":
				c.change = func(r *request) { r.query = url.Values{name: {v}} }
			case "header":
				if !fitsHeader(v) {
					continue
				}
				c.change = func(r *request) { r.extra = append(r.extra, name+": "+v) }
			}
			cases = append(cases, c)
		}
		if p.Value.In == "query" {
			cases = append(cases,
				badCase{operation: o, name: "query " + name + ": twice", change: func(r *request) { r.query = url.Values{name: {"current", "current"}} }},
				badCase{operation: o, name: "query " + name + ": misspelt", change: func(r *request) { r.query = url.Values{name + "s": {"current"}} }})
		}
	}
	return cases
}

// headers is what is wrong with those that every route reads, or must not. All
// routes together get each value of each header several times, each route one
// share of them, the turn-th.
func (o operation) headers(turn int) (cases []badCase) {
	const shares = 5
	names := []string{
		"Authorization", "Cookie", "X-Request-Id", "Origin", "Sec-Fetch-Site", "User-Agent", "X-Forwarded-For", "Forwarded", "X-Forwarded-Host", "X-Forwarded-Proto",
		"X-HTTP-Method-Override", "X-Original-URL", "Accept", "Accept-Language", "If-None-Match", "Range", "Expect", "Traceparent",
	}
	for i, name := range names {
		for j, v := range []string{"", " ", "\t", "a", "\xff\xfe", "\u00e9\u202e", "' OR '1'='1", "null", "*", "%00", "bytes=0-1", "Bearer", "Bearer  a", "Basic YTpi", "a=b; a=b;;=", strings.Repeat("a", 3000), "127.0.0.1, ::1, x", "DELETE", "https://evil.example"} {
			if (turn+i+j)%shares != 0 {
				continue
			}
			if name == "Expect" && v != "" && v != " " && v != "\t" { // net/http answers 417 to it
				continue
			}
			cases = append(cases, badCase{operation: o, name: fmt.Sprintf("header %s: %s", name, short(fmt.Sprintf("%q", v))), change: func(r *request) {
				if name == "Authorization" {
					r.credential = ""
				}
				r.extra = append(r.extra, name+": "+v)
			}})
		}
	}
	return cases
}

// fitsHeader reports whether an HTTP client can send v at all.
func fitsHeader(v string) bool {
	return !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

func isSecret(member string) bool {
	return strings.Contains(member, "password") || strings.Contains(member, "token") || strings.Contains(member, "secret")
}

func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string is JSON
	}
	return string(text)
}

// short is s, or the beginning of it and its length.
func short(s string) string {
	if len(s) <= 40 {
		return s
	}
	return fmt.Sprintf("%.32s… of %d bytes", s, len(s))
}
