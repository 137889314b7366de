package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/pgtest"
)

// patience is how long an answer may take at most, on a machine that is busy.
const patience = 10 * time.Second

// TestBadInput asks every route with every field wrong in every way that the
// document lets us think of, on both databases. No answer is a fault of the
// program, each is described in the document, none changes a row if it refuses,
// none repeats a secret, and both databases answer alike.
func TestBadInput(t *testing.T) {
	t.Parallel()
	cases, err := badCases()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, c := range cases {
		names[c.String()+" "+c.name] = true
	}
	if len(cases) < 8000 || len(names) < len(cases)*95/100 {
		t.Fatalf("%d cases, %d names", len(cases), len(names))
	}
	for i := range cases[:len(cases)/share] {
		cases[i] = cases[i*share]
	}
	cases = cases[:len(cases)/share]
	var outcomes [2][]outcome
	var wg sync.WaitGroup
	for i, s := range bothStages(t) {
		wg.Go(func() {
			for _, c := range cases {
				outcomes[i] = append(outcomes[i], s.judge(c))
			}
			s.wantNoSecretsInTheLog()
		})
	}
	wg.Wait()
	for i, c := range cases {
		if on, other := outcomes[0][i], outcomes[1][i]; on != other {
			t.Errorf("%s: %s: SQLite and PostgreSQL answer differently:\n%+v\n%+v", c, c.name, on, other)
		}
	}
	t.Logf("%d cases on each database", len(cases))
}

// TestGoodInput holds the good requests to be good, of which the bad ones are made.
func TestGoodInput(t *testing.T) {
	all, err := operations()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range bothStages(t) {
		for _, o := range all {
			if got := s.judge(badCase{operation: o, name: "as it should be", change: func(*request) {}}); got.status >= 300 {
				t.Errorf("%s = %+v", o, got)
			}
		}
	}
}

// outcome is what both databases must agree on.
type outcome struct {
	status  int
	problem string // without the request's id
}

// request is a good request, to be spoilt.
type request struct {
	method, path, id string
	credential       string // a header, or ""
	query            url.Values
	members          map[string]json.RawMessage
	form             url.Values
	raw, kind        string // instead of members; the Content-Type
	extra            []string
}

// inner is the members as JSON, without the braces.
func (r *request) inner() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(r.members)) {
		parts = append(parts, quoted(name)+":"+string(r.members[name]))
	}
	return strings.Join(parts, ",")
}

func (r *request) text() string {
	switch {
	case r.raw != "":
		return r.raw
	case r.form != nil:
		return r.form.Encode()
	case len(r.members) > 0 || r.kind != "":
		return "{" + r.inner() + "}"
	}
	return ""
}

func (r *request) http(ctx context.Context, base string) (*http.Request, error) {
	path := r.path
	if _, rest, ok := strings.Cut(r.path, "{"); ok {
		path = strings.Replace(r.path, "{"+rest[:strings.Index(rest, "}")+1], url.PathEscape(r.id), 1)
	}
	if len(r.query) > 0 {
		path += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, base+path, strings.NewReader(r.text()))
	if err != nil {
		return nil, err
	}
	if r.kind != "" {
		req.Header["Content-Type"] = []string{r.kind}
	}
	if r.credential != "" {
		r.extra = append(r.extra, r.credential)
	}
	for _, h := range r.extra {
		name, value, _ := strings.Cut(h, ": ")
		name = http.CanonicalHeaderKey(name)
		req.Header[name] = append(req.Header[name], value)
	}
	return req, nil
}

// stage is one jotgate on one database, with somebody on it to make requests.
type stage struct {
	*api
	rows *rows
	cast *cast
	seen int // of cast
	// adminKey is an administrator's, with the scope admin.
	adminKey string
	// described counts the errors that were compared with the document, which takes
	// longer than the request: more of one kind tell nothing new.
	described map[string]int
}

func bothStages(t *testing.T) []*stage {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jotgate.db")
	var stages []*stage
	for _, db := range []struct{ driver, url, dsn string }{{"sqlite", "sqlite:" + path, "file:" + path}, {"pgx", "", ""}} {
		if db.driver == "pgx" {
			db.url = pgtest.DSN(t)
			db.dsn = db.url
		}
		a := newAPI(t, func(o *options) { o.database, o.attempts = db.url, true })
		s := &stage{api: a, rows: openRows(t, db.driver, db.dsn), described: map[string]int{}}
		s.recast()
		stages = append(stages, s)
	}
	return stages
}

// judge makes one request, and fails the test if the answer is none that the
// contract allows.
func (s *stage) judge(c badCase) outcome {
	r := s.cast.good(c.operation)
	c.change(&r)
	got := s.send(c, r)
	s.move(c.operation, got.StatusCode)
	_, problem := got.problem()
	return outcome{got.StatusCode, problem}
}

// send is judge for a request that was made, and replaces no cast.
func (s *stage) send(c badCase, r request) answer {
	req, err := r.http(s.Context(), s.url)
	if err != nil {
		s.Errorf("%s: %s: %v", c, c.name, err)
		return answer{Response: &http.Response{}}
	}
	before := s.rows.now()
	got := s.ask(req)
	code, problem := got.problem()
	fail := func(format string, args ...any) {
		s.Helper()
		s.Errorf("%s: %s: %s\n%d %s", c, c.name, fmt.Sprintf(format, args...), got.StatusCode, short(string(got.body)))
	}
	switch {
	case got.StatusCode >= 500:
		fail("a fault")
	case len(c.codes) > 0 && !slices.Contains(c.codes, code):
		fail("code %q, want one of %v", code, c.codes)
	case got.StatusCode >= 400 && code == "":
		fail("an error without a code")
	case c.accused != "" && strings.Contains(problem, `"pointer":"`+c.accused+`"`):
		fail("%s is accused of what the document allows", c.accused)
	}
	if got.StatusCode >= 400 {
		if code != "token-reused" { // which ends the session
			s.wantNothingDone(before, fail)
		}
		s.wantNoEcho(c, r, got, fail)
	}
	// What is decoded may be another path, to which the document's router is blind.
	if seen := fmt.Sprint(c, got.StatusCode, code); code != "no-such-route" && (code == "" || s.described[seen] < 3) {
		validateExchange(s.T, req, []byte(r.text()), got.Response, got.body)
		s.described[seen]++
	}
	return got
}

// ask sends a request, and fails the test if there is no answer.
func (s *stage) ask(req *http.Request) answer {
	ctx, cancel := context.WithTimeout(req.Context(), patience)
	defer cancel()
	res, err := http.DefaultTransport.RoundTrip(req.WithContext(ctx))
	if err != nil {
		s.Errorf("%s %s: no answer: %v", req.Method, req.URL, err)
		return answer{Response: &http.Response{Request: req, Header: http.Header{}}}
	}
	body, err := io.ReadAll(res.Body)
	s.must(err)
	s.must(res.Body.Close())
	return answer{res, body}
}

// problem returns the code of an error, first-party or OAuth, and all of it but
// for the request's id.
func (r answer) problem() (code, text string) {
	if r.StatusCode < 400 {
		return "", ""
	}
	var o map[string]any
	if err := json.Unmarshal(r.body, &o); err != nil {
		return "", ""
	}
	delete(o, "request_id")
	name := map[string]string{"application/problem+json": "code", "application/json; charset=utf-8": "error"}[r.Header.Get("Content-Type")]
	code, _ = o[name].(string)
	plain, err := json.Marshal(o)
	if err != nil {
		return "", ""
	}
	return code, string(plain)
}

func (s *stage) wantNothingDone(before string, fail func(string, ...any)) {
	if after := s.rows.now(); after != before {
		fail("rows have changed:\n%s", firstDifference(before, after))
	}
}

// wantNoEcho fails the test if an answer repeats a secret of the cast's, or what
// the request had where secrets are.
func (s *stage) wantNoEcho(c badCase, r request, got answer, fail func(string, ...any)) {
	text := string(got.body) + fmt.Sprint(got.Header)
	for _, secret := range append(s.cast.secrets(), strings.Trim(c.secret, `"`)) {
		if len(secret) > 7 && strings.Contains(text, secret) {
			fail("%s is repeated", short(secret))
		}
	}
	if strings.Contains(text, canary) && !strings.Contains(fmt.Sprint(r.extra), canary) {
		fail("what was sent is repeated")
	}
}

// wantNoSecretsInTheLog looks for what only secrets have in them.
func (s *stage) wantNoSecretsInTheLog() {
	for line := range bytes.SplitSeq(s.log.Bytes(), []byte("\n")) {
		for _, mark := range []string{canary, "eyJ", "jg_", "jgs_", `"level":"ERROR"`} {
			if bytes.Contains(line, []byte(mark)) {
				s.Errorf("%s is in the log: %s", mark, line)
				return
			}
		}
	}
}

// move replaces the cast where the request may have used it up: it did something
// that counts, or it was one of the few wrong passwords that a user may try.
func (s *stage) move(o operation, status int) {
	schema, _ := o.body()
	if schema != nil && (schema.Properties["password"] != nil || schema.Properties["current_password"] != nil) && status >= 400 {
		s.seen++
	}
	harmless := []string{"login", "clientCredentials", "introspectToken", "createClient"}
	if status < 300 && o.method != http.MethodGet && !slices.Contains(harmless, o.OperationID) || s.seen > 7 {
		s.recast()
	}
}
