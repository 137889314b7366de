package bearer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxDocument  = 64 << 10 // bytes
	fetchTimeout = 5 * time.Second
	// coolDown is how long after a fetch an unknown kid causes no other one.
	coolDown      = 10 * time.Second
	defaultMaxAge = 5 * time.Minute
	minMaxAge     = time.Minute
	maxMaxAge     = time.Hour
	// patience is how long a token waits for newer keys if those that are there have
	// outlived what the issuer gave them.
	patience = time.Second
)

// remote keeps the keys of an issuer. It fetches them when a token needs it: in
// the last quarter of the life that the issuer gave them, without making that
// token wait, and for an unknown kid at most once in a cool-down, however many
// tokens ask. Keys that it has stay good while the issuer is away.
//
// Keys past their life, after an hour without a token say, are not used before the
// issuer had a second to replace them: one of them may have been taken back.
type remote struct {
	url    string
	client *http.Client
	now    func() time.Time
	ended  func(kid string) bool // whether the feed ended this key

	keys atomic.Pointer[keys]

	mu       sync.Mutex
	fetching chan struct{}
	tried    time.Time
	dropped  time.Time // when a key that ended last made for a fetch at once
	failed   error     // what became of the last fetch
}

// keys is what one fetch brought.
type keys struct {
	byKID   map[string]Key
	renew   time.Time // when to fetch newer ones
	expires time.Time // when to wait for them
}

// discover finds the issuer's keys through its metadata.
func discover(ctx context.Context, c Config) (*remote, error) {
	issuer, err := parseIssuer(c.Issuer)
	if err != nil {
		return nil, err
	}
	r := &remote{client: clientOf(c.Client), now: c.Now, ended: func(string) bool { return false }}
	m, err := fetchMetadata(ctx, r.client, issuer, c.Issuer)
	if err != nil {
		return nil, err
	}
	if !isOwn(issuer, m.JWKSURI) {
		return nil, errors.New("bearer: jwks_uri is neither https nor the issuer's own")
	}
	r.url = m.JWKSURI
	if c.Feed != nil {
		r.ended = c.Feed.set.endsKey
	}
	if err := r.fetch(ctx); err != nil {
		return nil, fmt.Errorf("bearer: fetch keys of %s: %w", c.Issuer, err)
	}
	if c.Feed != nil {
		c.Feed.whenKeyEnds(r.drop)
	}
	for kid := range r.keys.Load().byKID {
		if r.ended(kid) {
			r.drop(kid) // between that fetch and now
		}
	}
	return r, nil
}

// metadata is the endpoints of an issuer.
type metadata struct {
	Issuer                string `json:"issuer"`
	JWKSURI               string `json:"jwks_uri"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
}

// fetchMetadata asks the issuer what it is like (RFC 8414, section 3), which calls
// itself name.
func fetchMetadata(ctx context.Context, client *http.Client, issuer *url.URL, name string) (metadata, error) {
	well := *issuer
	well.Path = "/.well-known/oauth-authorization-server" + strings.TrimSuffix(issuer.Path, "/")
	text, _, err := get(ctx, client, well.String())
	if err != nil {
		return metadata{}, fmt.Errorf("bearer: fetch metadata of %s: %w", name, err)
	}
	var m metadata
	if err := json.Unmarshal(text, &m); err != nil {
		return metadata{}, fmt.Errorf("bearer: %s answers something else than metadata: %w", &well, err)
	}
	if m.Issuer != name {
		return metadata{}, fmt.Errorf("bearer: the issuer asked for is %q, and %s is that of %q", name, &well, m.Issuer)
	}
	return m, nil
}

// isOwn reports whether an endpoint that the issuer told of may be trusted as far as
// the issuer.
func isOwn(issuer *url.URL, endpoint string) bool {
	at, err := url.Parse(endpoint)
	return err == nil && at.Host != "" && (at.Scheme == "https" || (at.Scheme == issuer.Scheme && at.Host == issuer.Host))
}

// key is Config.Keys of a remote issuer.
func (r *remote) key(ctx context.Context, kid string) (Key, error) {
	have, now := r.keys.Load(), r.now()
	k, known := have.byKID[kid]
	switch {
	case !known:
		return r.newKey(ctx, kid)
	case elapsed(have.renew, now) < 0:
	case elapsed(have.expires, now) < 0:
		r.refresh(ctx)
	default:
		r.waitAwhile(ctx)
		if k, known = r.keys.Load().byKID[kid]; !known {
			return Key{}, errNotTheIssuers
		}
	}
	return k, nil
}

var errNotTheIssuers = errors.New("not one of the issuer's")

// newKey waits for the key of a kid that is not there.
func (r *remote) newKey(ctx context.Context, kid string) (Key, error) {
	err := r.wait(ctx)
	if k, known := r.keys.Load().byKID[kid]; known {
		return k, nil
	}
	if err != nil { // it may be the issuer's next one
		return Key{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return Key{}, errNotTheIssuers
}

// refresh has the keys fetched, unless that is under way or was tried just now.
// It returns a channel that is closed when no fetch is under way. Callers that
// come together share one fetch, and one that leaves does not end it: it lives as
// long as the client's time-out at most.
func (r *remote) refresh(ctx context.Context) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	done := r.fetching
	if done != nil {
		return done
	}
	done = make(chan struct{})
	if since := elapsed(r.tried, r.now()); 0 <= since && since < coolDown {
		close(done)
		return done
	}
	r.fetching, r.tried = done, r.now()
	go r.fetchFor(context.WithoutCancel(ctx), done)
	return done
}

// wait is refresh, and what became of the last fetch when it is over or ctx ends.
func (r *remote) wait(ctx context.Context) error {
	select {
	case <-r.refresh(ctx):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// waitAwhile is refresh, until it is over or patience with that fetch is.
func (r *remote) waitAwhile(ctx context.Context) {
	done := r.refresh(ctx)
	r.mu.Lock()
	waited := r.now().Sub(r.tried)
	r.mu.Unlock()
	enough := time.NewTimer(patience - waited)
	defer enough.Stop()
	select {
	case <-done:
	case <-enough.C:
	case <-ctx.Done():
	}
}

func (r *remote) fetchFor(ctx context.Context, done chan struct{}) {
	err := r.fetch(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.postpone()
	}
	r.fetching, r.failed = nil, err
	close(done)
}

// postpone keeps the keys that are there, with the next fetch a cool-down away. No
// token waits for an issuer that is known to be away.
func (r *remote) postpone() {
	have, now := r.keys.Load(), r.now()
	r.keys.Store(&keys{byKID: have.byKID, renew: now.Add(coolDown), expires: now.Add(maxMaxAge)})
}

// drop forgets a key that the feed ended. The next token, whoever signed it, has
// the keys fetched, so that its successor is there; a flood of such entries causes
// no flood of fetches.
func (r *remote) drop(kid string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	have, now := r.keys.Load(), r.now()
	next := &keys{byKID: maps.Clone(have.byKID), renew: have.renew, expires: have.expires}
	delete(next.byKID, kid)
	if since := now.Sub(r.dropped); since < 0 || since >= coolDown {
		r.dropped, r.tried, next.renew = now, time.Time{}, now
	}
	r.keys.Store(next)
}

func (r *remote) fetch(ctx context.Context) error {
	text, life, err := get(ctx, r.client, r.url)
	if err != nil {
		return err
	}
	byKID, err := parseKeys(text)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	for kid := range byKID {
		if r.ended(kid) {
			// The replica that answered has not heard of it, nor of the successor.
			delete(byKID, kid)
			r.tried = now.Add(time.Second - coolDown)
		}
	}
	r.keys.Store(&keys{byKID: byKID, renew: now.Add(life - life/4), expires: now.Add(life)})
	return nil
}

// get reads a small document, and how long it may be kept.
func get(ctx context.Context, client *http.Client, at string) (text []byte, life time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, 0, err
	}
	return fetch(client, req)
}

func fetch(client *http.Client, req *http.Request) (text []byte, life time.Duration, err error) {
	req.Header.Set("Accept", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	if res.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("status %d", res.StatusCode)
	}
	text, err = io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	if err == nil && len(text) > maxDocument {
		err = fmt.Errorf("more than %d bytes", maxDocument)
	}
	return text, maxAge(res.Header.Get("Cache-Control")), err
}

// maxAge reads max-age (RFC 9111, section 5.2.2.1) within the bounds that keep
// both the issuer and the verifier well.
func maxAge(cacheControl string) time.Duration {
	for directive := range strings.SplitSeq(cacheControl, ",") {
		text, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(directive)), "max-age=")
		if !ok {
			continue
		}
		if seconds, err := strconv.Atoi(text); err == nil {
			seconds = min(seconds, int(maxMaxAge/time.Second)) // or the product overflows
			return min(max(time.Duration(seconds)*time.Second, minMaxAge), maxMaxAge)
		}
	}
	return defaultMaxAge
}
