package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/client"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/oauth"
	"github.com/jotgate/jotgate/internal/session"
	"github.com/jotgate/jotgate/internal/user"
)

// cast is a user with two sessions and an API key, an administrator's key and a
// client: whom good requests need.
type cast struct {
	name, password       string
	one, two             gate.Tokens
	keyID, key, adminKey string
	client               program
	token                string // the client's
}

const castPassword = canary + " correct horse battery"

// recast makes a new cast.
func (s *stage) recast() {
	s.Helper()
	n := 0
	if s.cast == nil {
		s.adminKey = s.administer()
	} else {
		_, err := fmt.Sscanf(s.cast.name, "user-%d", &n)
		s.must(err)
	}
	s.cast, s.seen = s.newCast(fmt.Sprintf("user-%d", n+1)), 0
	s.cast.adminKey = s.adminKey
}

func (a *api) newCast(name string, roles ...user.Role) *cast {
	a.Helper()
	c := &cast{name: name, password: castPassword}
	_, err := a.gate.CreateUser(a.Context(), gate.Registration{Username: c.name, Email: c.name + "@example.com", Password: c.password}, roles)
	a.must(err)
	c.one, c.two = a.enter(name, session.Bearer), a.enter(name, session.Bearer)
	c.keyID, c.key = a.keyOf(c.one, time.Hour)
	c.client = a.program([]string{"orders:read"})
	c.token = a.clientToken(c.client)
	return c
}

func (a *api) enter(name string, mode session.Mode) gate.Tokens {
	a.Helper()
	t, err := a.gate.Login(a.Context(), gate.Credentials{Identifier: name, Password: castPassword, Mode: mode}, &flow.Visit{})
	a.must(err)
	return t
}

func (a *api) clientToken(p program) string {
	a.Helper()
	issued, err := a.oauth.Token(a.Context(), client.ID(p.id), p.secret, oauth.Grant{}, &flow.Visit{})
	a.must(err)
	return issued.Access
}

// administer makes an administrator, and returns their key. A session of theirs
// has ended, so that the feed has something to tell.
func (a *api) administer() string {
	a.Helper()
	_, err := a.gate.CreateUser(a.Context(), gate.Registration{Username: "root", Password: castPassword}, []user.Role{"admin"})
	a.must(err)
	gone := a.enter("root", session.Bearer)
	a.must(a.gate.Logout(a.Context(), string(gone.Session.ID), string(gone.User.ID), &flow.Visit{}))
	_, key := a.keyOf(a.enter("root", session.Bearer), 0, "admin")
	_, err = a.gate.KeyHolder(a.Context(), key) // its use is on record for a minute
	a.must(err)
	return key
}

func (a *api) keyOf(t gate.Tokens, life time.Duration, scopes ...string) (id, key string) {
	a.Helper()
	d, err := a.gate.Keys.Draft("backup", scopes, life)
	a.must(err)
	var k apikey.Key
	k, key, err = a.gate.CreateKey(a.Context(), gate.Caller{User: t.User, Session: t.Session}, d, &flow.Visit{})
	a.must(err)
	return string(k.ID), key
}

func (c *cast) secrets() []string {
	return []string{c.password, c.one.Access, c.one.Refresh, c.two.Refresh, c.key, c.adminKey, c.client.secret, c.token}
}

// good returns the request that an operation's example makes, with what has to be
// real in it.
func (c *cast) good(o operation) request {
	r := request{method: o.method, path: o.path, id: c.id(o), credential: c.credential(o), members: map[string]json.RawMessage{}}
	schema, kind := o.body()
	r.kind = kind
	if schema == nil {
		return r
	}
	example, _ := exampleOf(o).(map[string]any)
	values := map[string]string{
		"current_password": c.password, "new_password": canary + " paper lantern river", "password": c.password, "identifier": c.name, "refresh_token": c.one.Refresh,
		"username": c.name + "x", "email": c.name + "x@example.com", "token": c.token,
	}
	if kind == formKind {
		r.form = url.Values{}
	}
	for name, v := range example {
		if text, ok := values[name]; ok {
			v = text
		}
		if r.form != nil {
			r.form.Set(name, fmt.Sprint(v))
			continue
		}
		text, err := json.Marshal(v)
		if err != nil {
			panic(err) // it was JSON
		}
		r.members[name] = text
	}
	return r
}

func exampleOf(o operation) any {
	for _, content := range bodies(o.Operation) {
		if content.Example != nil {
			return content.Example
		}
		return content.Examples["bearer"].Value.Value
	}
	return nil
}

func (c *cast) id(o operation) string {
	return map[string]string{
		"endSession": string(c.two.Session.ID), "deleteKey": c.keyID, "deleteClient": c.client.id, "rotateSecret": c.client.id,
		"docsFile": "page.js", "appFile": "app.js",
	}[o.OperationID]
}

func (c *cast) credential(o operation) string {
	const scheme = "Authorization: Bearer "
	switch {
	case o.Tags[0] == "administration":
		return scheme + c.adminKey
	case o.Security == nil || o.OperationID == "logout":
		return ""
	case o.OperationID == "clientCredentials", o.OperationID == "revokeToken", o.OperationID == "introspectToken":
		return c.client.basic()
	}
	return scheme + c.one.Access
}
