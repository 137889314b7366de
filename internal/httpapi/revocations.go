package httpapi

import (
	"context"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"

	"github.com/jotgate/jotgate/internal/revocation"
)

const (
	feedPath = "/v1/revocations"
	// maxFollowing bounds the requests that wait for the feed at once, and their
	// memory: about 40 KiB each with their connection.
	maxFollowing = 5000
	// feedPage is how many entries one answer has at most.
	feedPage = 1000
	maxWait  = 25 * time.Second
	// heartbeat is how often a stream says something, so that whoever follows it knows
	// that there is nothing new.
	heartbeat = 5 * time.Second
	// feedPatience is how long a follower may take to read one answer.
	feedPatience = 10 * time.Second

	eventStream = "text/event-stream"
)

var errFollowing = &requestError{code: "overloaded", detail: "Too many requests wait for the feed."}

// feedAnswer is a page of the feed on the wire.
type feedAnswer struct {
	Cursor      string        `json:"cursor"`
	More        bool          `json:"more"`
	Time        time.Time     `json:"time"`
	LagMS       int64         `json:"lag_ms"`
	Revocations []revokedView `json:"revocations"`
}

// revokedView names what is no longer good by the claims of its tokens. Its times
// are NumericDates, as theirs are (RFC 7519, section 2).
type revokedView struct {
	SessionID    string `json:"sid,omitzero"`
	Subject      string `json:"sub,omitzero"`
	KeyID        string `json:"kid,omitzero"`
	All          bool   `json:"all,omitzero"`
	Changed      string `json:"changed,omitzero"`
	IssuedBefore int64  `json:"iat_before,omitzero"`
	Expires      int64  `json:"exp"`
}

func viewRevoked(e revocation.Entry) revokedView {
	v := revokedView{Expires: e.ExpiresAt.Unix() + 1} // not before the fraction is over
	switch e.Kind {
	case revocation.Session:
		v.SessionID = e.ID
	case revocation.User:
		v.Subject, v.IssuedBefore = e.ID, e.NotBefore.Unix()
	case revocation.Key:
		v.KeyID = e.ID
	case revocation.All:
		v.All, v.IssuedBefore = true, e.NotBefore.Unix()
	case revocation.Changed:
		v.Changed = e.ID
	}
	return v
}

// revocations answers with what ended after a cursor, at once or as soon as there
// is something. It asks for no credential: what it tells are random ids that
// mean nothing to who has not seen them.
func (s *server) revocations(c *gin.Context) error {
	after, wait, err := feedQuery(c.Request)
	if err != nil {
		return err
	}
	stream := wantsStream(c.Request.Header.Values("Accept"))
	if wait > 0 || stream {
		// The connection is not read while a body is outstanding, so that a client that
		// has left would keep its place.
		if c.Request.ContentLength != 0 {
			c.Header("Connection", "close") // or the refusal waits for the body, too
			return malformed("A request that waits has no body.")
		}
		select {
		case s.following <- struct{}{}:
			defer func() { <-s.following }()
		default:
			return errFollowing
		}
	}
	ctx, cancel := s.untilStopping(c.Request.Context())
	defer cancel()
	if stream && c.Request.Method == http.MethodGet {
		return s.streamFeed(ctx, c, after)
	}
	if err := allow(c.Writer, wait+feedPatience); err != nil {
		return err
	}
	return encode(c, http.StatusOK, viewPage(s.Revocations.Next(ctx, after, feedPage, wait)))
}

// wantsStream reports whether an Accept header names event streams and gives them a
// weight that is not zero (RFC 9110, section 12.5.1). Who takes anything gets a page.
func wantsStream(accept []string) bool {
	for item := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, params, err := mime.ParseMediaType(item)
		if err != nil || kind != eventStream {
			continue
		}
		if q, err := strconv.ParseFloat(params["q"], 64); err != nil || q > 0 {
			return true
		}
	}
	return false
}

func viewPage(p revocation.Page) feedAnswer {
	views := make([]revokedView, len(p.Entries))
	for i, e := range p.Entries {
		views[i] = viewRevoked(e)
	}
	return feedAnswer{
		Cursor: p.Next.String(), More: p.More, Time: p.Time.UTC().Truncate(time.Microsecond),
		LagMS: max(p.Lag, 0).Milliseconds(), Revocations: views,
	}
}

// feedQuery reads after and wait.
func feedQuery(r *http.Request) (after revocation.Cursor, wait time.Duration, err error) {
	q, err := parseQuery(r)
	if err != nil {
		return after, 0, err
	}
	cursor := q.Get("after")
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		cursor = id
	}
	if cursor != "" {
		if after, err = revocation.ParseCursor(cursor); err != nil {
			return after, 0, err
		}
	}
	if text := q.Get("wait"); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return after, 0, invalid(fieldError{"", "invalid", "The parameter wait is whole seconds."})
		}
		wait = min(time.Duration(seconds)*time.Second, maxWait)
	}
	return after, wait, nil
}

// untilStopping is ctx until the program takes no more requests.
func (s *server) untilStopping(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() { // it ends with the request
		select {
		case <-s.Stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// allow gives the answer to a request that waits more time than others have.
func allow(w http.ResponseWriter, d time.Duration) error {
	return http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d)) //nolint:forbidigo // the network's clock
}

// streamFeed answers with server-sent events until the client leaves. The last
// event's id is where a new stream goes on.
func (s *server) streamFeed(ctx context.Context, c *gin.Context, after revocation.Cursor) error {
	h := c.Writer.Header()
	h.Set("Content-Type", eventStream)
	h.Set("X-Accel-Buffering", "no") // nginx would keep events until a buffer is full
	c.Status(http.StatusOK)
	wait := time.Duration(0)
	for ctx.Err() == nil {
		p := s.Revocations.Next(ctx, after, feedPage, wait)
		if err := writeEvent(c.Writer, p); err != nil {
			return nil //nolint:nilerr // the client has gone
		}
		if after = p.Next; !p.More {
			wait = heartbeat
		}
	}
	return nil
}

func writeEvent(w gin.ResponseWriter, p revocation.Page) error {
	if err := allow(w, feedPatience); err != nil {
		return err
	}
	text, err := json.Marshal(viewPage(p))
	if err != nil {
		return err
	}
	event := "id: " + p.Next.String() + "\nevent: revocations\ndata: " + string(text) + "\n\n"
	if _, err := w.WriteString(event); err != nil {
		return err
	}
	return http.NewResponseController(w).Flush()
}
