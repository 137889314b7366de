package bearer_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/jotgate/jotgate/pkg/bearer"
	"github.com/jotgate/jotgate/pkg/bearer/ginbearer"
)

func request(method string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "/", nil)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func TestFromRequest(t *testing.T) {
	const cookie = "Cookie: " + bearer.CookieName + "="
	tests := []struct {
		name    string
		headers []string
		token   string
		cookie  bool
		err     error
	}{
		{"header", []string{"Authorization: Bearer a.b-_c"}, "a.b-_c", false, nil},
		{"scheme in another case", []string{"Authorization: bEaReR x"}, "x", false, nil},
		{"padding", []string{"Authorization: Bearer abc=="}, "abc==", false, nil},
		{"nothing", nil, "", false, bearer.ErrNoCredentials},
		{"empty header", []string{"Authorization: "}, "", false, bearer.ErrNoCredentials},
		{"another scheme", []string{"Authorization: Basic eA=="}, "", false, bearer.ErrNoCredentials},
		{"another scheme and a cookie", []string{"Authorization: DPoP x", cookie + "y"}, "", false, bearer.ErrNoCredentials},
		{"no value", []string{"Authorization: Bearer"}, "", false, bearer.ErrInvalidToken},
		{"empty value", []string{"Authorization: Bearer "}, "", false, bearer.ErrInvalidToken},
		{"two spaces", []string{"Authorization: Bearer  x"}, "", false, bearer.ErrInvalidToken},
		{"more parts", []string{"Authorization: Bearer x y"}, "", false, bearer.ErrInvalidToken},
		{"comma", []string{"Authorization: Bearer x,Bearer y"}, "", false, bearer.ErrInvalidToken},
		{"padding in the middle", []string{"Authorization: Bearer a=b"}, "", false, bearer.ErrInvalidToken},
		{"only padding", []string{"Authorization: Bearer =="}, "", false, bearer.ErrInvalidToken},
		{"quotes", []string{`Authorization: Bearer "x"`}, "", false, bearer.ErrInvalidToken},
		{"two headers", []string{"Authorization: Bearer x", "Authorization: Bearer x"}, "", false, bearer.ErrMalformedRequest},
		{"two schemes", []string{"Authorization: Basic x", "Authorization: Bearer x"}, "", false, bearer.ErrMalformedRequest},
		{"cookie", []string{cookie + "x.y"}, "x.y", true, nil},
		{"cookie among others", []string{"Cookie: a=b; " + bearer.CookieName + "=x; c=d"}, "x", true, nil},
		{"cookie is raw", []string{cookie + "a%2Eb"}, "a%2Eb", true, nil},
		{"cookie with quotes", []string{cookie + `"x"`}, `"x"`, true, nil},
		{"header over cookie", []string{cookie + "y", "Authorization: Bearer x"}, "x", false, nil},
		{"bad header hides the cookie", []string{cookie + "y", "Authorization: Bearer"}, "", false, bearer.ErrInvalidToken},
		{"cookie twice", []string{cookie + "x; " + bearer.CookieName + "=x"}, "", false, bearer.ErrMalformedRequest},
		{"cookie in two headers", []string{cookie + "x", cookie + "y"}, "", false, bearer.ErrMalformedRequest},
		{"cookie twice, one malformed", []string{cookie + "x; " + bearer.CookieName + "=a\\b"}, "", false, bearer.ErrMalformedRequest},
		{"cookie in another case", []string{"Cookie: " + strings.ToLower(bearer.CookieName) + "=x"}, "", false, bearer.ErrNoCredentials},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := bearer.FromRequest(request("GET", tt.headers...))
			if got != (bearer.Credential{Token: tt.token, Cookie: tt.cookie}) || !errors.Is(err, tt.err) {
				t.Errorf("FromRequest = %+v, %v; want %q, %t, %v", got, err, tt.token, tt.cookie, tt.err)
			}
		})
	}
}

func TestCheckOrigin(t *testing.T) {
	origins := []string{"https://app.example.com", "http://localhost:3000"}
	tests := []struct {
		name    string
		headers []string
		ok      bool
	}{
		{"same origin", []string{"Sec-Fetch-Site: same-origin"}, true},
		{"same origin decides first", []string{"Sec-Fetch-Site: same-origin", "Origin: null"}, true},
		{"listed", []string{"Origin: https://app.example.com"}, true},
		{"listed, cross-site", []string{"Sec-Fetch-Site: cross-site", "Origin: http://localhost:3000"}, true},
		{"neither", nil, false},
		{"same site alone", []string{"Sec-Fetch-Site: same-site"}, false},
		{"none", []string{"Sec-Fetch-Site: none"}, false},
		{"in another case", []string{"Sec-Fetch-Site: Same-Origin"}, false},
		{"said twice", []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"}, false},
		{"null", []string{"Origin: null"}, false},
		{"empty", []string{"Origin: "}, false},
		{"two origins", []string{"Origin: https://app.example.com", "Origin: https://app.example.com"}, false},
		{"another port", []string{"Origin: http://localhost:3001"}, false},
		{"suffix", []string{"Origin: https://app.example.com.evil.example"}, false},
		{"trailing slash", []string{"Origin: https://app.example.com/"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW", "get"} {
				if err := bearer.CheckOrigin(request(method, tt.headers...), origins); (err == nil) != tt.ok || err != nil && !errors.Is(err, bearer.ErrCrossOrigin) {
					t.Errorf("%s: %v, want ok %t", method, err, tt.ok)
				}
			}
			for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
				if err := bearer.CheckOrigin(request(method, tt.headers...), origins); err != nil {
					t.Errorf("%s: %v", method, err)
				}
			}
		})
	}
	if err := bearer.CheckOrigin(request("POST", "Origin: "), []string{""}); err == nil {
		t.Error("an empty origin is let in by an empty entry")
	}
}

// A handshake is a GET, and what goes through the socket later shows no origin.
func TestCheckOriginOfWebSockets(t *testing.T) {
	for name, tt := range map[string]struct {
		headers []string
		opens   bool
	}{
		"as a browser sends it":        {[]string{"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}, true},
		"Upgrade alone":                {[]string{"Upgrade: websocket"}, true},
		"in another case":              {[]string{"Upgrade: WebSocket"}, true},
		"in a list":                    {[]string{"Upgrade: h2c,\twebsocket "}, true},
		"in a second header":           {[]string{"Upgrade: h2c", "Upgrade: websocket"}, true},
		"Upgrade dropped":              {[]string{"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}, true},
		"over HTTP/2, without a key":   {[]string{"Sec-WebSocket-Version: 13"}, true},
		"the key alone, and empty":     {[]string{"Sec-WebSocket-Key: "}, true},
		"another protocol":             {[]string{"Upgrade: h2c", "Connection: Upgrade"}, false},
		"part of a name":               {[]string{"Upgrade: websockets, my-websocket"}, false},
		"a stream of events":           {[]string{"Accept: text/event-stream"}, false},
		"a protocol that nobody opens": {[]string{"Sec-WebSocket-Protocol: chat"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
				for _, origin := range []string{"Origin: https://sibling.example.com", "Sec-Fetch-Site: same-site", "X-No: origin"} {
					err := bearer.CheckOrigin(request(method, append(tt.headers, origin)...), []string{"https://app.example.com"})
					if errors.Is(err, bearer.ErrCrossOrigin) != tt.opens {
						t.Errorf("%s, %s: %v, want refused %t", method, origin, err, tt.opens)
					}
				}
				for _, origin := range []string{"Origin: https://app.example.com", "Sec-Fetch-Site: same-origin"} {
					if err := bearer.CheckOrigin(request(method, append(tt.headers, origin)...), []string{"https://app.example.com"}); err != nil {
						t.Errorf("%s, %s: %v", method, origin, err)
					}
				}
			}
		})
	}
}

func TestGuard(t *testing.T) {
	k := newKeys(t)
	g := &bearer.Guard{Verifier: k.verifier(t), Origins: []string{"https://app.example.com"}}
	token := k.sign(t, "ES256", header("ES256", nil), claims(nil))
	cookieToken := k.sign(t, "ES256", header("ES256", nil), claims(members{"mode": "cookie"}))
	cookie := "Cookie: " + bearer.CookieName + "=" + cookieToken
	tests := []struct {
		name, method string
		headers      []string
		scopes       []string
		status       int
		challenge    string
	}{
		{"bearer", "POST", []string{"Authorization: Bearer " + token}, nil, 200, ""},
		{"scopes", "GET", []string{"Authorization: Bearer " + token}, []string{"a", "b"}, 200, ""},
		{"cookie that reads", "GET", []string{cookie}, nil, 200, ""},
		{"cookie that writes", "POST", []string{cookie, "Origin: https://app.example.com"}, nil, 200, ""},
		{"nothing", "GET", nil, nil, 401, `Bearer realm="jotgate"`},
		{"garbage", "GET", []string{"Authorization: Bearer x"}, nil, 401, `Bearer realm="jotgate", error="invalid_token"`},
		{"cookie's token in the header", "GET", []string{"Authorization: Bearer " + cookieToken}, nil, 401, `Bearer realm="jotgate", error="invalid_token"`},
		{"header's token in the cookie", "GET", []string{"Cookie: " + bearer.CookieName + "=" + token}, nil, 401, `Bearer realm="jotgate", error="invalid_token"`},
		{"twice", "GET", []string{cookie, cookie}, nil, 400, `Bearer realm="jotgate", error="invalid_request"`},
		{"scope missing", "GET", []string{"Authorization: Bearer " + token}, []string{"a", "c"}, 403, `Bearer realm="jotgate", error="insufficient_scope", scope="a c"`},
		{"cookie that writes from elsewhere", "POST", []string{cookie, "Origin: https://evil.example"}, nil, 403, ""},
	}
	gin.SetMode(gin.TestMode)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plain := g.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c, ok := bearer.FromContext(r.Context()); !ok || c.Subject != "u1" {
					t.Errorf("claims in the context = %+v, %t", c, ok)
				}
				w.WriteHeader(http.StatusOK)
			}), tt.scopes...)
			e := gin.New()
			e.Handle(tt.method, "/", ginbearer.Require(g, nil, tt.scopes...), func(c *gin.Context) {
				if claims, ok := ginbearer.Claims(c); !ok || claims.Subject != "u1" {
					t.Errorf("claims = %+v, %t", claims, ok)
				}
				c.Status(http.StatusOK)
			})
			for name, h := range map[string]http.Handler{"net/http": plain, "gin": e} {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, request(tt.method, tt.headers...))
				if w.Code != tt.status || w.Header().Get("WWW-Authenticate") != tt.challenge {
					t.Errorf("%s: %d, WWW-Authenticate %q; want %d, %q", name, w.Code, w.Header().Get("WWW-Authenticate"), tt.status, tt.challenge)
				}
				if tt.status >= 400 && (w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Cache-Control") != "no-store") {
					t.Errorf("%s: headers = %v", name, w.Header())
				}
			}
		})
	}
}

func TestGuardOfRoles(t *testing.T) {
	k := newKeys(t)
	g := &bearer.Guard{Verifier: k.verifier(t)}
	token := k.sign(t, "ES256", header("ES256", nil), claims(members{"roles": []string{"admin", "auditor"}}))
	const challenge = `Bearer realm="jotgate", error="insufficient_scope"`
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := bearer.FromContext(r.Context()); !ok || c.Subject != "u1" {
			t.Errorf("claims in the context = %+v, %t", c, ok)
		}
		w.WriteHeader(http.StatusOK)
	})
	gin.SetMode(gin.TestMode)
	for name, tt := range map[string]struct {
		roles     []string
		token     string
		status    int
		challenge string
	}{
		"has it":           {[]string{"admin"}, token, 200, ""},
		"has one of them":  {[]string{"owner", "auditor"}, token, 200, ""},
		"has another":      {[]string{"owner"}, token, 403, challenge},
		"part of a name":   {[]string{"adm", ""}, token, 403, challenge},
		"none would do":    {nil, token, 403, challenge},
		"no token":         {[]string{"admin"}, "", 401, `Bearer realm="jotgate"`},
		"no token of ours": {[]string{"admin"}, "x", 401, `Bearer realm="jotgate", error="invalid_token"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := request("GET")
			if tt.token != "" {
				r.Header.Set("Authorization", "Bearer "+tt.token)
			}
			e := gin.New()
			e.GET("/", ginbearer.RequireRole(g, nil, tt.roles...), gin.WrapH(ok))
			for kind, h := range map[string]http.Handler{"net/http": g.RequireRole(ok, tt.roles...), "gin": e} {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != tt.status || w.Header().Get("WWW-Authenticate") != tt.challenge {
					t.Errorf("%s: %d, %q; want %d, %q", kind, w.Code, w.Header().Get("WWW-Authenticate"), tt.status, tt.challenge)
				}
			}
		})
	}
}

// A guard trusts what it has admitted itself, and nobody else's admission.
func TestGuardsCompose(t *testing.T) {
	k := newKeys(t)
	verified := 0
	count := func(c *bearer.Config) { c.Revoked = func(*bearer.Claims) bool { verified++; return false } }
	g := &bearer.Guard{Verifier: k.verifier(t, count)}
	other := &bearer.Guard{Verifier: k.verifier(t, func(c *bearer.Config) { c.Audience = "https://other.example.com" })}
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	for name, tt := range map[string]struct {
		handler          http.Handler
		status, verified int
	}{
		"scope, then role":         {g.Require(g.RequireRole(ok, "admin"), "a"), 200, 1},
		"role, then scope":         {g.RequireRole(g.Require(ok, "a"), "admin"), 200, 1},
		"no such role inside":      {g.Require(g.RequireRole(ok, "owner"), "a"), 403, 1},
		"no such scope inside":     {g.RequireRole(g.Require(ok, "c"), "admin"), 403, 1},
		"another audience inside":  {g.Require(other.Require(ok)), 401, 1},
		"another audience outside": {other.Require(g.Require(ok)), 401, 0},
	} {
		t.Run(name, func(t *testing.T) {
			verified = 0
			w := httptest.NewRecorder()
			tt.handler.ServeHTTP(w, request("GET", "Authorization: Bearer "+k.sign(t, "ES256", header("ES256", nil), claims(nil))))
			if w.Code != tt.status || verified != tt.verified {
				t.Errorf("status %d, verified %d times; want %d, %d", w.Code, verified, tt.status, tt.verified)
			}
		})
	}
}

// TestContextOfAnAdmission comes to other requests: of a batch, or of a method override.
func TestContextOfAnAdmission(t *testing.T) {
	k := newKeys(t)
	g := &bearer.Guard{Verifier: k.verifier(t)}
	cookie := bearer.CookieName + "=" + k.sign(t, "ES256", header("ES256", nil), claims(members{"mode": "cookie"}))
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	for name, tt := range map[string]struct {
		inner  *http.Request
		status int
	}{
		"the same":           {request("GET", "Cookie: "+cookie, "Sec-Fetch-Site: cross-site"), 200},
		"another method":     {request("POST", "Cookie: "+cookie, "Sec-Fetch-Site: cross-site"), 403},
		"another credential": {request("GET", "Authorization: Bearer garbage"), 401},
		"no credential":      {request("GET"), 401},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			g.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				g.Require(ok).ServeHTTP(w, tt.inner.WithContext(r.Context()))
			})).ServeHTTP(w, request("GET", "Cookie: "+cookie, "Sec-Fetch-Site: cross-site"))
			if w.Code != tt.status {
				t.Errorf("status %d, want %d", w.Code, tt.status)
			}
		})
	}
}

func TestRefuseIsAsked(t *testing.T) {
	k := newKeys(t)
	g := &bearer.Guard{Verifier: k.verifier(t), Refuse: func(w http.ResponseWriter, _ *http.Request, err error) {
		if !errors.Is(err, bearer.ErrNoCredentials) {
			t.Errorf("err = %v", err)
		}
		w.WriteHeader(http.StatusTeapot)
	}}
	w := httptest.NewRecorder()
	g.Require(http.NotFoundHandler()).ServeHTTP(w, request("GET"))
	if w.Code != http.StatusTeapot {
		t.Errorf("status = %d", w.Code)
	}
	e := gin.New()
	e.GET("/", ginbearer.Require(g, func(c *gin.Context, _ error) { c.Status(http.StatusGone) }), func(*gin.Context) { t.Error("the handler ran") })
	w = httptest.NewRecorder()
	e.ServeHTTP(w, request("GET"))
	if w.Code != http.StatusGone {
		t.Errorf("status = %d", w.Code)
	}
}

func FuzzAuthorization(f *testing.F) {
	f.Add("Bearer a.b.c")
	f.Add("bearer  x")
	f.Add("Basic x")
	f.Fuzz(func(t *testing.T, value string) {
		r := request("GET")
		r.Header["Authorization"] = []string{value}
		got, err := bearer.FromRequest(r)
		if err == nil && (got.Cookie || got.Token == "" || strings.ContainsAny(got.Token, " \t\r\n,\"") || len(value) != len("Bearer ")+len(got.Token)) {
			t.Errorf("%q gives %+v", value, got)
		}
	})
}

func FuzzCookie(f *testing.F) {
	f.Add(bearer.CookieName + "=x")
	f.Add("a=b; " + bearer.CookieName + "=x;" + bearer.CookieName + "=y")
	f.Fuzz(func(t *testing.T, value string) {
		r := request("GET")
		r.Header["Cookie"] = []string{value}
		got, err := bearer.FromRequest(r)
		names := 0
		for pair := range strings.SplitSeq(value, ";") {
			if strings.HasPrefix(strings.Trim(pair, " \t"), bearer.CookieName+"=") {
				names++
			}
		}
		if err == nil && (!got.Cookie || strings.Contains(got.Token, ";")) || names > 1 && !errors.Is(err, bearer.ErrMalformedRequest) {
			t.Errorf("%q gives %+v, %v", value, got, err)
		}
	})
}
