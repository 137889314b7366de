package httpapi_test

import (
	"strings"
	"testing"
)

// TestDeletesTakeNoMembers holds that what a client says in the body of a request
// that has no members is not passed over: it meant something by it.
func TestDeletesTakeNoMembers(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	this, other := a.login("ada", "bearer"), a.login("ada", "bearer")
	key, id := a.key(this.bearer(t), object{"name": "backup"})
	admin := a.token(a.program([]string{"admin"}), "")
	p := a.program([]string{"a"})
	routes := map[string]string{
		"/v1/sessions": this.bearer(t), "/v1/sessions/" + other.text(t, "session.id"): this.bearer(t),
		"/v1/api-keys/" + id: this.bearer(t), "/v1/admin/clients/" + p.id: admin,
	}
	for path, credential := range routes {
		a.do("DELETE", path, object{"except": "current"}, credential).want(t, 400, "malformed-json")
		for _, body := range []string{`{"a":`, "null", `{}{}`, `{"":1}`, "[]"} {
			a.do("DELETE", path, body, credential).want(t, 400, "malformed-json")
			a.do("DELETE", path, body).want(t, 401, "no-credentials")
		}
		a.do("DELETE", path, "{}", credential, "Content-Type: text/plain").want(t, 415, "unsupported-media-type")
		a.do("DELETE", path, "except=current", credential, "Content-Type: "+formKind).want(t, 415, "unsupported-media-type")
		a.do("DELETE", path, "{"+strings.Repeat(" ", 16<<10)+"}", credential).want(t, 413, "body-too-large")
	}
	a.do("DELETE", "/v1/sessions?exept=current", "{", this.bearer(t)).want(t, 400, "malformed-json")
	a.do("DELETE", "/v1/api-keys/unknown", "{", key).want(t, 400, "malformed-json") // before it is seen that a key may not
	wantAlive(t, a, this.bearer(t), true)
	wantAlive(t, a, other.bearer(t), true)
	wantAlive(t, a, key, true)
	a.token(p, "")
	delete(routes, "/v1/sessions")
	for path, credential := range routes {
		a.do("DELETE", path, "{}", credential).want(t, 204, "")
	}
	a.do("DELETE", "/v1/sessions", " {} ", this.bearer(t)).want(t, 204, "")
}
