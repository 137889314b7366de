package bearer_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/jotgate/jotgate/pkg/bearer"
)

// following is a service that refuses within a second what ended, and that does
// not start without knowing what has.
func following(ctx context.Context) (*bearer.Verifier, error) {
	feed, err := bearer.NewFeed(bearer.FeedConfig{
		Issuer:       "https://auth.example.com",
		Client:       exampleIssuer(), // left out, it is the network's
		MaxStaleness: 30 * time.Second,
		OnStale:      bearer.Refuse,
	})
	if err != nil {
		return nil, err
	}
	go feed.Run(ctx) // it returns when ctx ends
	starting, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := feed.Ready(starting); err != nil {
		return nil, err
	}
	registerMetrics(feed)
	return bearer.New(ctx, bearer.Config{
		Issuer:   "https://auth.example.com",
		Audience: "https://auth.example.com",
		Keys:     exampleKeys,
		Feed:     feed,
	})
}

// gauge has the shape of prometheus.NewGaugeFunc.
func gauge(name string, value func() float64) { fmt.Println(name, value() < 30) }

func registerMetrics(feed *bearer.Feed) {
	gauge("revocation_feed_staleness_seconds", func() float64 { return feed.Staleness().Seconds() })
	gauge("revocation_feed_entries", func() float64 { return float64(feed.Size()) })
}

func exampleIssuer() *http.Client {
	return &http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Query().Has("wait") { // nothing happens
			<-r.Context().Done()
			return nil, context.Cause(r.Context())
		}
		return reply(r, http.StatusOK, `{"cursor":"1-1","more":false,"time":"2026-11-26T04:30:00Z","lag_ms":12,
			"revocations":[{"sid":"01939c2e","exp":4102444800}]}`), nil
	})}
}

func ExampleFeed() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	verifier, err := following(ctx)
	fmt.Println(verifier != nil, err)
	// Output:
	// revocation_feed_staleness_seconds true
	// revocation_feed_entries true
	// true <nil>
}

func ExampleFeed_Health() {
	feed, err := bearer.NewFeed(bearer.FeedConfig{Issuer: "https://auth.example.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	healthz := func(w http.ResponseWriter, _ *http.Request) {
		if err := feed.Health(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	}
	w := httptest.NewRecorder()
	healthz(w, httptest.NewRequest("GET", "/healthz", nil))
	fmt.Println(w.Code, w.Body)
	// Output: 503 bearer: the revocation feed of https://auth.example.com was never read: no answer is known to be complete
}
