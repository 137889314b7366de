package bearer

import (
	"net/http"
	"slices"
	"strings"
)

// CookieName is the name of the cookie that carries the access token of a cookie
// session. Browsers that know the prefix take it only from an HTTP answer, for
// this host alone and over TLS (RFC 10025).
const CookieName = "__Host-Http-jotgate-access"

const (
	modeBearer = "bearer"
	modeCookie = "cookie"
)

// Credential is a token as a request presents it.
type Credential struct {
	Token  string
	Cookie bool // in the cookie, not in the Authorization header
}

// mode is what the mode claim of the token must be.
func (c Credential) mode() string {
	if c.Cookie {
		return modeCookie
	}
	return modeBearer
}

// FromRequest returns what r presents: the token in its Authorization header
// (RFC 6750, section 2.1), or without such a header the one in the cookie. With
// the header the cookies do not count, so that a stale one never changes a
// bearer request.
//
// It returns [ErrNoCredentials] if there is neither, or a header of another
// scheme; [ErrMalformedRequest] for two headers or two cookies, one of them
// valid or not; and [ErrInvalidToken] for a Bearer header that holds no token.
func FromRequest(r *http.Request) (Credential, error) {
	c, err := presented(r)
	if err == nil && !c.Cookie && !isToken68(c.Token) {
		return Credential{}, ErrInvalidToken
	}
	return c, err
}

// presented is FromRequest without a look at the token, whose every byte a verifier
// that does not know it looks at anyway.
func presented(r *http.Request) (Credential, error) {
	switch given := r.Header["Authorization"]; len(given) {
	case 0:
		return fromCookie(r)
	case 1:
		scheme, token, _ := strings.Cut(given[0], " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return Credential{}, ErrNoCredentials
		}
		return Credential{Token: token}, nil
	}
	return Credential{}, ErrMalformedRequest
}

func fromCookie(r *http.Request) (Credential, error) {
	token, err := Cookie(r, CookieName)
	if err != nil {
		return Credential{}, err
	}
	return Credential{Token: token, Cookie: true}, nil
}

// Cookie returns the raw value of the cookie called name, [ErrNoCredentials] if
// there is none, and [ErrMalformedRequest] if there are two: one of them was
// not set by this host. It reads the headers itself, because net/http drops a
// cookie that it finds malformed, and what is dropped cannot be seen to be there
// twice.
func Cookie(r *http.Request, name string) (string, error) {
	var found []string
	for _, header := range r.Header.Values("Cookie") {
		for pair := range strings.SplitSeq(header, ";") {
			// Space and tab only (RFC 6265, section 5.2): to a browser a no-break space is
			// part of a name, so that a sibling site may set such a cookie, and no
			// __Host- protects ours.
			given, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
			if given == name {
				found = append(found, value)
			}
		}
	}
	switch len(found) {
	case 0:
		return "", ErrNoCredentials
	case 1:
		return found[0], nil
	}
	return "", ErrMalformedRequest
}

// isToken68 reports whether s is what may follow a scheme (RFC 9110, section 11.2).
func isToken68(s string) bool {
	body := strings.TrimRight(s, "=")
	if body == "" {
		return false
	}
	for i := range len(body) {
		if !isBase64URL(body[i]) && strings.IndexByte(".~+/", body[i]) < 0 {
			return false
		}
	}
	return true
}

// CheckOrigin returns [ErrCrossOrigin] unless r only reads (GET, HEAD, OPTIONS, and
// no WebSocket) or shows that it comes from one of origins: by Sec-Fetch-Site:
// same-origin, which a browser lets no page set, else by an Origin that equals one
// of them exactly. A request that shows neither is refused.
func CheckOrigin(r *http.Request, origins []string) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		if !opensWebSocket(r.Header) {
			return nil
		}
	}
	site := r.Header.Values("Sec-Fetch-Site")
	switch {
	case len(site) > 1:
		return ErrCrossOrigin
	case len(site) == 1 && site[0] == "same-origin":
		return nil
	}
	origin := r.Header.Values("Origin")
	// "null" is what every sandboxed page sends; no list can mean it.
	if len(origin) == 1 && origin[0] != "" && origin[0] != "null" && slices.Contains(origins, origin[0]) {
		return nil
	}
	return ErrCrossOrigin
}

// opensWebSocket reports whether a request with these headers asks for a WebSocket
// (RFC 6455, section 4.1). That is a GET, and what is written through the socket
// later shows no origin. A proxy that asks forward-auth drops Upgrade, as a header of
// one connection, and passes the others on; a browser always sends a version.
func opensWebSocket(h http.Header) bool {
	if len(h["Sec-Websocket-Version"]) > 0 || len(h["Sec-Websocket-Key"]) > 0 {
		return true
	}
	for protocol := range strings.SplitSeq(strings.Join(h["Upgrade"], ","), ",") {
		if strings.EqualFold(strings.TrimSpace(protocol), "websocket") {
			return true
		}
	}
	return false
}
