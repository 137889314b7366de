package bearer

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	askTimeout = 2 * time.Second
	asksAtOnce = 32
	// remembered is how long an answer counts for the same token. It is as long as
	// a revocation may go unnoticed here.
	remembered = 2 * time.Second
	// maxVerdicts bounds the tokens that are asked about and remembered.
	maxVerdicts = 4096
)

// asker asks whether tokens are active, each once at a time and not again for a
// moment. It knows a token by the digest of its exact text: another spelling of the
// same token only misses it.
type asker struct {
	introspect func(ctx context.Context, token string) (active bool, err error)
	builtIn    *introspection // nil if introspect is the caller's own
	now        func() time.Time
	slots      chan struct{}

	mu       sync.Mutex
	verdicts map[[sha256.Size]byte]*verdict
}

// verdict is what the issuer says of one token. What is below done may be read
// once that is closed.
type verdict struct {
	done   chan struct{}
	active bool
	err    error
	until  time.Time
}

func newAsker(c FeedConfig, issuer *url.URL) *asker {
	a := &asker{
		introspect: c.Introspect, now: c.Now,
		slots: make(chan struct{}, asksAtOnce), verdicts: map[[sha256.Size]byte]*verdict{},
	}
	if a.introspect == nil {
		a.builtIn = &introspection{issuer: issuer, name: c.Issuer, id: c.ClientID, secret: c.ClientSecret, client: clientOf(c.Client)}
		a.introspect = a.builtIn.active
	}
	return a
}

var (
	errSlow = errors.New("introspection takes too long")
	errBusy = errors.New("too many tokens to ask about")
)

// ask returns nil, [ErrRevoked] or [ErrUnavailable].
func (a *asker) ask(ctx context.Context, token string) error {
	v := a.verdictOn(ctx, token)
	enough := time.NewTimer(askTimeout)
	defer enough.Stop()
	err := errSlow
	select {
	case <-v.done:
		err = v.err
	case <-enough.C:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w: introspection, as the revocation feed is stale: %w", ErrUnavailable, err)
	case !v.active:
		return ErrRevoked
	}
	return nil
}

// verdictOn returns the verdict on token that is remembered or under way, or has
// the issuer asked for one. A caller that leaves does not end that for the others.
func (a *asker) verdictOn(ctx context.Context, token string) *verdict {
	digest := sha256.Sum256([]byte(token))
	a.mu.Lock()
	defer a.mu.Unlock()
	if v, ok := a.verdicts[digest]; ok && (!v.over() || a.now().Before(v.until)) {
		return v
	}
	v := &verdict{done: make(chan struct{})}
	if len(a.verdicts) >= maxVerdicts {
		a.forget()
	}
	if len(a.verdicts) >= maxVerdicts {
		v.err = errBusy
		close(v.done)
		return v
	}
	a.verdicts[digest] = v
	go a.find(context.WithoutCancel(ctx), token, digest, v)
	return v
}

func (v *verdict) over() bool {
	select {
	case <-v.done:
		return true
	default:
		return false
	}
}

// forget makes room; what is under way stays.
func (a *asker) forget() {
	for digest, v := range a.verdicts {
		if v.over() {
			delete(a.verdicts, digest)
		}
	}
}

func (a *asker) find(ctx context.Context, token string, digest [sha256.Size]byte, v *verdict) {
	ctx, cancel := context.WithTimeoutCause(ctx, askTimeout, errSlow)
	defer cancel()
	defer close(v.done)
	v.active, v.err = a.call(ctx, token)
	a.mu.Lock()
	defer a.mu.Unlock()
	v.until = a.now().Add(remembered)
	if v.err != nil {
		delete(a.verdicts, digest) // nothing to remember
	}
}

func (a *asker) call(ctx context.Context, token string) (active bool, err error) {
	select {
	case a.slots <- struct{}{}:
	case <-ctx.Done():
		return false, errBusy
	}
	defer func() { <-a.slots }()
	active, err = a.introspect(ctx, token)
	return active && err == nil, err
}

// introspection is RFC 7662 with client_secret_basic.
type introspection struct {
	issuer     *url.URL
	name       string // as it calls itself
	id, secret string
	client     *http.Client

	mu       sync.Mutex
	endpoint string // empty until the issuer's metadata told
}

// prepare learns the endpoint while the issuer is there: it is needed once it
// may be half away.
func (i *introspection) prepare(ctx context.Context) {
	for failures := 0; ; failures++ {
		_, err := i.find(ctx)
		if err == nil || !sleep(ctx, backoff(failures, err)) {
			return
		}
	}
}

func (i *introspection) find(ctx context.Context) (string, error) {
	i.mu.Lock()
	endpoint := i.endpoint
	i.mu.Unlock()
	if endpoint != "" {
		return endpoint, nil
	}
	m, err := fetchMetadata(ctx, i.client, i.issuer, i.name)
	if err != nil {
		return "", err
	}
	if !isOwn(i.issuer, m.IntrospectionEndpoint) {
		return "", errors.New("bearer: introspection_endpoint is neither https nor the issuer's own")
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.endpoint = m.IntrospectionEndpoint
	return i.endpoint, nil
}

func (i *introspection) active(ctx context.Context, token string) (bool, error) {
	endpoint, err := i.find(ctx)
	if err != nil {
		return false, err
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(i.id), url.QueryEscape(i.secret)) // RFC 6749, section 2.3.1
	text, _, err := fetch(i.client, req)
	if err != nil {
		return false, err
	}
	var answer struct {
		Active *bool `json:"active"`
	}
	if json.Unmarshal(text, &answer) != nil || answer.Active == nil {
		return false, errors.New("not an introspection response")
	}
	return *answer.Active, nil
}
