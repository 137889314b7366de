package bearer_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/pkg/bearer"
)

func TestBackoff(t *testing.T) {
	for name, tt := range map[string]struct {
		retryAfter  string
		least, most time.Duration // of the pauses late on
	}{
		"none": {"", 2500 * time.Millisecond, 5 * time.Second}, "asked for": {"4", 4 * time.Second, 5 * time.Second},
		"asked for too much": {"3600", 5 * time.Second, 5 * time.Second}, "asked for nonsense": {"-1", 2500 * time.Millisecond, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority()
				a.followed(t)
				time.Sleep(time.Second)
				first, away := len(a.seen()), time.Now()
				a.set(func() {
					a.answer = func(r *http.Request) (*http.Response, error) {
						res := reply(r, 503, "")
						res.Header.Set("Retry-After", tt.retryAfter)
						return res, nil
					}
				})
				time.Sleep(2 * time.Minute)
				polls := a.seen()[first:]
				if len(polls) < 20 {
					t.Fatalf("%d requests in two minutes", len(polls))
				}
				pauses := map[time.Duration]bool{}
				for i := range polls[:len(polls)-1] {
					pause := polls[i+1].at.Sub(polls[i].at)
					if pauses[pause] = true; pause > tt.most || pause < 125*time.Millisecond || i > 6 && pause < tt.least {
						t.Errorf("pause %d of %s", i, pause)
					}
					if polls[i].wait != 0 {
						t.Error("waits, so that it learns late that all is well")
					}
				}
				if tt.retryAfter == "" && (len(pauses) < 10 || polls[0].at.Sub(away) > 250*time.Millisecond) {
					t.Errorf("no jitter, or a long first pause: %v", pauses)
				}
			})
		})
	}
}

type stalled struct{ until <-chan struct{} }

func (s stalled) Read([]byte) (int, error) { <-s.until; return 0, context.Canceled }
func (s stalled) Close() error             { return nil }

func TestBadAnswersAreErrors(t *testing.T) {
	k := newKeys(t)
	page := func(rest string) string {
		return `{"cursor":"1-9","more":false,"lag_ms":0,"revocations":[` + rest + `]}`
	}
	exp := fmt.Sprint(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Unix())
	answers := map[string]func(r *http.Request) (*http.Response, error){
		"redirect": func(r *http.Request) (*http.Response, error) {
			if r.URL.Path != "/v1/revocations" {
				return reply(r, 200, page("")), nil
			}
			res := reply(r, 302, "")
			res.Header.Set("Location", "/elsewhere/v1/revocations")
			return res, nil
		},
		"stalled": func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
		"stalled body": func(r *http.Request) (*http.Response, error) {
			res := reply(r, 200, "")
			res.Body = stalled{r.Context().Done()}
			return res, nil
		},
	}
	for name, body := range map[string]string{
		"nothing": "", "HTML": "<html>", "null": "null", "an array": "[]", "empty": "{}", "two": page("") + page(""),
		"no cursor": `{"more":false,"lag_ms":0,"revocations":[]}`, "no more": `{"cursor":"1","lag_ms":0,"revocations":[]}`,
		"no lag": `{"cursor":"1","more":false,"revocations":[]}`, "no list": `{"cursor":"1","more":false,"lag_ms":0}`,
		"negative lag":       `{"cursor":"1","more":false,"lag_ms":-1,"revocations":[]}`,
		"cursor with spaces": `{"cursor":"1 2","more":false,"lag_ms":0,"revocations":[]}`,
		"long cursor":        `{"cursor":"` + strings.Repeat("1", 65) + `","more":false,"lag_ms":0,"revocations":[]}`,
		"stuck":              `{"cursor":"1-0","more":true,"lag_ms":0,"revocations":[]}`,
		"number for a name":  page(`{"sid":1,"exp":` + exp + `}`), "empty name": page(`{"sid":"","exp":` + exp + `}`),
		"long name":  page(`{"kid":"` + strings.Repeat("x", 256) + `","exp":` + exp + `}`),
		"name twice": page(`{"sid":"a","sid":"b","exp":` + exp + `}`),
		"two names":  page(`{"sid":"a","sub":"b","iat_before":1,"exp":` + exp + `}`),
		"no exp":     page(`{"sid":"a"}`), "exp as text": page(`{"sid":"a","exp":"` + exp + `"}`), "half an exp": page(`{"sid":"a","exp":1.5}`),
		"huge exp": page(`{"sid":"a","exp":1e30}`), "late exp": page(`{"sid":"a","exp":9223372036854775807}`), "negative exp": page(`{"sid":"a","exp":-1}`),
		"no iat_before": page(`{"sub":"a","exp":` + exp + `}`), "all without iat_before": page(`{"all":true,"exp":` + exp + `}`),
		"entry that is no object": page(`1`), "deep": page(strings.Repeat("[", 20000)),
	} {
		answers[name] = func(r *http.Request) (*http.Response, error) { return reply(r, 200, body), nil }
	}
	for _, status := range []int{204, 301, 400, 401, 404, 422, 429, 500, 503} {
		answers[fmt.Sprint(status)] = func(r *http.Request) (*http.Response, error) { return reply(r, status, page("")), nil }
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority()
				f := a.followed(t)
				a.add(ended("sid", "s1"))
				time.Sleep(time.Second)
				a.set(func() { a.answer, a.entries = answer, nil })
				time.Sleep(50 * time.Second)
				if f.Health() == nil || f.Size() != 1 {
					t.Errorf("health = %v, with %d entries", f.Health(), f.Size())
				}
				refused(t, k.clocked(t, f), k.fresh(t, nil), bearer.ErrRevoked)
				a.comeBack()
				time.Sleep(20 * time.Second) // a stalled answer is still waited for
				if f.Health() != nil {
					t.Error(f.Health())
				}
			})
		})
	}
}

// spaces is a body without an end in sight.
type spaces struct{ read int }

func (s *spaces) Read(p []byte) (int, error) {
	if s.read += len(p); s.read > 32<<20 {
		return 0, io.EOF
	}
	return copy(p, strings.Repeat(" ", len(p))), nil
}

func TestEndlessAnswerIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var most atomic.Int64
		a := newAuthority()
		a.answer = func(r *http.Request) (*http.Response, error) {
			res, body := reply(r, 200, ""), new(spaces)
			res.Body = io.NopCloser(body)
			context.AfterFunc(r.Context(), func() { most.Store(max(most.Load(), int64(body.read))) })
			return res, nil
		}
		f := a.newFeed(t)
		follow(t, f)
		time.Sleep(time.Second)
		if n := most.Load(); n == 0 || n > 4<<20 || f.Health() == nil {
			t.Errorf("read %d bytes; health = %v", n, f.Health())
		}
	})
}

func TestCursorThatIsNotUnderstoodIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		a.add(ended("sid", "s1"))
		f := a.followed(t)
		a.set(func() {
			a.answer = func(r *http.Request) (*http.Response, error) {
				if r.URL.Query().Get("after") == "1-1" {
					return reply(r, 422, ""), nil
				}
				return reply(r, 200, `{"cursor":"v2.1","more":false,"lag_ms":0,"revocations":[`+ended("sid", "s2")+`]}`), nil
			}
		})
		time.Sleep(11 * time.Second)
		if f.Size() != 2 || f.Staleness() > 5*time.Second {
			t.Errorf("%d entries, %s old", f.Size(), f.Staleness())
		}
	})
}
