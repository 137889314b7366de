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

// TestSecondsAreWhole holds that a number which no duration can be breaks a rule of its
// field, while another type is not the JSON that the route takes.
func TestSecondsAreWhole(t *testing.T) {
	a := newAPI(t)
	a.register("ada")
	ada, admin := a.login("ada", "bearer").bearer(t), a.token(a.program([]string{"admin"}), "")
	rotate := "/v1/admin/clients/" + a.program([]string{"a"}).id + "/secret"
	for number, code := range map[string]string{
		"9223372036854775808": "invalid", "-9223372036854775809": "invalid", "1.5": "invalid", "1e3": "invalid", "1.0": "invalid", "1e400": "invalid", "-1e-400": "invalid", "-1": "invalid",
		"1" + strings.Repeat("0", 400): "invalid", `"1"`: "wrong-type", "true": "wrong-type", "[1]": "wrong-type", "{}": "wrong-type",
	} {
		status, problem := 422, "invalid-fields"
		if code == "wrong-type" {
			status, problem = 400, "malformed-json"
		}
		for _, got := range []answer{
			a.do("POST", "/v1/api-keys", `{"expires_in":`+number+`,"name":"x"}`, ada), a.do("POST", rotate, `{"overlap":`+number+`}`, admin),
		} {
			got.want(t, status, problem)
			if first := got.at(t, "errors").([]any)[0].(object); first["code"] != code || first["pointer"] != "/expires_in" && first["pointer"] != "/overlap" {
				t.Errorf("%s: errors = %v, want %s", number, got.at(t, "errors"), code)
			}
		}
	}
	// What is wrong with the JSON is said first.
	a.do("POST", "/v1/api-keys", `{"expires_in":1.5,"name":1}`, ada).want(t, 400, "malformed-json")
	a.do("POST", "/v1/api-keys", `{"expires_in":null,"name":"x"}`, ada).want(t, 201, "")
	a.do("POST", "/v1/api-keys", `{"scopes":[null],"name":"x"}`, ada).want(t, 400, "malformed-json")
	a.do("POST", rotate, `{"overlap":0}`, admin).want(t, 200, "")
}
