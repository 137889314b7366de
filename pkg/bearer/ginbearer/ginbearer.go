// Package ginbearer is package bearer's guard as Gin middleware.
package ginbearer

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/jotgate/jotgate/pkg/bearer"
)

// Require lets requests through that present a valid token with all scopes, and
// answers others with refuse, or with g's own answer if refuse is nil. refuse
// need not abort.
func Require(g *bearer.Guard, refuse func(c *gin.Context, err error), scopes ...string) gin.HandlerFunc {
	return handler(g, refuse, func(r *http.Request) (*http.Request, error) { return g.Admit(r, scopes...) })
}

// RequireRole is [Require] for users with one of roles at least. Behind a Require
// with the same g it does not verify the token again.
func RequireRole(g *bearer.Guard, refuse func(c *gin.Context, err error), roles ...string) gin.HandlerFunc {
	return handler(g, refuse, func(r *http.Request) (*http.Request, error) { return g.AdmitRole(r, roles...) })
}

func handler(g *bearer.Guard, refuse func(c *gin.Context, err error), admit func(*http.Request) (*http.Request, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		r, err := admit(c.Request)
		if err == nil {
			c.Request = r
			c.Next()
			return
		}
		c.Abort()
		if refuse != nil {
			refuse(c, err)
			return
		}
		g.Answer(c.Writer, c.Request, err)
	}
}

// Claims returns the claims of the token that the request presented, if
// [Require] let it through.
func Claims(c *gin.Context) (*bearer.Claims, bool) {
	return bearer.FromContext(c.Request.Context())
}
