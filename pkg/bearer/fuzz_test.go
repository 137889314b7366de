package bearer

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzHeader: a header that is taken has three strings, which other parsers read
// the same.
func FuzzHeader(f *testing.F) {
	for _, s := range []string{
		`{"alg":"ES256","kid":"k","typ":"at+jwt"}`, `{"alg":"ES256","kid":"k","typ":"at+jwt","crit":[]}`, `{"alg":"none","alg":"ES256","kid":"k","typ":"at+jwt"}`,
		`{"alg":"ES256","kid":"\ud800","typ":"at+jwt"}`, `{"ALG":"ES256","kid":"k","typ":"AT+JWT"}`, `{"alg":"ES256","kid":1,"typ":"application/at+jwt"}`, `null`, `[]`, "\ufeff{}",
		`{"alg":"ES256","kid":"k\u0000","typ":"at+jwt"} `, strings.Repeat("[", 200),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := parseHeader(text)
		if err != nil {
			if got != (header{}) {
				t.Errorf("%q: %+v, %v", text, got, err)
			}
			return
		}
		var plain map[string]string
		if err := json.Unmarshal(text, &plain); err != nil || len(plain) != 3 || plain["alg"] != got.Algorithm || plain["kid"] != got.KeyID || got.KeyID == "" || !utf8.Valid(text) {
			t.Errorf("%q is read as %+v, and by others as %v, %v", text, got, plain, err)
		}
	})
}

// FuzzClaims reads claims as if they were signed: a bug of an issuer must not
// become one of every verifier.
func FuzzClaims(f *testing.F) {
	const rest = `"iss":"i","aud":["a"],"sub":"u","client_id":"jotgate","jti":"j","iat":1,"exp":2,"roles":[],"scope":"","mode":"bearer"`
	for _, s := range []string{
		`{` + rest + `,"sid":"s","auth_time":1,"amr":["pwd"]}`, `{` + rest + `}`, `{` + rest + `,"sid":""}`, `{` + rest + `,"exp":3}`, `{"exp":1e3}`, `{"aud":[]}`, `{"aud":{}}`,
		`{` + rest + `,"nbf":9223372036854775808,"sid":"s","auth_time":1,"amr":[null]}`, `null`, `{"roles":[[]]}`, `{"scope":null}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var w wire
		if err := w.UnmarshalJSON(text); err != nil {
			return
		}
		var plain map[string]any
		if err := json.Unmarshal(text, &plain); err != nil {
			t.Fatalf("%q is taken: %v", text, err)
		}
		if w.Subject != plain["sub"] || w.Issuer != plain["iss"] || w.Scope != plain["scope"] || float64(w.ExpiresAt.Unix()) != plain["exp"] ||
			w.Subject == "" || w.ID == "" || len(w.Audience) == 0 || !w.IssuedAt.Before(w.ExpiresAt) {
			t.Errorf("%q is read as %+v", text, w.Claims)
		}
		if w.SessionID == "" && (w.Subject != w.ClientID || len(w.Roles) > 0 || w.Mode != modeBearer) {
			t.Errorf("%q is a client: %+v", text, w.Claims)
		}
	})
}

// FuzzOrigin: a write is let through by two exact texts and nothing else.
func FuzzOrigin(f *testing.F) {
	for _, s := range [][3]string{
		{"POST", "same-origin", ""},
		{"POST", "", "https://app.example.com"},
		{"POST", "Same-Origin", "null"},
		{"get", "", ""},
		{"HEAD", "cross-site", "x"},
		{"POST", " same-origin", "https://app.example.com "},
		{"DELETE", "same-origin, cross-site", "https://app.example.com.evil.example"},
		{"", "", ""},
	} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, method, site, origin string) {
		r := &http.Request{Method: method, Header: http.Header{}}
		if site != "" {
			r.Header["Sec-Fetch-Site"] = []string{site}
		}
		if origin != "" {
			r.Header["Origin"] = []string{origin}
		}
		err := CheckOrigin(r, []string{"https://app.example.com", "null", ""})
		reads := method == "GET" || method == "HEAD" || method == "OPTIONS"
		shows := site == "same-origin" || origin == "https://app.example.com"
		if (err == nil) != (reads || shows) || err != nil && !errors.Is(err, ErrCrossOrigin) {
			t.Errorf("%q %q %q: %v", method, site, origin, err)
		}
	})
}
