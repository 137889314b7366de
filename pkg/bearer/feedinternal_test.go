package bearer

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

const someIssuer = "https://auth.example.com"

// BenchmarkFeedCheck is what a feed adds to the verification of a token that it
// did not end.
func BenchmarkFeedCheck(b *testing.B) {
	for _, n := range []int{0, 1, 100_000} {
		for _, policy := range []OnStale{AcceptUntilExpiry, Refuse} {
			b.Run(fmt.Sprintf("entries=%d/policy=%d", n, policy), func(b *testing.B) {
				f, c := grown(b, n, policy)
				b.ReportAllocs()
				b.ResetTimer()
				b.RunParallel(func(p *testing.PB) {
					for p.Next() {
						if f.check(b.Context(), "token", "k1", c) != nil {
							b.Error("refused")
						}
					}
				})
			})
		}
	}
}

func grown(tb testing.TB, n int, policy OnStale) (*Feed, *Claims) {
	tb.Helper()
	f, err := NewFeed(FeedConfig{Issuer: someIssuer, OnStale: policy})
	if err != nil {
		tb.Fatal(err)
	}
	now := time.Now()
	exp := now.Add(time.Hour).Unix()
	for i := range n {
		name := fmt.Sprintf("0193aaaa-bbbb-7ccc-8ddd-%012d", i)
		if !f.apply([]entry{{Session: &name, Expires: &exp}}) {
			tb.Fatal("full")
		}
	}
	f.isComplete(now)
	return f, &Claims{SessionID: "0193aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee", Subject: "u1", ID: "j1", IssuedAt: now}
}

func TestFeedCheckAllocatesNothing(t *testing.T) {
	for _, n := range []int{0, 1, 10_000} {
		f, c := grown(t, n, Refuse)
		ctx := t.Context()
		allocations := testing.AllocsPerRun(1000, func() {
			if f.check(ctx, "token", "k1", c) != nil {
				t.Error("refused")
			}
		})
		if allocations != 0 {
			t.Errorf("%d entries: %v allocations", n, allocations)
		}
	}
}

type body string

func (b body) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(b))), Request: r}, nil
}

// FuzzFeedPage: no answer makes a feed panic, take something back, or call itself
// complete without saying so.
func FuzzFeedPage(f *testing.F) {
	f.Add(`{"cursor":"1-1","more":false,"lag_ms":0,"revocations":[{"sid":"a","exp":4000000000},{"all":true,"iat_before":1,"exp":4000000000}]}`)
	f.Add(`{"cursor":"1-1","more":true,"lag_ms":9223372036854775807,"revocations":[{"sub":"a","iat_before":1,"exp":1},{}]}`)
	f.Add(`{"revocations":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		feed, err := NewFeed(FeedConfig{Issuer: someIssuer, Client: &http.Client{Transport: body(text)}})
		if err != nil {
			t.Fatal(err)
		}
		name, exp := "s1", time.Now().Add(time.Hour).Unix()
		feed.apply([]entry{{Session: &name, Expires: &exp}})
		more, err := feed.step(t.Context(), 0)
		if (feed.complete.Load() != nil) != (err == nil && !more) {
			t.Errorf("complete = %v, more = %t, error = %v", feed.complete.Load(), more, err)
		}
		if !feed.set.end(&Claims{SessionID: "s1"}, "k1") {
			t.Error("an entry is gone")
		}
	})
}
