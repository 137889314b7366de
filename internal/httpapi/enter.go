package httpapi

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/opaque"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
	"github.com/jotgate/jotgate/pkg/bearer"
)

const maxIdempotencyKey = 128

type registerRequest struct {
	Username *string `json:"username"`
	Email    *string `json:"email"`
	Password *string `json:"password"`
}

func (s *server) register(c *gin.Context) error {
	req, err := decode[registerRequest](c)
	if err != nil {
		return err
	}
	if err := present(map[string]*string{"/password": req.Password}); err != nil {
		return err
	}
	if err := notEmpty(req.Username, req.Email); err != nil {
		return err
	}
	u, err := s.Gate.Register(c.Request.Context(), gate.Registration{
		Username: value(req.Username), Email: value(req.Email), Password: *req.Password,
	}, s.visit(c))
	if err != nil {
		return inPassword("/password", true, err)
	}
	c.Set(keyUserID, string(u.ID))
	c.Header("Location", "/v1/users/"+string(u.ID))
	return encode(c, http.StatusCreated, userOf(u))
}

type loginRequest struct {
	Identifier *string `json:"identifier"`
	Password   *string `json:"password"`
	Mode       *string `json:"mode"`
	Device     *string `json:"device"`
}

func (s *server) login(c *gin.Context) error {
	req, err := decode[loginRequest](c)
	if err != nil {
		return err
	}
	if value(req.Mode) == string(session.Cookie) {
		if err := bearer.CheckOrigin(c.Request, s.guard.Origins); err != nil {
			return err
		}
	}
	credentials, err := req.credentials()
	if err != nil {
		return err
	}
	t, err := s.Gate.Login(c.Request.Context(), credentials, s.visit(c))
	if err != nil {
		return inPassword("/password", false, err)
	}
	return s.answerTokens(c, t)
}

func (r loginRequest) credentials() (gate.Credentials, error) {
	if err := present(map[string]*string{"/identifier": r.Identifier, "/password": r.Password}); err != nil {
		return gate.Credentials{}, err
	}
	mode := session.Bearer
	if r.Mode != nil {
		var err error
		if mode, err = session.ParseMode(*r.Mode); err != nil || *r.Mode == "" {
			return gate.Credentials{}, session.ErrInvalidMode
		}
	}
	if r.Device != nil && !isLabel(*r.Device) {
		return gate.Credentials{}, invalid(fieldError{"/device", "invalid", "A device is named by at most 128 characters on one line, one of which is visible."})
	}
	return gate.Credentials{Identifier: *r.Identifier, Password: *r.Password, Mode: mode, Device: value(r.Device)}, nil
}

type refreshRequest struct {
	RefreshToken *string `json:"refresh_token"`
}

// refresh takes the token from the body, or from the cookie of a request that
// shows no other credential.
func (s *server) refresh(c *gin.Context) error {
	r, err := s.presentedRefresh(c)
	if err != nil {
		return err
	}
	if r.RetryKey, err = idempotencyKey(c.Request.Header.Values("Idempotency-Key")); err != nil {
		return err
	}
	t, err := s.Gate.Refresh(c.Request.Context(), r, s.visit(c))
	if err == nil {
		return s.answerTokens(c, t)
	}
	if code := problemOf(err).Code; r.Mode == session.Cookie && (code == "invalid-refresh-token" || code == "token-reused") {
		clearCookies(c, bearer.CookieName, refreshCookie)
	}
	return err
}

func (s *server) presentedRefresh(c *gin.Context) (gate.Refreshing, error) {
	cookie, unfit := s.visibleCookies(c.Request, refreshCookie)
	req, err := readRefresh(c, unfit)
	switch {
	case err != nil:
		return gate.Refreshing{}, err
	case req.RefreshToken != nil:
		return gate.Refreshing{Token: *req.RefreshToken, Mode: session.Bearer}, nil
	case unfit != nil:
		return gate.Refreshing{}, unfit
	case cookie[0] != "":
		return gate.Refreshing{Token: cookie[0], Mode: session.Cookie}, nil
	}
	return gate.Refreshing{}, bearer.ErrNoCredentials
}

// readRefresh reads a body in which a refresh token may be. unfit is why the cookies
// beside it do not count: it comes before what is wrong with the body, so that a form
// on another site gets no further.
func readRefresh(c *gin.Context, unfit error) (refreshRequest, error) {
	if len(c.Request.Header.Values("Authorization")) > 1 {
		return refreshRequest{}, bearer.ErrMalformedRequest
	}
	req, _, err := decodeOptional[refreshRequest](c)
	if err != nil && unfit != nil {
		err = unfit
	}
	return req, err
}

// visibleCookies returns the raw values of cookies, "" for one that is not there, and
// why they do not count, if they do not: one is there twice, or the request does not
// show its origin. A request with an Authorization header has no cookies, whatever it
// sends.
func (s *server) visibleCookies(r *http.Request, names ...string) (values []string, unfit error) {
	values = make([]string, len(names))
	if len(r.Header.Values("Authorization")) > 0 {
		return values, nil
	}
	shown := false
	for i, name := range names {
		v, err := bearer.Cookie(r, name)
		if err != nil && !errors.Is(err, bearer.ErrNoCredentials) {
			return values, err
		}
		values[i] = v
		shown = shown || v != ""
	}
	if shown {
		unfit = bearer.CheckOrigin(r, s.guard.Origins)
	}
	return values, unfit
}

func idempotencyKey(given []string) (string, error) {
	if len(given) == 0 {
		return "", nil
	}
	printable := strings.IndexFunc(given[0], func(r rune) bool { return r < ' ' || r > '~' }) < 0
	if len(given) > 1 || given[0] == "" || len(given[0]) > maxIdempotencyKey || !printable {
		return "", invalid(fieldError{"", "invalid", "An Idempotency-Key is one header of 1 to 128 printable ASCII characters."})
	}
	return given[0], nil
}

type tokenAnswer struct {
	TokenType        string      `json:"token_type,omitempty"`
	AccessToken      string      `json:"access_token,omitempty"`
	ExpiresIn        int64       `json:"expires_in"`
	RefreshToken     string      `json:"refresh_token,omitempty"`
	RefreshExpiresIn int64       `json:"refresh_expires_in"`
	Session          sessionView `json:"session"`
	User             userView    `json:"user"`
}

// answerTokens hands tokens out: in the body, or in cookies and nowhere else.
func (s *server) answerTokens(c *gin.Context, t gate.Tokens) error {
	c.Set(keyUserID, string(t.User.ID))
	a := tokenAnswer{
		ExpiresIn:        int64(t.AccessExpires.Sub(t.IssuedAt) / time.Second),
		RefreshExpiresIn: int64(t.RefreshExpires.Sub(t.IssuedAt) / time.Second),
		Session:          sessionOf(t.Session, t.Session.ID),
		User:             userOf(t.User),
	}
	if t.Session.Mode == session.Cookie {
		setCookies(c, t)
	} else {
		a.TokenType, a.AccessToken, a.RefreshToken = "Bearer", t.Access, t.Refresh
	}
	return encode(c, http.StatusOK, &a)
}

// present returns an error that names the members, by pointer, that are absent
// or empty.
func present(members map[string]*string) error {
	var missing []fieldError
	for pointer, v := range members {
		if value(v) == "" {
			missing = append(missing, required(pointer))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return invalid(sortedByPointer(missing)...)
}

// notEmpty refuses names that are there and empty: to flows that is no name.
func notEmpty(username, email *string) error {
	var errs []fieldError
	if username != nil && *username == "" {
		errs = append(errs, fieldOf(user.ErrInvalidUsername))
	}
	if email != nil && *email == "" {
		errs = append(errs, fieldOf(user.ErrInvalidEmail))
	}
	if len(errs) == 0 {
		return nil
	}
	return invalid(errs...)
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// isLabel reports whether s may stand for a device: a name, or blank.
func isLabel(s string) bool {
	return opaque.IsName(s) || strings.Trim(s, " ") == "" && len(s) <= opaque.MaxName
}
