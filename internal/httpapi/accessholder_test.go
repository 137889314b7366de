package httpapi_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/client"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/keyset"
	"github.com/jotgate/jotgate/internal/oauth"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
	"github.com/jotgate/jotgate/pkg/bearer"
)

// holder is a cast with one credential in one state, and how it is shown.
type holder struct {
	*cast
	cookie  gate.Tokens // of a cookie session
	headers []string
	body    string // a refresh token that is shown in the body
}

// newHolder makes the credential, shows it, and then brings it into its state.
func (a *api) newHolder(n int, credential, state string) *holder {
	a.Helper()
	var roles []user.Role
	if state == "role admin" || state == "scope admin" || state == "role taken away" {
		roles = []user.Role{"admin"}
	}
	h := &holder{cast: a.newCast(fmt.Sprintf("holder-%d", n), roles...)}
	h.cookie = a.enter(h.name, session.Cookie)
	if state == "scope admin" || state == "role taken away" {
		h.keyID, h.key = a.keyOf(h.one, time.Hour, "admin")
		h.client = a.program([]string{"admin", "orders:read"})
		h.token = a.clientToken(h.client)
	}
	h.show(a, credential)
	a.bring(h, credential, state)
	return h
}

const authorization, cookieHeader = "Authorization: Bearer ", "Cookie: "

func (h *holder) show(a *api, credential string) {
	access, refresh := cookieHeader+bearer.CookieName+"=", cookieHeader+"__Host-Http-jotgate-refresh="
	shown := map[string][]string{
		"none": nil, "garbage": {authorization + "garbage"}, "another scheme": {"Authorization: Digest a=b"},
		"garbage in cookies":    {access + "garbage; " + refresh[len(cookieHeader):] + "garbage", sameOrigin},
		"two headers":           {authorization + h.one.Access, authorization + h.one.Access},
		"two cookies of a name": {access + h.cookie.Access, access + h.cookie.Access, refresh + h.cookie.Refresh, refresh + h.cookie.Refresh, sameOrigin},
		"access token":          {authorization + h.one.Access}, "access cookie": {access + h.cookie.Access, sameOrigin}, "access cookie without origin": {access + h.cookie.Access},
		"access token of a cookie in the header": {authorization + h.cookie.Access}, "access token of a header in the cookie": {access + h.one.Access, sameOrigin},
		"refresh token": nil, "refresh token of a cookie in the body": nil,
		"refresh cookie": {refresh + h.cookie.Refresh, sameOrigin}, "refresh cookie without origin": {refresh + h.cookie.Refresh},
		"refresh token of a body in the cookie": {refresh + h.one.Refresh, sameOrigin}, "refresh token in the header": {authorization + h.one.Refresh},
		"refresh token in the access cookie": {access + h.cookie.Refresh, sameOrigin},
		"API key":                            {authorization + h.key}, "API key in the cookie": {access + h.key, sameOrigin},
		"client token": {authorization + h.token}, "client token in the cookie": {access + h.token, sameOrigin},
		"client secret": {h.client.basic()}, "client secret twice": {h.client.basic(), h.client.basic()},
	}
	if credential == "header and cookies" {
		other := a.newCast(h.name + "-other")
		t := a.enter(other.name, session.Cookie)
		shown[credential] = []string{authorization + h.one.Access, access + t.Access, refresh + t.Refresh}
	}
	headers, ok := shown[credential]
	if !ok {
		a.Fatalf("nobody knows how to show %s", credential)
	}
	h.headers = headers
	switch credential {
	case "refresh token":
		h.body = h.one.Refresh
	case "refresh token of a cookie in the body":
		h.body = h.cookie.Refresh
	}
}

// bring does to a credential what puts it into a state.
func (a *api) bring(h *holder, credential, state string) {
	a.Helper()
	ctx, v, id := a.Context(), &flow.Visit{}, h.one.User.ID
	switch state {
	case "live", "role admin", "scope admin":
	case "expired":
		a.expire(credential)
	case "session ended":
		for _, t := range []gate.Tokens{h.one, h.two, h.cookie} {
			a.must(a.gate.Logout(ctx, string(t.Session.ID), string(id), v))
		}
	case "user disabled":
		a.must(a.gate.Disable(ctx, id))
	case "user deleted":
		a.must(a.gate.Close(ctx, gate.Caller{User: h.one.User, Session: h.one.Session}, h.password, v))
	case "spent":
		for _, t := range []gate.Tokens{h.one, h.cookie} {
			child, err := a.gate.Refresh(ctx, gate.Refreshing{Token: t.Refresh, Mode: t.Session.Mode}, v)
			a.must(err)
			_, err = a.gate.Refresh(ctx, gate.Refreshing{Token: child.Refresh, Mode: t.Session.Mode}, v)
			a.must(err)
		}
	case "signing key revoked":
		for _, k := range a.keys.List() {
			if k.State == keyset.Active {
				_, err := a.gate.RevokeKey(ctx, a.keys, k.KID)
				a.must(err)
			}
		}
		a.must(a.keys.Reload(ctx))
	case "epoch bumped":
		a.must(a.gate.BumpEpoch(ctx, func(int) {}))
		a.step(time.Second) // tokens from now on are good
	case "role taken away":
		a.must(a.gate.SetRoles(ctx, id, nil))
	case "revoked":
		a.must(a.gate.DeleteKey(ctx, gate.Caller{User: h.one.User, Session: h.one.Session}, apikey.ID(h.keyID), v))
		a.must(a.oauth.Revoke(ctx, client.Client{ID: client.ID(h.client.id)}, h.token, v))
	case "client deleted":
		a.must(a.oauth.Delete(ctx, oauth.Actor{}, client.ID(h.client.id), v))
	case "secret changed":
		_, _, err := a.oauth.RotateSecret(ctx, oauth.Actor{}, client.ID(h.client.id), 0, v)
		a.must(err)
	default:
		a.Fatalf("nobody knows how to get %s %s", credential, state)
	}
}

// expire moves the clock to just behind the life of a credential.
func (a *api) expire(credential string) {
	switch {
	case strings.HasPrefix(credential, "refresh"):
		a.step(31 * 24 * time.Hour)
	case strings.HasPrefix(credential, "API key"):
		a.step(time.Hour)
	default:
		a.step(accessTTL + 31*time.Second)
	}
}

// present makes a good request of a route, but for the credential.
func (a *api) present(h *holder, route accessRoute) answer {
	a.Helper()
	r := h.good(route.operation)
	r.credential = ""
	route.spoil(&r)
	if route.OperationID == "login" { // as somebody who may, whatever has become of the holder
		r.members["identifier"] = []byte(`"root"`)
	}
	schema, _ := route.body()
	switch token := []byte(quoted(h.body)); {
	case route.class == "refresh" || route.class == "logout":
		delete(r.members, "refresh_token")
		if h.body != "" {
			r.members["refresh_token"] = token
		}
	case h.body != "" && schema == nil:
		r.kind, r.members["refresh_token"] = "application/json", token
	case h.body != "" && r.form == nil && !route.open():
		r.members["refresh_token"] = token
	case h.body != "" && r.form != nil:
		r.form.Set("refresh_token", h.body)
	}
	if len(r.members) == 0 && r.form == nil {
		r.kind = ""
		r.members = nil
	}
	r.extra = h.headers
	req, err := r.http(a.Context(), a.url)
	a.must(err)
	res, err := http.DefaultTransport.RoundTrip(req)
	a.must(err)
	body, err := io.ReadAll(res.Body)
	a.must(err)
	a.must(res.Body.Close())
	return answer{res, body}
}

// wantSessionOver fails the test if the session that a credential belongs to goes
// on although its logout was answered as done.
func (a *api) wantSessionOver(h *holder, credential, state string) {
	a.Helper()
	t := h.one
	if strings.Contains(credential, "cookie") && credential != "header and cookies" {
		t = h.cookie
	}
	if _, err := a.gate.Caller(a.Context(), string(t.Session.ID), string(t.User.ID)); !errors.Is(err, session.ErrEnded) {
		a.Errorf("after a logout with %s, %s, the session goes on: %v", credential, state, err)
	}
}
