package httpapi

import (
	"context"
	"errors"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/pkg/bearer"
)

// signIn names the session that a credential belongs to.
type signIn struct{ sessionID, userID string }

// logout ends the session of a valid access token in the header, else of the
// refresh token in the body, else of the cookies. A session that is over already
// is not an error: the client has what it wants.
func (s *server) logout(c *gin.Context) error {
	cookies, unfit := s.visibleCookies(c.Request, bearer.CookieName, refreshCookie)
	req, err := readRefresh(c, unfit)
	switch {
	case err != nil:
		return err
	case c.Request.Header.Get("Authorization") != "" || req.RefreshToken != nil:
		return s.logoutBearer(c, req.RefreshToken)
	case unfit != nil:
		return unfit
	case cookies[0] == "" && cookies[1] == "":
		return bearer.ErrNoCredentials
	}
	return s.logoutCookies(c, cookies[0], cookies[1])
}

func (s *server) logoutBearer(c *gin.Context, refresh *string) error {
	ctx := c.Request.Context()
	var who signIn
	err := bearer.ErrInvalidToken
	if c.Request.Header.Get("Authorization") != "" {
		var credential bearer.Credential
		if credential, err = bearer.FromRequest(c.Request); err == nil {
			who, err = s.ofAccess(ctx, credential.Token, session.Bearer)
		}
		if strings.HasPrefix(credential.Token, apikey.Prefix) {
			if _, err = s.Gate.KeyHolder(ctx, credential.Token); err == nil {
				err = gate.ErrSessionNeeded
			}
		}
	}
	if who, err = s.orOfRefresh(ctx, who, err, value(refresh), session.Bearer); err != nil {
		return err
	}
	return s.endSignIn(c, who)
}

func (s *server) logoutCookies(c *gin.Context, access, refresh string) error {
	ctx := c.Request.Context()
	who, err := s.ofAccess(ctx, access, session.Cookie)
	if who, err = s.orOfRefresh(ctx, who, err, refresh, session.Cookie); err != nil {
		if errors.Is(err, bearer.ErrInvalidToken) {
			clearCookies(c, bearer.CookieName, refreshCookie)
		}
		return err
	}
	return s.endSignIn(c, who, bearer.CookieName, refreshCookie)
}

func (s *server) endSignIn(c *gin.Context, who signIn, cookies ...string) error {
	c.Set(keyUserID, who.userID)
	if err := s.Gate.Logout(c.Request.Context(), who.sessionID, who.userID, s.visit(c)); err != nil {
		return err
	}
	clearCookies(c, cookies...)
	return noContent(c)
}

// orOfRefresh returns whose refresh token it is, if err tells that the access token is not
// valid. Without one a revoked access token counts, too: its session may have ended, or go
// on because only the token is outdated, as after a change of roles.
func (s *server) orOfRefresh(ctx context.Context, who signIn, err error, refresh string, mode session.Mode) (signIn, error) {
	if err == nil {
		return who, nil
	}
	revoked := who != signIn{}
	if refresh != "" {
		found, failed := s.ofRefresh(ctx, refresh, mode)
		if failed == nil || !revoked {
			return found, failed
		}
	}
	if revoked {
		return who, nil
	}
	return signIn{}, err
}

// ofAccess returns whose access token it is, also with the error of a revoked one. One that
// is dated ahead is as good as any.
func (s *server) ofAccess(ctx context.Context, raw string, mode session.Mode) (signIn, error) {
	claims, err := s.Verifier.Verify(ctx, raw)
	revoked, ended := errors.AsType[*bearer.RevokedError](err)
	if ended {
		claims = revoked.Claims
	}
	if e, ok := errors.AsType[*bearer.NotYetError](err); ok {
		claims = e.Claims
	}
	switch {
	case claims == nil:
		return signIn{}, err
	case claims.Mode != string(mode):
		return signIn{}, bearer.ErrWrongMode
	case claims.SessionID == "" && err != nil:
		return signIn{}, err
	case claims.SessionID == "":
		return signIn{}, gate.ErrSessionNeeded
	}
	who := signIn{claims.SessionID, claims.Subject}
	if ended {
		return who, revoked
	}
	return who, nil
}

// ofRefresh returns whose refresh token it is, spent and expired ones included.
func (s *server) ofRefresh(ctx context.Context, raw string, mode session.Mode) (signIn, error) {
	sessionID, userID, err := s.Gate.SessionOf(ctx, raw, mode)
	if errors.Is(err, gate.ErrInvalidRefresh) {
		return signIn{}, bearer.ErrInvalidToken
	}
	return signIn{sessionID, userID}, err
}
