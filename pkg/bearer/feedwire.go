package bearer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	maxPage = 1 << 20 // bytes; a full page of jotgate's has a tenth
	maxName = 255     // bytes; jotgate's have 36
	// stall is how much later than it was asked to an answer may be there.
	stall = 5 * time.Second
)

// page is one answer of GET /v1/revocations. What must be there is a pointer or a
// slice: an answer without it is somebody else's.
type page struct {
	Cursor  string  `json:"cursor"`
	More    *bool   `json:"more"`
	Lag     *int64  `json:"lag_ms"`
	Entries []entry `json:"revocations"`
	arrived time.Time
}

// entry names what ended, by the one of the first four members that is there. An
// entry without any of them ends nothing here: one that is "changed", as nothing but
// whether a token is good is remembered, and one of a later version.
type entry struct {
	Session      *string `json:"sid"`
	Subject      *string `json:"sub"`
	Key          *string `json:"kid"`
	All          bool    `json:"all"`
	IssuedBefore *int64  `json:"iat_before"`
	Expires      *int64  `json:"exp"`
}

var cursors = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// check refuses a page that cannot be followed to the letter. To skip an entry
// that ends something would be to accept what it ends.
func (p *page) check() error {
	switch {
	case !cursors.MatchString(p.Cursor):
		return errors.New("no cursor")
	case p.More == nil || p.Entries == nil:
		return errors.New("more or revocations is missing")
	case p.Lag == nil || *p.Lag < 0:
		return errors.New("lag_ms is missing or negative")
	}
	for i := range p.Entries {
		if err := p.Entries[i].check(); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
	}
	return nil
}

func (e *entry) check() error {
	names := 0
	for _, name := range []*string{e.Session, e.Subject, e.Key} {
		if name == nil {
			continue
		}
		names++
		if *name == "" || len(*name) > maxName {
			return fmt.Errorf("%d bytes is not the length of a name", len(*name))
		}
	}
	if e.All {
		names++
	}
	switch {
	case names == 0:
		return nil
	case names > 1:
		return errors.New("it names two things")
	case !isTime(e.Expires):
		return errors.New("exp is not a time")
	case (e.Subject != nil || e.All) && !isTime(e.IssuedBefore):
		return errors.New("iat_before is not a time")
	}
	return nil
}

func isTime(t *int64) bool { return t != nil && 0 < *t && *t <= latest }

// expires is exp and the greatest leeway that a verifier can have: jotgate reckons
// with its own, which may be smaller. An entry without exp names nothing, and has
// expired.
func (e *entry) expires() int64 {
	if e.Expires == nil {
		return 0
	}
	return *e.Expires + int64(maxLeeway/time.Second)
}

// lag is how old the issuer's own knowledge was. More than a day is one day: no
// MaxStaleness is as long.
func (p *page) lag() time.Duration {
	return time.Duration(min(*p.Lag, int64(maxLife/time.Millisecond))) * time.Millisecond
}

// asOf is what the issuer's knowledge was of when it answered, which it did until
// held at the latest, by either clock: what took longer was the way.
func (p *page) asOf(held time.Time) time.Time {
	answered := p.arrived
	if elapsed(held, answered) > 0 {
		answered = held
	}
	return answered.Add(-p.lag())
}

// statusError is an answer other than 200.
type statusError struct {
	status     int
	retryAfter time.Duration
}

func (e *statusError) Error() string { return fmt.Sprintf("status %d", e.status) }

// ask reads the page after cursor, for which the issuer may take as long as wait.
func (f *Feed) ask(ctx context.Context, cursor string, wait time.Duration) (*page, error) {
	query := url.Values{}
	if cursor != "" {
		query.Set("after", cursor)
	}
	if wait > 0 {
		query.Set("wait", strconv.Itoa(int(wait/time.Second)))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, wait+stall, fmt.Errorf("no answer within %s", wait+stall))
	defer cancel()
	p, err := f.get(ctx, f.url+"?"+query.Encode())
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return p, err
}

func (f *Feed) get(ctx context.Context, at string) (p *page, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Cache-Control", "no-cache")
	res, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	arrived := f.now() // with the head; the body may take its time
	if res.StatusCode != http.StatusOK {
		return nil, &statusError{status: res.StatusCode, retryAfter: retryAfter(res.Header)}
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxPage+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxPage:
		return nil, fmt.Errorf("more than %d bytes", maxPage)
	}
	p = &page{arrived: arrived}
	if err := json.Unmarshal(text, p); err != nil {
		return nil, errors.New("not a page of the feed") // err would quote it
	}
	return p, p.check()
}

// retryAfter reads the seconds of Retry-After (RFC 9110, section 10.2.3), as far as
// they are honoured.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, int(maxBackoff/time.Second))) * time.Second
}
