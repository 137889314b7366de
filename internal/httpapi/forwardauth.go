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
	if err := s.checkForwarded(c.Request); err != nil {
		return err
	}
	wanted, err := scopes(c.Request.URL.Query()["scope"])
	if err != nil {
		return err
	}
	if err := g.demand(wanted...); err != nil {
		return err
	}
	h := c.Writer.Header() // c.Header would leave an empty one out, and so a client's own in
	h.Set("X-Auth-User-Id", g.userID)
	h.Set("X-Auth-Session-Id", g.sessionID)
	h.Set("X-Auth-Client-Id", g.clientID)
	h.Set("X-Auth-Roles", strings.Join(g.roles, ","))
	h.Set("X-Auth-Scope", strings.Join(g.scopes, " "))
	return noContent(c)
}

// checkForwarded applies the CSRF rule to the request that the proxy asks for. It
// asks with GET whatever that request's method is, and names it in a header; the
// request's own Sec-Fetch-Site and Origin come along. A client that forges one makes
// the check stricter for itself, never weaker: every value of every header counts,
// and only GET, HEAD and OPTIONS as they are written are methods that read.
func (s *server) checkForwarded(r *http.Request) error {
	credential, err := bearer.FromRequest(r)
	if err != nil || !credential.Cookie {
		return err
	}
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

// scopes reads the scope parameters: names separated by spaces.
func scopes(given []string) ([]string, error) {
	names := strings.Fields(strings.Join(given, " "))
	if _, err := scope.Parse(names); err != nil {
		f := fieldOf(scope.ErrInvalid)
		f.Pointer = ""
		return nil, invalid(f)
	}
	return names, nil
}
