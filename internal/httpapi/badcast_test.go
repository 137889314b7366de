package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/gate"
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
	ctx, v := s.Context(), &flow.Visit{}
	c := &cast{name: "user-0", password: castPassword}
	if s.cast != nil {
		var n int
		_, err := fmt.Sscanf(s.cast.name, "user-%d", &n)
		s.must(err)
		c.name, c.adminKey = fmt.Sprintf("user-%d", n+1), s.cast.adminKey
	} else {
		c.adminKey = s.administer()
	}
	_, err := s.gate.Register(ctx, gate.Registration{Username: c.name, Email: c.name + "@example.com", Password: c.password}, v)
	s.must(err)
	login := gate.Credentials{Identifier: c.name, Password: c.password, Mode: session.Bearer}
	c.one, err = s.gate.Login(ctx, login, v)
	s.must(err)
	c.two, err = s.gate.Login(ctx, login, v)
	s.must(err)
	c.keyID, c.key = s.keyOf(c.one, "backup")
	c.client = s.program([]string{"orders:read"})
	s.cast, s.seen = c, 0
	c.token = raw(s.token(c.client, ""))
}

// administer makes an administrator, and returns their key.
func (s *stage) administer() string {
	s.Helper()
	v := &flow.Visit{}
	_, err := s.gate.CreateUser(s.Context(), gate.Registration{Username: "root", Password: castPassword}, []user.Role{"admin"})
	s.must(err)
	t, err := s.gate.Login(s.Context(), gate.Credentials{Identifier: "root", Password: castPassword, Mode: session.Bearer}, v)
	s.must(err)
	s.must(s.gate.Logout(s.Context(), string(t.Session.ID), string(t.User.ID), v)) // so that the feed has something
	t, err = s.gate.Login(s.Context(), gate.Credentials{Identifier: "root", Password: castPassword, Mode: session.Bearer}, v)
	s.must(err)
	_, key := s.keyOf(t, "tools", "admin")
	_, err = s.gate.KeyHolder(s.Context(), key) // its use is on record for a minute
	s.must(err)
	return key
}

func (s *stage) keyOf(t gate.Tokens, name string, scopes ...string) (id, key string) {
	s.Helper()
	d, err := s.gate.Keys.Draft(name, scopes, 0)
	s.must(err)
	var k apikey.Key
	k, key, err = s.gate.CreateKey(s.Context(), gate.Caller{User: t.User, Session: t.Session}, d, &flow.Visit{})
	s.must(err)
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
