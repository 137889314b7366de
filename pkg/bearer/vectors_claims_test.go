package bearer_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"time"
)

func (m *maker) text() {
	good := m.es(nil, nil)
	h, rest, _ := strings.Cut(good, ".")
	c, sig, _ := strings.Cut(rest, ".")
	const why = "three segments of base64url without padding, two dots, at most 8192 bytes (RFC 7515, 7.1)"
	for _, tt := range []struct{ name, token string }{
		{"empty", ""},
		{"one segment", h},
		{"two segments", h + "." + c},
		{"no header", "." + c + "." + sig},
		{"no claims", h + ".." + sig},
		{"no signature", h + "." + c + "."},
		{"only dots", ".."},
		{"dot behind", good + "."},
		{"four segments", good + "." + sig},
		{"five segments, as a JWE has", h + "." + c + "." + sig + "." + c + "." + sig},
		{"JWE header, five segments", encode(m.tb, members{"alg": "RSA-OAEP-256", "enc": "A128GCM", "kid": "RS256", "typ": "at+jwt"}) + "." + c + "." + sig + "." + c + "." + sig},
		{"space before", " " + good},
		{"space behind", good + " "},
		{"line feed behind", good + "\n"},
		{"line feed in the signature", h + "." + c + "." + sig[:20] + "\n" + sig[20:]},
		{"line feed in the header", h[:4] + "\n" + h[4:] + "." + c + "." + sig},
		{"NUL behind", good + "\x00"},
		{"padding", good + "=="},
		{"padded header", h + "=." + c + "." + sig},
		{"standard base64", h + "." + c + "." + base64.RawStdEncoding.EncodeToString(append(slices.Repeat([]byte{0xff}, 32), make([]byte, 32)...))},
		{"percent", strings.Replace(good, ".", "%2E", 1)},
		{"a letter that looks like e", strings.Replace(good, "e", "\u0435", 1)},
		{"full-width dot", strings.Replace(good, ".", "\uff0e", 1)},
		{"quotes", `"` + good + `"`},
		{"scheme in front", "Bearer " + good},
		{"two tokens", good + "," + good},
		{"JSON serialisation", `{"protected":"` + h + `","payload":"` + c + `","signature":"` + sig + `"}`},
		{"8193 bytes", m.ofLength(8193)},
		{"bits beyond the last byte of the signature", good[:len(good)-1] + spare(good[len(good)-1])},
		{"bits beyond the last byte of the header", m.spareHeader(c)},
	} {
		m.refuse("text: "+tt.name, why, tt.token)
	}
	m.refuse("claims exchanged", "the signature covers the claims", h+"."+encode(m.tb, claims(members{"sub": "u2"}))+"."+sig)
	m.refuse("header exchanged", "the signature covers the header", encode(m.tb, header("ES256", members{"typ": "AT+JWT"}))+"."+c+"."+sig)
}

// spareHeader is a good token but for the last letter of its header, which carries
// bits that no byte uses.
func (m *maker) spareHeader(c string) string {
	h := encodeJSON(m.tb, header("ES256", nil))
	for len(h)%3 == 0 {
		h += " "
	}
	h = encode(m.tb, h)
	text := h[:len(h)-1] + spare(h[len(h)-1]) + "." + c
	return join(text, m.raw(m.keys["ES256"], text))
}

func (m *maker) signatures() {
	text := m.body(header("ES256", nil), claims(nil))
	key := m.keys["ES256"].(*ecdsa.PrivateKey)
	sig, n := m.raw(key, text), elliptic.P256().Params().N
	r, s := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])
	zero := new(big.Int)
	m.accept("ES256: s and n-s, the other one", "ES256 is malleable: both are signatures, so that a token is never identified by its text", join(text, pointOf(r, new(big.Int).Sub(n, s))))
	der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	check(m.tb, err)
	for _, tt := range []struct {
		name string
		sig  []byte
	}{
		{"r and s 0", pointOf(zero, zero)},
		{"r 0", pointOf(zero, s)},
		{"s 0", pointOf(r, zero)},
		{"r and s n", pointOf(n, n)},
		{"r 1, s 1", pointOf(big.NewInt(1), big.NewInt(1))},
		{"all ones", slices.Repeat([]byte{0xff}, 64)},
		{"r and s exchanged", pointOf(s, r)},
		{"n-r", pointOf(new(big.Int).Sub(n, r), s)},
		{"one byte short", sig[:63]},
		{"one byte more", append(slices.Clone(sig), 0)},
		{"a zero before each half", append(append([]byte{0}, sig[:32]...), append([]byte{0}, sig[32:]...)...)},
		{"half", sig[:32]},
		{"one byte", []byte{0}},
		{"DER", der},
		{"a bit changed", append([]byte{sig[0] ^ 1}, sig[1:]...)},
	} {
		m.refuse("ES256: "+tt.name, "r and s are within 1 and n-1, 32 bytes each (RFC 7518, 3.4)", join(text, tt.sig))
	}
	m.edwards()
	text = m.body(header("RS256", nil), claims(nil))
	sig = m.raw(m.keys["RS256"], text)
	m.refuse("RS256: one byte short", "as long as the modulus (RFC 8017, 8.2.2)", join(text, sig[:len(sig)-1]))
	m.refuse("RS256: a zero before it", "as long as the modulus (RFC 8017, 8.2.2)", join(text, append([]byte{0}, sig...)))
	m.refuse("RS256: zeros", "not a signature", join(text, make([]byte, len(sig))))
	m.refuse("RS256: ones", "not a signature", join(text, slices.Repeat([]byte{0xff}, len(sig))))
}

func (m *maker) edwards() {
	text := m.body(header("EdDSA", nil), claims(nil))
	sig := m.raw(m.keys["EdDSA"], text)
	l, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := slices.Clone(sig[32:])
	slices.Reverse(s)
	s = new(big.Int).Add(new(big.Int).SetBytes(s), l).FillBytes(make([]byte, 32))
	slices.Reverse(s)
	m.refuse("EdDSA: S beyond the order", "S is below the order (RFC 8032, 5.1.7)", join(text, append(slices.Clone(sig[:32]), s...)))
	m.refuse("EdDSA: zeros", "not a signature", join(text, make([]byte, ed25519.SignatureSize)))
	m.refuse("EdDSA: identity and 0", "not a signature", join(text, append([]byte{1}, make([]byte, 63)...)))
	m.refuse("EdDSA: one byte short", "64 bytes", join(text, sig[:63]))
	m.refuse("EdDSA: one byte more", "64 bytes", join(text, append(slices.Clone(sig), 0)))
}

func (m *maker) times() {
	at := func(d time.Duration) int64 { return now().Add(d).Unix() }
	accept := func(name, why string, c members) { m.accept(name, why, m.es(nil, c)) }
	refuse := func(name, why string, c members) { m.refuse(name, why, m.es(nil, c)) }
	const s = time.Second
	accept("exp 29 s ago", "clocks may differ by 30 s", members{"iat": at(-time.Minute), "exp": at(-29 * s)})
	refuse("exp 30 s ago", "a token is good before exp and the leeway", members{"iat": at(-time.Minute), "exp": at(-30 * s)})
	refuse("exp an hour ago", "expired", members{"iat": at(-2 * time.Hour), "exp": at(-time.Hour)})
	accept("iat in 30 s", "clocks may differ by 30 s", members{"iat": at(30 * s)})
	refuse("iat in 31 s", "issued in the future", members{"iat": at(31 * s)})
	accept("nbf now", "valid from now on", members{"nbf": at(0)})
	accept("nbf in 30 s", "clocks may differ by 30 s", members{"nbf": at(30 * s)})
	refuse("nbf in 31 s", "not valid yet (RFC 7519, 4.1.5)", members{"nbf": at(31 * s)})
	accept("life of 24 h", "a life has at most 24 h", members{"exp": at(24 * time.Hour)})
	refuse("life of 24 h and a second", "a life has at most 24 h", members{"exp": at(24*time.Hour + s)})
	refuse("exp at iat", "exp is after iat", members{"exp": at(0)})
	refuse("exp before iat", "exp is after iat", members{"exp": at(-s)})
	accept("auth_time long ago", "a session may be old", members{"auth_time": 1})
	const whole = "a time is a JSON number in whole seconds, above 0"
	for _, name := range []string{"exp", "iat", "nbf", "auth_time"} {
		if name != "nbf" {
			refuse(name+" missing", name+" is needed", members{name: nil})
		}
		good := m.number("exp")
		for _, bad := range []string{`"` + good + `"`, good + ".5", good + ".0", good + "e0", "1e10", "-1", "0", "-0", "null", "true", "[" + good + "]", "{}", `""`, "9223372036854775807", "9223372036854775808", "1e400", "18446744073709551615"} {
			refuse(name+" "+strings.ReplaceAll(bad, good, "S"), whole, members{name: json.RawMessage(bad)})
		}
		for _, bad := range []string{"NaN", "Infinity", "0x7fffffff", "01" + good} {
			text := strings.Replace(encodeJSON(m.tb, claims(members{name: json.RawMessage("777")})), `"`+name+`":777`, `"`+name+`":`+bad, 1)
			m.refuse(name+" "+strings.ReplaceAll(bad, good, "S"), "not JSON", m.sign("ES256", header("ES256", nil), text))
		}
	}
}

func (m *maker) claims() {
	refuse := func(name, why string, c members) { m.refuse(name, why, m.es(nil, c)) }
	for _, iss := range []any{issuer + "/", issuer + ".evil.example", issuer[:len(issuer)-1], "x" + issuer, strings.ToUpper(issuer), strings.Replace(issuer, "https", "http", 1), issuer + ":443", " " + issuer, "", nil, 1, []string{issuer}, json.RawMessage("null")} {
		refuse(m.named("iss", iss), "iss is the issuer, exactly (RFC 8725, 3.8)", members{"iss": iss})
	}
	for _, aud := range []any{"https://other.example.com", audience + "/", audience + "x", audience[1:], issuer, "", nil, 1, true, members{"a": audience}, []string{}, []string{"https://other.example.com"}, []any{audience, 1}, []any{nil, audience}, []any{[]string{audience}}, []string{audience, ""}, json.RawMessage("null"), audience + " " + issuer} {
		refuse(m.named("aud", aud), "aud has the verifier's audience, and strings alone (RFC 7519, 4.1.3)", members{"aud": aud})
	}
	for _, name := range []string{"sub", "jti", "sid", "client_id", "mode"} {
		for _, bad := range []any{nil, "", 7, []string{"x"}, members{}, false, json.RawMessage("null")} {
			refuse(m.named(name, bad), name+" is a string with something in it", members{name: bad})
		}
	}
	refuse("sub in another case", "names are compared exactly", members{"sub": nil, "Sub": "u1"})
	for _, mode := range []string{"Bearer", "header", "bearer "} {
		refuse("mode "+mode, "mode is bearer or cookie", members{"mode": mode})
	}
	for _, bad := range []any{nil, 1, []string{"a"}, members{}, json.RawMessage("null")} {
		refuse(m.named("scope", bad), "scope is a string", members{"scope": bad})
	}
	for _, name := range []string{"roles", "amr"} {
		for _, bad := range []any{nil, "admin", 1, members{"0": "admin"}, []any{nil}, []any{1}, []string{""}, []any{[]string{"admin"}}, json.RawMessage("null")} {
			refuse(m.named(name, bad), name+" is an array of strings", members{name: bad})
		}
	}
}

func (m *maker) clients() {
	own := func(with members) string { return m.sign("ES256", header("ES256", nil), clientClaims(with)) }
	const why = "without sid a token is of a client that acts for itself: sub is client_id, and nobody signed in (RFC 9068, 2.2)"
	m.accept("client", why, own(nil))
	m.accept("client with many audiences", why, own(members{"aud": []string{"https://other.example.com", audience}}))
	m.refuse("client for somebody else", why, own(members{"sub": "u1"}))
	m.refuse("client jotgate without a session", "jotgate acts for users alone", own(members{"sub": "jotgate", "client_id": "jotgate"}))
	m.refuse("client with an empty sid", why, own(members{"sid": ""}))
	m.refuse("client with sid null", why, own(members{"sid": json.RawMessage("null")}))
	m.refuse("client with auth_time", why, own(members{"auth_time": now().Unix()}))
	m.refuse("client with amr", why, own(members{"amr": []string{}}))
	m.refuse("client with a role", why, own(members{"roles": []string{"admin"}}))
	m.refuse("client without roles", "roles is an array of strings", own(members{"roles": nil}))
	m.refuse("client of a cookie", "a client has no cookie", own(members{"mode": "cookie"}))
	m.refuse("client with a session, without auth_time", "a session's token says when the user signed in", own(members{"sid": "s1", "amr": []string{"pwd"}}))
	m.refuse("client with a session, without amr", "a session's token says how the user signed in", own(members{"sid": "s1", "auth_time": now().Unix()}))
}

func (m *maker) modes() {
	const why = "mode is how a token has to be presented"
	inHeader, inCookie := m.es(nil, nil), m.es(nil, members{"mode": "cookie"})
	client := m.sign("ES256", header("ES256", nil), clientClaims(nil))
	for _, tt := range []struct {
		name, token, mode string
		valid             bool
	}{
		{"bearer token in the header", inHeader, "bearer", true},
		{"cookie token in the cookie", inCookie, "cookie", true},
		{"cookie token, verified", inCookie, "", true},
		{"client's token in the header", client, "bearer", true},
		{"bearer token in the cookie", inHeader, "cookie", false},
		{"cookie token in the header", inCookie, "bearer", false},
		{"client's token in the cookie", client, "cookie", false},
	} {
		m.list = append(m.list, vector{Name: tt.name, Token: tt.token, Mode: tt.mode, Valid: tt.valid, Why: why})
	}
}
