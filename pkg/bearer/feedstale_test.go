package bearer_test

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/pkg/bearer"
)

// slowBody is a body that takes its time.
type slowBody struct {
	io.Reader
	wait time.Duration
}

func (b *slowBody) Read(p []byte) (int, error) {
	time.Sleep(b.wait)
	b.wait = 0
	return b.Reader.Read(p)
}

func (*slowBody) Close() error { return nil }

// What is on its way for long is as old as the question, or as its head.
func TestStalenessCountsTheWay(t *testing.T) {
	for name, tt := range map[string]struct {
		delay func(*http.Response)
		held  time.Duration // how old an answer is that the issuer might have held for as long
	}{
		"of the head": {func(*http.Response) { time.Sleep(4 * time.Second) }, 0},
		"of the body": {func(r *http.Response) { r.Body = &slowBody{r.Body, 4 * time.Second} }, 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority()
				a.answer = func(r *http.Request) (*http.Response, error) {
					body, _, _ := a.after(r.URL.Query().Get("after"))
					res := reply(r, 200, body)
					tt.delay(res)
					return res, nil
				}
				f := a.followed(t)
				if got := f.Staleness(); got != 4*time.Second {
					t.Errorf("at once: %s", got)
				}
				time.Sleep(4*time.Second + time.Millisecond)
				if got := f.Staleness(); got != tt.held+time.Millisecond {
					t.Errorf("then: %s", got)
				}
			})
		})
	}
}

// An answer that was there before the machine slept is as old as that.
func TestStalenessCountsASuspendedWay(t *testing.T) {
	var slept, asked atomic.Int64
	a, again := newAuthority(), make(chan struct{})
	a.answer = func(r *http.Request) (*http.Response, error) {
		switch asked.Add(1) {
		case 2: // which the issuer may hold
			slept.Store(int64(time.Hour))
		case 3:
			close(again)
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		return reply(r, 200, `{"cursor":"1-0","more":false,"lag_ms":0,"revocations":[]}`), nil
	}
	f := a.newFeed(t, func(c *bearer.FeedConfig) {
		c.Now = func() time.Time { return suspended(time.Now(), time.Duration(slept.Load())) }
	})
	stop := follow(t, f)
	<-again
	got := f.Staleness()
	stop()
	if got < time.Hour-10*time.Second {
		t.Errorf("staleness = %s", got)
	}
}
