package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/revocation"
)

// sync does what the program does in the background.
func (a *api) sync() {
	a.Helper()
	a.must(a.feed.Sync(a.Context()))
}

// entries returns the feed's entries in an answer.
func (r answer) entries(tb testing.TB) []object {
	tb.Helper()
	var o struct{ Revocations []object }
	if err := json.Unmarshal(r.body, &o); err != nil {
		tb.Fatal(err)
	}
	return o.Revocations
}

func TestFeedTellsWhatEnded(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		a.register("ada")
		in := a.login("ada", "bearer")
		a.sync()
		before := a.do("GET", "/v1/revocations", nil).want(t, 200, "")
		if len(before.entries(t)) != 0 || before.at(t, "more") != false {
			t.Fatalf("feed before = %s", before.body)
		}
		a.do("POST", "/v1/logout", nil, in.bearer(t)).want(t, 204, "")
		a.sync()
		for _, path := range []string{"/v1/revocations", "/v1/revocations?after=" + before.text(t, "cursor")} {
			got := a.do("GET", path, nil).want(t, 200, "")
			want := object{"sid": in.text(t, "session.id"), "exp": float64(a.now().Add(accessTTL + 31*time.Second).Unix())}
			if e := got.entries(t); len(e) != 1 || fmt.Sprint(e[0]) != fmt.Sprint(want) {
				t.Errorf("%s = %s, want %v", path, got.body, want)
			}
			if at, err := time.Parse(time.RFC3339Nano, got.text(t, "time")); err != nil || !at.Equal(a.now()) {
				t.Errorf("time = %s", got.text(t, "time"))
			}
		}
		a.step(3 * time.Second)
		if got := a.do("GET", "/v1/revocations", nil); got.at(t, "lag_ms") != 3000.0 {
			t.Errorf("lag after 3 s without a Sync: %s", got.body)
		}
	})
}

func TestFeedNamesEveryKind(t *testing.T) {
	a := newAPI(t)
	border := a.now().Add(time.Second)
	a.must(a.feed.Append(t.Context(), []revocation.Entry{
		a.feed.User("u", border), a.feed.Key("k"), a.feed.All(border), a.feed.Changed("c"),
	}))
	a.sync()
	got := a.do("GET", "/v1/revocations", nil).entries(t)
	for i, want := range []object{
		{"sub": "u", "iat_before": float64(border.Unix())},
		{"kid": "k"},
		{"all": true, "iat_before": float64(border.Unix())},
		{"changed": "c"},
	} {
		delete(got[i], "exp")
		if fmt.Sprint(got[i]) != fmt.Sprint(want) {
			t.Errorf("entry %d = %v, want %v", i, got[i], want)
		}
	}
}

func TestFeedRefusesNonsense(t *testing.T) {
	a := newAPI(t)
	a.sync()
	for _, q := range []string{"after=x", "after=1", "after=-1-2", "wait=x", "wait=-1", "wait=1.5", "after=%zz", "wait=99999999999", "wait=1;"} {
		got := a.do("GET", "/v1/revocations?"+q, nil).want(t, 422, "invalid-fields")
		if !strings.Contains(string(got.body), `"pointer":"",`) { // it has no body to point into
			t.Errorf("%s: %s", q, got.body)
		}
	}
	a.do("GET", "/v1/revocations", nil, "Last-Event-ID: x").want(t, 422, "invalid-fields")
	a.do("GET", "/v1/revocations?via=proxy", nil).want(t, 200, "")
	a.do("POST", "/v1/revocations", nil).want(t, 405, "method-not-allowed")
	a.do("HEAD", "/v1/revocations", nil).want(t, 200, "")
}

// TestFollowersSendNoBody: who announces a body and leaves without sending it would not be
// missed until the wait is over.
func TestFollowersSendNoBody(t *testing.T) {
	a := newAPI(t)
	a.sync()
	for _, head := range []string{
		"GET /v1/revocations?wait=25 HTTP/1.1\r\nContent-Length: 1", "GET /v1/revocations?wait=25 HTTP/1.1\r\nTransfer-Encoding: chunked",
		"GET /v1/revocations HTTP/1.1\r\nAccept: text/event-stream\r\nContent-Length: 1",
		"GET /v1/revocations?wait=25 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1",
	} {
		a.bodiless(head).want(t, 400, "malformed-json")
	}
	a.do("GET", "/v1/revocations?wait=1", "{}").want(t, 400, "malformed-json")
	a.do("GET", "/v1/revocations?wait=1", nil, "Content-Length: 0").want(t, 200, "")
}

// bodiless sends the head of a request, and never the body that it announces.
func (a *api) bodiless(head string) answer {
	a.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(a.url, "http://"))
	a.must(err)
	a.must(c.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(c, head+"\r\nHost: x\r\n\r\n")
	a.must(err)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		a.Fatalf("%q: %v", head, err)
	}
	body, err := io.ReadAll(res.Body)
	a.must(errors.Join(err, c.Close(), res.Body.Close()))
	res.Request = &http.Request{Method: http.MethodGet, URL: &url.URL{Path: head}}
	return answer{res, body}
}

// TestForwardAuthWaitsForNoBody: a proxy may name the body of the client's request and keep it.
func TestForwardAuthWaitsForNoBody(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	for _, head := range []string{"Content-Length: 10", "Transfer-Encoding: chunked"} {
		a.bodiless("GET /v1/forward-auth HTTP/1.1\r\n"+a.login("ada", "bearer").bearer(t)+"\r\n"+head).want(t, 204, "")
		a.bodiless("GET /v1/forward-auth HTTP/1.1\r\n"+head).want(t, 401, "no-credentials")
		a.bodiless("GET /v1/forward-auth?scope=a HTTP/1.1\r\n"+a.login("ada", "bearer").bearer(t)+"\r\n"+head).want(t, 403, "insufficient-scope")
	}
}

func TestFeedHoldsAnAnswerUntilThereIsOne(t *testing.T) {
	a := newAPI(t)
	a.sync()
	path := "/v1/revocations?wait=25&after=" + a.do("GET", "/v1/revocations", nil).text(t, "cursor")
	var got answer
	var waiting sync.WaitGroup
	waiting.Go(func() { got = a.do("GET", path, nil) })
	time.Sleep(50 * time.Millisecond)
	a.must(a.feed.Append(t.Context(), a.feed.Sessions("s")))
	a.sync()
	waiting.Wait()
	if e := got.entries(t); len(e) != 1 || e[0]["sid"] != "s" {
		t.Errorf("answer = %s", got.body)
	}
	waiting.Go(func() { got = a.do("GET", "/v1/revocations?wait=25&after="+got.text(t, "cursor"), nil) })
	time.Sleep(50 * time.Millisecond)
	close(a.stop)
	waiting.Wait()
	if e := got.want(t, 200, "").entries(t); len(e) != 0 {
		t.Errorf("a program that stops answers %s", got.body)
	}
}

func TestFeedAsEvents(t *testing.T) {
	a := newAPI(t)
	a.must(a.feed.Append(t.Context(), a.feed.Sessions("old")))
	a.sync()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+"/v1/revocations", nil)
	a.must(err)
	req.Header.Set("Accept", "text/event-stream")
	res, err := http.DefaultClient.Do(req)
	a.must(err)
	defer func() { a.must(res.Body.Close()) }()
	if ct := res.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Fatalf("content type %q", ct)
	}
	lines := bufio.NewScanner(res.Body)
	event := func() (id, data string) {
		t.Helper()
		for lines.Scan() && lines.Text() != "" {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				id = value
			case "data":
				data = value
			}
		}
		return id, data
	}
	id, data := event()
	if !strings.Contains(data, `"sid":"old"`) || !strings.Contains(data, `"cursor":"`+id+`"`) {
		t.Fatalf("first event %q: %s", id, data)
	}
	a.must(a.feed.Append(t.Context(), a.feed.Sessions("new")))
	a.sync()
	if _, data := event(); !strings.Contains(data, `"sid":"new"`) || strings.Contains(data, "old") {
		t.Errorf("second event: %s", data)
	}
	if got := a.do("GET", "/v1/revocations", nil, "Last-Event-ID: "+id).entries(t); len(got) != 1 || got[0]["sid"] != "new" {
		t.Errorf("after the first event's id: %v", got)
	}
	if id, data := event(); id == "" || !strings.Contains(data, `"revocations":[]`) { // a heartbeat
		t.Errorf("third event: %s", data)
	}
}

func TestEpochEndsWhatIsOlder(t *testing.T) {
	onBoth(t, func(t *testing.T, a *api) {
		a.register("ada")
		old := a.login("ada", "bearer")
		over := a.login("ada", "bearer")
		a.do("POST", "/v1/logout", nil, over.bearer(t)).want(t, 204, "")
		a.sync()
		cursor := a.do("GET", "/v1/revocations", nil).text(t, "cursor")
		program := a.token(a.program([]string{"a"}), "")
		a.do("GET", "/v1/forward-auth", nil, program).want(t, 204, "")
		a.step(time.Second)
		var steps []int
		a.must(a.gate.BumpEpoch(t.Context(), func(n int) { steps = append(steps, n) }))
		if fmt.Sprint(steps) != "[1]" {
			t.Errorf("sessions ended: %v", steps)
		}
		a.do("GET", "/v1/me", nil, old.bearer(t)).want(t, 401, "invalid-token")
		a.do("GET", "/v1/forward-auth", nil, program).want(t, 401, "invalid-token")
		a.do("POST", "/v1/refresh", object{"refresh_token": old.text(t, "refresh_token")}).want(t, 401, "invalid-refresh-token")
		a.step(time.Second)
		a.sync()
		fresh := a.login("ada", "bearer")
		a.do("GET", "/v1/me", nil, fresh.bearer(t)).want(t, 200, "")
		// Who followed the feed before is told everything.
		if e := a.do("GET", "/v1/revocations?after="+cursor, nil).entries(t); len(e) != 2 ||
			e[0]["sid"] != over.text(t, "session.id") || e[1]["all"] != true {
			t.Errorf("the feed after an old cursor: %v", e)
		}
	})
}

// An event stream is for who asks for it.
func TestStreamIsAskedFor(t *testing.T) {
	a := newAPI(t)
	for accept, streams := range map[string]bool{
		"text/event-stream": true, "Text/Event-Stream ; q=0.1, application/json": true, "application/json,text/event-stream": true,
		"text/event-stream;q=0": false, "application/json, text/event-stream; q=0.000": false, "*/*": false, "text/*": false,
		"x/text/event-stream": false, "text/event-streams": false, "": false,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+"/v1/revocations", nil)
		a.must(err)
		req.Header.Set("Accept", accept)
		res, err := http.DefaultTransport.RoundTrip(req)
		a.must(err)
		if kind := res.Header.Get("Content-Type"); (kind == "text/event-stream") != streams {
			t.Errorf("Accept: %s is answered with %s", accept, kind)
		}
		cancel()
		_ = res.Body.Close() // the stream has no end
	}
}
