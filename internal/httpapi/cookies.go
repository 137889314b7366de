package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/pkg/bearer"
)

// refreshCookie is the name of the cookie of a refresh token. Both names begin
// with __Host-Http- so that a browser that knows the prefix takes them only from
// a header, and an older one sees __Host- in it (RFC 10025).
const refreshCookie = "__Host-Http-jotgate-refresh"

func setCookies(c *gin.Context, t gate.Tokens) {
	setCookie(c, bearer.CookieName, t.Access, t.AccessExpires.Sub(t.IssuedAt))
	setCookie(c, refreshCookie, t.Refresh, t.RefreshExpires.Sub(t.IssuedAt))
}

// clearCookies takes cookies back. A browser forgets one only if told with the
// attributes that it was set with.
func clearCookies(c *gin.Context, names ...string) {
	for _, name := range names {
		setCookie(c, name, "", 0)
	}
}

// setCookie sets a cookie for life, or clears it if that is no whole second.
func setCookie(c *gin.Context, name, value string, life time.Duration) {
	maxAge := int(life / time.Second)
	if maxAge <= 0 {
		maxAge = -1 // net/http writes Max-Age=0
	}
	http.SetCookie(c.Writer, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: maxAge,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// clearDead takes back the cookies of a request whose access token, in a cookie,
// was refused with err: only the access cookie of a session that may live on.
func (s *server) clearDead(c *gin.Context, err error) {
	credential, none := bearer.FromRequest(c.Request)
	if none != nil || !credential.Cookie {
		return
	}
	switch {
	case errors.Is(err, session.ErrEnded), s.isOver(c.Request.Context(), err):
		clearCookies(c, bearer.CookieName, refreshCookie)
	case errors.Is(err, bearer.ErrInvalidToken):
		clearCookies(c, bearer.CookieName)
	}
}

// isOver reports whether err refuses the token of a session that has ended. That of
// a user whose roles have changed is revoked too, and its session goes on.
func (s *server) isOver(ctx context.Context, err error) bool {
	revoked, ok := errors.AsType[*bearer.RevokedError](err)
	if !ok {
		return false
	}
	_, err = s.Gate.Caller(ctx, revoked.Claims.SessionID, revoked.Claims.Subject)
	return errors.Is(err, session.ErrEnded)
}
