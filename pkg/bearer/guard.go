package bearer

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// Guard protects handlers. It is not to be changed once it is in use, and safe
// for concurrent use then.
type Guard struct {
	Verifier *Verifier
	// Origins are the origins from which a request with a cookie may change
	// something or open a WebSocket: scheme, host and port, exactly as browsers send
	// them. A service that takes no cookies leaves it empty.
	Origins []string
	// Refuse answers a request that err keeps out. Nil answers as RFC 6750, section 3
	// says, with a problem document (RFC 9457).
	Refuse func(w http.ResponseWriter, r *http.Request, err error)
}

// Check returns the claims of the token that r presents, if it is valid, was
// presented the way it was issued for and, from a cookie, r shows where it comes
// from ([CheckOrigin]). Its errors are those of [FromRequest], [Verifier.Verify]
// and [CheckOrigin], and [ErrWrongMode].
func (g *Guard) Check(r *http.Request) (*Claims, error) {
	credential, err := presented(r)
	if err != nil {
		return nil, err
	}
	return g.check(r, credential)
}

func (g *Guard) check(r *http.Request, credential Credential) (*Claims, error) {
	claims, err := g.Verifier.Verify(r.Context(), credential.Token)
	if err != nil {
		return nil, err
	}
	if claims.Mode != credential.mode() {
		return nil, ErrWrongMode
	}
	if err := g.checkOrigin(r, credential); err != nil {
		return nil, err
	}
	return claims, nil
}

func (g *Guard) checkOrigin(r *http.Request, credential Credential) error {
	if !credential.Cookie {
		return nil
	}
	return CheckOrigin(r, g.Origins)
}

// Admit is [Guard.Check] with the scopes that are needed, and returns r with the
// claims in its context, for [FromContext]. It adds a [*ScopeError].
//
// The token of a request that g has admitted before is not verified again, so that guards
// may stand one behind the other.
func (g *Guard) Admit(r *http.Request, scopes ...string) (*http.Request, error) {
	r, claims, err := g.admit(r)
	if err != nil {
		return nil, err
	}
	if !claims.hasScopes(scopes) {
		return nil, &ScopeError{Scope: strings.Join(scopes, " ")}
	}
	return r, nil
}

// AdmitRole is [Guard.Admit] for a user with one of roles at least. It adds a
// [*RoleError]. No roles let nobody through.
func (g *Guard) AdmitRole(r *http.Request, roles ...string) (*http.Request, error) {
	r, claims, err := g.admit(r)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(roles, claims.HasRole) {
		return nil, &RoleError{Roles: roles}
	}
	return r, nil
}

func (g *Guard) admit(r *http.Request) (*http.Request, *Claims, error) {
	credential, err := presented(r)
	if err != nil {
		return nil, nil, err
	}
	// A context may have come to a request with another credential, or of another method.
	if before, ok := r.Context().Value(admissionKey{}).(admission); ok && before.by == g && before.credential == credential {
		return r, before.claims, g.checkOrigin(r, credential)
	}
	claims, err := g.check(r, credential)
	if err != nil {
		return nil, nil, err
	}
	return r.WithContext(context.WithValue(r.Context(), admissionKey{}, admission{g, credential, claims})), claims, nil
}

// Require lets requests through to next that present a valid token with all
// scopes.
func (g *Guard) Require(next http.Handler, scopes ...string) http.Handler {
	return g.handler(next, func(r *http.Request) (*http.Request, error) { return g.Admit(r, scopes...) })
}

// RequireRole lets requests through to next that present a valid token of a user
// with one of roles at least. Together with scopes:
//
//	guard.Require(guard.RequireRole(next, "admin"), "reports:read")
func (g *Guard) RequireRole(next http.Handler, roles ...string) http.Handler {
	return g.handler(next, func(r *http.Request) (*http.Request, error) { return g.AdmitRole(r, roles...) })
}

func (g *Guard) handler(next http.Handler, admit func(*http.Request) (*http.Request, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		admitted, err := admit(r)
		if err != nil {
			g.Answer(w, r, err)
			return
		}
		next.ServeHTTP(w, admitted)
	})
}

type admissionKey struct{}

// admission is what a request's context holds once a guard has let it through.
type admission struct {
	by         *Guard
	credential Credential
	claims     *Claims
}

// FromContext returns the claims of the request that ctx belongs to, if a
// [Guard] let it through.
func FromContext(ctx context.Context) (*Claims, bool) {
	a, ok := ctx.Value(admissionKey{}).(admission)
	return a.claims, ok
}

// Answer refuses a request with Refuse, or as RFC 6750 says.
func (g *Guard) Answer(w http.ResponseWriter, r *http.Request, err error) {
	if g.Refuse != nil {
		g.Refuse(w, r, err)
		return
	}
	a := answerOf(err)
	h := w.Header()
	if a.challenge != "" {
		h.Set("WWW-Authenticate", a.challenge)
	}
	if a.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "10")
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/problem+json")
	body, err := json.Marshal(map[string]any{
		"type": "urn:jotgate:problem:" + a.code, "title": a.title, "status": a.status, "code": a.code,
	})
	if err != nil {
		panic(err) // strings and a number
	}
	w.WriteHeader(a.status)
	if _, err := w.Write(body); err != nil {
		return // the client has gone
	}
}

type answer struct {
	status                 int
	code, title, challenge string
}

// answerOf is RFC 6750, section 3.1: no error code for a request without a
// credential, and never a reason why a token is not valid.
func answerOf(err error) answer {
	const realm = `Bearer realm="jotgate"`
	if e, ok := errors.AsType[*ScopeError](err); ok {
		return answer{
			http.StatusForbidden, "insufficient-scope", "The credential may not do this",
			realm + `, error="insufficient_scope", scope="` + e.Scope + `"`,
		}
	}
	if _, ok := errors.AsType[*RoleError](err); ok {
		return answer{
			http.StatusForbidden, "insufficient-scope", "The user may not do this",
			realm + `, error="insufficient_scope"`,
		}
	}
	switch {
	case errors.Is(err, ErrNoCredentials):
		return answer{http.StatusUnauthorized, "no-credentials", "Sign in first", realm}
	case errors.Is(err, ErrMalformedRequest):
		return answer{
			http.StatusBadRequest, "invalid-request", "Credentials were presented twice",
			realm + `, error="invalid_request"`,
		}
	case errors.Is(err, ErrCrossOrigin):
		return answer{http.StatusForbidden, "csrf-rejected", "The request does not show that it comes from this site", ""}
	case errors.Is(err, ErrUnavailable):
		return answer{http.StatusServiceUnavailable, "unavailable", "Tokens cannot be verified at the moment", ""}
	}
	return answer{
		http.StatusUnauthorized, "invalid-token", "The access token is not valid",
		realm + `, error="invalid_token"`,
	}
}
