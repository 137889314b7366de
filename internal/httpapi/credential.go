package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/oauth"
	"github.com/jotgate/jotgate/internal/scope"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/pkg/bearer"
	"github.com/jotgate/jotgate/pkg/bearer/ginbearer"
)

const keyHolder = "key_holder"

// authenticate lets requests through that present an access token or an API key.
func (s *server) authenticate() gin.HandlerFunc {
	byToken := ginbearer.Require(s.guard, s.refuse)
	return func(c *gin.Context) {
		key, ok := presentedKey(c.Request)
		if !ok {
			byToken(c)
			return
		}
		who, err := s.Gate.KeyHolder(c.Request.Context(), key)
		if err != nil {
			s.fail(c, err)
			return
		}
		c.Set(keyHolder, who)
		c.Set(keyUserID, string(who.User.ID))
		c.Next()
	}
}

// presentedKey returns the API key that r presents, if it presents one and no token.
func presentedKey(r *http.Request) (string, bool) {
	given := r.Header["Authorization"]
	if len(given) != 1 {
		return "", false
	}
	if _, text, _ := strings.Cut(given[0], " "); !strings.HasPrefix(text, apikey.Prefix) {
		return "", false
	}
	presented, err := bearer.FromRequest(r)
	return presented.Token, err == nil
}

// holder returns who presented an API key.
func holder(c *gin.Context) (gate.Caller, bool) {
	v, _ := c.Get(keyHolder)
	who, ok := v.(gate.Caller)
	return who, ok
}

// caller hands h whom the request is from, as the database knows them: a user in
// a session or with an API key, or nobody for a client that acts for itself.
func (s *server) caller(h func(*gin.Context, gate.Caller) error) func(*gin.Context) error {
	return func(c *gin.Context) error {
		who, ok := holder(c)
		if ok {
			return h(c, who)
		}
		claims, ok := ginbearer.Claims(c)
		if !ok {
			return bearer.ErrNoCredentials
		}
		if claims.SessionID == "" {
			return h(c, gate.Caller{})
		}
		who, err := s.Gate.Caller(c.Request.Context(), claims.SessionID, claims.Subject)
		if err == nil {
			who.Good = s.stillGood(c)
			err = h(c, who)
		}
		if err != nil {
			s.clearDead(c, err)
		}
		return err
	}
}

// granted is what a credential says, whichever kind it is.
type granted struct {
	userID, sessionID, clientID string
	roles, scopes               []string
	cookie                      bool // it came in a cookie
}

func grantedTo(c *gin.Context) (granted, error) {
	if who, ok := holder(c); ok {
		return granted{userID: string(who.User.ID), roles: userOf(who.User).Roles, scopes: who.Key.Scopes}, nil
	}
	claims, ok := ginbearer.Claims(c)
	if !ok {
		return granted{}, bearer.ErrNoCredentials
	}
	g := granted{userID: claims.Subject, sessionID: claims.SessionID, roles: claims.Roles, scopes: strings.Fields(claims.Scope), cookie: claims.Mode == string(session.Cookie)}
	if claims.SessionID == "" {
		g.userID, g.clientID = "", claims.ClientID
	}
	return g, nil
}

// demand returns a [*bearer.ScopeError] unless all of wanted are granted.
func (g granted) demand(wanted ...string) error {
	if len(scope.Within(wanted, g.scopes)) < len(wanted) {
		return &bearer.ScopeError{Scope: strings.Join(wanted, " ")}
	}
	return nil
}

// admin hands act who administers: the user whose key it is, or the client. Their
// credential has the scope admin and is good at this moment. read comes before that is
// looked at, as the order of checks has it.
func admin[T any](s *server, read func(*gin.Context) (T, error), act func(c *gin.Context, actor oauth.Actor, v T) error) func(*gin.Context) error {
	return func(c *gin.Context) error {
		v, err := read(c)
		if err != nil {
			return err
		}
		g, err := grantedTo(c)
		if err != nil {
			return err
		}
		if err := g.demand(scope.Admin); err != nil {
			return err
		}
		actor := s.actor(c, g)
		if err := actor.Good(c.Request.Context()); err != nil {
			return err
		}
		return act(c, actor, v)
	}
}

// actor is whom g was granted to, an administrator's API key or a client.
func (s *server) actor(c *gin.Context, g granted) oauth.Actor {
	if who, ok := holder(c); ok {
		return oauth.Actor{ID: g.userID, Good: func(ctx context.Context) error {
			scopes, err := s.Gate.KeyScopes(ctx, who)
			if err != nil {
				return err
			}
			return granted{scopes: scopes}.demand(scope.Admin)
		}}
	}
	claims, _ := ginbearer.Claims(c)
	good := s.stillGood(c)
	return oauth.Actor{ID: g.clientID, Good: func(ctx context.Context) error {
		alive, err := s.OAuth.Alive(ctx, oauth.Token{Subject: claims.Subject, SessionID: claims.SessionID, IssuedAt: claims.IssuedAt})
		switch {
		case err != nil:
			return err
		case !alive:
			return session.ErrEnded
		}
		return good(ctx)
	}}
}

// stillGood returns what judges anew the access token that c came with: since it was let in
// it may have expired or been revoked, alone or with its signing key. That asks no database:
// of what another replica revoked it learns from the feed, as a request does that comes only now.
func (s *server) stillGood(c *gin.Context) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		_, err := s.guard.Check(c.Request.WithContext(ctx))
		return err
	}
}

// nothing reads a body without members, which may be absent.
func nothing(c *gin.Context) (v struct{}, err error) {
	v, _, err = decodeOptional[struct{}](c)
	return v, err
}
