package httpapi

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/jotgate/jotgate/pkg/bearer"
	"github.com/jotgate/jotgate/pkg/bearer/ginbearer"
)

const maxScope = 64 // bytes of one scope

// forwardAuth answers a reverse proxy that asks whether to let a request pass.
// It reads no database.
func (s *server) forwardAuth(c *gin.Context) error {
	claims, ok := ginbearer.Claims(c)
	if !ok {
		return bearer.ErrNoCredentials
	}
	if err := s.checkForwarded(c.Request); err != nil {
		return err
	}
	wanted, err := scopes(c.Request.URL.Query()["scope"])
	if err != nil {
		return err
	}
	for _, scope := range wanted {
		if !claims.HasScope(scope) {
			return &bearer.ScopeError{Scope: strings.Join(wanted, " ")}
		}
	}
	h := c.Writer.Header() // c.Header would leave an empty one out, and so a client's own in
	h.Set("X-Auth-User-Id", claims.Subject)
	h.Set("X-Auth-Session-Id", claims.SessionID)
	h.Set("X-Auth-Roles", strings.Join(claims.Roles, ","))
	h.Set("X-Auth-Scope", claims.Scope)
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
	for _, name := range names {
		if len(name) > maxScope || strings.IndexFunc(name, notInScope) >= 0 {
			return nil, invalid(fieldError{"", "invalid", "A scope is 1 to 64 of a-z, 0-9, colon, dot, underscore and hyphen."})
		}
	}
	return names, nil
}

func notInScope(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune(":._-", r)
}
