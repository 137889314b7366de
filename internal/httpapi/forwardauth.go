package httpapi

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/jotgate/jotgate/internal/scope"
	"github.com/jotgate/jotgate/pkg/bearer"
)

// forwardAuth answers a reverse proxy that asks whether to let a request pass.
// For a token it reads no database. A client that acts for itself has its id in a
// header of its own, so that nobody takes it for a user.
func (s *server) forwardAuth(c *gin.Context) error {
	g, err := grantedTo(c)
	if err != nil {
		return err
	}
	if g.cookie {
		if err := s.checkForwarded(c.Request); err != nil {
			return err
		}
	}
	if c.Request.URL.RawQuery != "" {
		wanted, err := demanded(c.Request)
		if err != nil {
			return err
		}
		if err := g.demand(wanted...); err != nil {
			return err
		}
	}
	// An empty one is sent, too, or a client's own would stay. Cut so that nobody can
	// append to one what is another's.
	v := [...]string{g.userID, g.sessionID, g.clientID, strings.Join(g.roles, ","), strings.Join(g.scopes, " ")}
	h := c.Writer.Header()
	h["X-Auth-User-Id"], h["X-Auth-Session-Id"], h["X-Auth-Client-Id"] = v[0:1:1], v[1:2:2], v[2:3:3]
	h["X-Auth-Roles"], h["X-Auth-Scope"] = v[3:4:4], v[4:5:5]
	return noContent(c)
}

// unread keeps the answer from waiting for a body: a proxy that names the client's may not
// send it.
func unread(c *gin.Context) {
	if c.Request.ContentLength != 0 {
		c.Header("Connection", "close")
	}
}

// checkForwarded applies the CSRF rule to the request with a cookie that the proxy asks for. It
// asks with GET whatever that request's method is, and names it in a header; the
// request's own Sec-Fetch-Site and Origin come along. A client that forges one makes
// the check stricter for itself, never weaker: every value of every header counts,
// and only GET, HEAD and OPTIONS as they are written are methods that read.
func (s *server) checkForwarded(r *http.Request) error {
	for _, name := range []string{"X-Forwarded-Method", "X-Original-Method"} {
		for _, method := range r.Header.Values(name) {
			asked := *r
			asked.Method = method
			if err := bearer.CheckOrigin(&asked, s.guard.Origins); err != nil {
				return err
			}
		}
	}
	return nil
}

// demanded returns the scopes in the query of r: names separated by spaces, or none. A
// query that cannot be read may hold one, and other parameters may be the client's: some
// proxies pass on what they were asked.
func demanded(r *http.Request) ([]string, error) {
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	names := strings.Fields(strings.Join(q["scope"], " "))
	if _, err := scope.Parse(names); err != nil {
		f := fieldOf(scope.ErrInvalid)
		f.Pointer = ""
		return nil, invalid(f)
	}
	return names, nil
}
