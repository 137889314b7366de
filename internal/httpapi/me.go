package httpapi

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/pkg/bearer"
)

type meAnswer struct {
	User    userView     `json:"user"`
	Session *sessionView `json:"session"` // null with an API key
}

func (s *server) me(c *gin.Context, who gate.Caller) error {
	if who.User.ID == "" {
		return gate.ErrSessionNeeded
	}
	answer := meAnswer{User: userOf(who.User)}
	if who.Key == nil {
		view := sessionOf(who.Session, who.Session.ID)
		answer.Session = &view
	}
	return encode(c, http.StatusOK, &answer)
}

type identityRequest struct {
	Username        patch   `json:"username"`
	Email           patch   `json:"email"`
	CurrentPassword *string `json:"current_password"`
}

func (s *server) changeIdentity(c *gin.Context, who gate.Caller) error {
	req, err := decode[identityRequest](c)
	if err != nil {
		return err
	}
	if err := present(map[string]*string{"/current_password": req.CurrentPassword}); err != nil {
		return err
	}
	if err := notEmpty(req.Username.value, req.Email.value); err != nil {
		return err
	}
	want := gate.IdentityChange{Username: req.Username.change(), Email: req.Email.change()}
	u, err := s.Gate.ChangeIdentity(c.Request.Context(), who, want, *req.CurrentPassword, s.visit(c))
	if err != nil {
		return inPassword("/current_password", false, err)
	}
	return encode(c, http.StatusOK, userOf(u))
}

// change returns what the flow takes: nil for no change, "" to remove.
func (p patch) change() *string {
	if p.set && p.value == nil {
		return new(string)
	}
	return p.value
}

type passwordRequest struct {
	CurrentPassword *string `json:"current_password"`
	NewPassword     *string `json:"new_password"`
}

func (s *server) changePassword(c *gin.Context, who gate.Caller) error {
	req, err := decode[passwordRequest](c)
	if err != nil {
		return err
	}
	if err := present(map[string]*string{
		"/current_password": req.CurrentPassword, "/new_password": req.NewPassword,
	}); err != nil {
		return err
	}
	// Which of the two an error is about cannot be told from the error alone.
	if err := s.Gate.Users.CheckNew(who.User, *req.NewPassword); err != nil {
		return inPassword("/new_password", true, err)
	}
	if err := s.Gate.ChangePassword(c.Request.Context(), who, *req.CurrentPassword, *req.NewPassword, s.visit(c)); err != nil {
		return inPassword("/current_password", false, err)
	}
	return noContent(c)
}

type closeRequest struct {
	CurrentPassword *string `json:"current_password"`
}

func (s *server) closeUser(c *gin.Context, who gate.Caller) error {
	req, err := decode[closeRequest](c)
	if err != nil {
		return err
	}
	if err := present(map[string]*string{"/current_password": req.CurrentPassword}); err != nil {
		return err
	}
	if err := s.Gate.Close(c.Request.Context(), who, *req.CurrentPassword, s.visit(c)); err != nil {
		return inPassword("/current_password", false, err)
	}
	return s.signedOut(c, who)
}

type sessionsAnswer struct {
	Sessions []sessionView `json:"sessions"`
}

func (s *server) listSessions(c *gin.Context, who gate.Caller) error {
	living, err := s.Gate.ListSessions(c.Request.Context(), who)
	if err != nil {
		return err
	}
	views := make([]sessionView, len(living))
	for i, l := range living {
		views[i] = sessionOf(l, who.Session.ID)
	}
	return encode(c, http.StatusOK, sessionsAnswer{views})
}

func (s *server) endSession(c *gin.Context, who gate.Caller) error {
	if _, err := nothing(c); err != nil {
		return err
	}
	id := session.ID(c.Param("id"))
	if err := s.Gate.EndSession(c.Request.Context(), who, id, s.visit(c)); err != nil {
		return err
	}
	if id == who.Session.ID {
		return s.signedOut(c, who)
	}
	return noContent(c)
}

// endSessions refuses a query that it does not know: a misspelt "except" must
// not sign the caller out.
func (s *server) endSessions(c *gin.Context, who gate.Caller) error {
	if _, err := nothing(c); err != nil {
		return err
	}
	q, err := query(c.Request, "except")
	if err != nil {
		return err
	}
	keepCurrent := slices.Equal(q["except"], []string{"current"})
	if c.Request.URL.RawQuery != "" && !keepCurrent {
		return invalid(fieldError{"", "invalid", "The only query that this route takes is except=current."})
	}
	if err := s.Gate.EndSessions(c.Request.Context(), who, keepCurrent, s.visit(c)); err != nil {
		return err
	}
	if keepCurrent {
		return noContent(c)
	}
	return s.signedOut(c, who)
}

// signedOut answers the request that ended its own session.
func (s *server) signedOut(c *gin.Context, who gate.Caller) error {
	if who.Session.Mode == session.Cookie {
		clearCookies(c, bearer.CookieName, refreshCookie)
	}
	return noContent(c)
}
