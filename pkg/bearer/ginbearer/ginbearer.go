// Package ginbearer is package bearer's guard as Gin middleware.
package ginbearer

import (
	"github.com/gin-gonic/gin"

	"github.com/jotgate/jotgate/pkg/bearer"
)

// Require lets requests through that present a valid token with all scopes, and
// answers others with refuse, or with g's own answer if refuse is nil. refuse
// need not abort.
func Require(g *bearer.Guard, refuse func(c *gin.Context, err error), scopes ...string) gin.HandlerFunc {
	return func(c *gin.Context) {
		r, err := g.Admit(c.Request, scopes...)
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
