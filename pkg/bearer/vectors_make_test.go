package bearer_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// maker makes the vectors. Its signatures are deterministic.
type maker struct {
	tb   testing.TB
	keys map[string]crypto.Signer // by alg, which is the kid too
	list []vector
}

func makeVectors(t *testing.T) vectors {
	t.Helper()
	m := &maker{tb: t, keys: map[string]crypto.Signer{}}
	for alg, file := range map[string]string{"ES256": "es256", "EdDSA": "eddsa", "RS256": "rs256"} {
		text, err := os.ReadFile("../../testdata/keys/" + file + ".pem")
		check(t, err)
		block, _ := pem.Decode(text)
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		check(t, err)
		m.keys[alg] = key.(crypto.Signer)
	}
	m.good()
	m.algorithms()
	m.headers()
	m.text()
	m.signatures()
	m.json()
	m.times()
	m.claims()
	m.clients()
	m.modes()
	return vectors{Issuer: issuer, Audience: audience, Now: now().Unix(), Leeway: 30, JWKS: m.jwks(), Tests: m.list}
}

// longKID is a byte longer than the kid of a token may be.
var longKID = strings.Repeat("k", 129)

// jwks is the three keys, and four that no token is verified with: one for
// encryption, one that does not say for which algorithm it is, one for another
// algorithm, and one whose kid is too long.
func (m *maker) jwks() json.RawMessage {
	var set jose.JSONWebKeySet
	add := func(key, kid, alg, use string) {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: m.keys[key].Public(), KeyID: kid, Algorithm: alg, Use: use})
	}
	add("ES256", "ES256", "ES256", "sig")
	add("EdDSA", "EdDSA", "EdDSA", "sig")
	add("RS256", "RS256", "RS256", "sig")
	add("ES256", "ES256-enc", "ECDH-ES", "enc")
	add("ES256", "ES256-any", "", "sig")
	add("RS256", "RS256-pss", "PS256", "sig")
	add("ES256", longKID, "ES256", "sig")
	text, err := json.Marshal(set)
	check(m.tb, err)
	return text
}

func (m *maker) accept(name, why, token string) {
	m.list = append(m.list, vector{Name: name, Token: token, Valid: true, Why: why})
}

func (m *maker) refuse(name, why, token string) {
	m.list = append(m.list, vector{Name: name, Token: token, Why: why})
}

// raw signs text under a key. An ECDSA signature is by RFC 6979.
func (m *maker) raw(key crypto.Signer, text string) []byte {
	digest, opts := sha256.Sum256([]byte(text)), crypto.SHA256
	in := digest[:]
	if _, ok := key.(ed25519.PrivateKey); ok {
		in, opts = []byte(text), 0
	}
	sig, err := key.Sign(nil, in, opts)
	check(m.tb, err)
	if _, ok := key.(*ecdsa.PrivateKey); ok {
		return pointOf(fromDER(m.tb, sig))
	}
	return sig
}

func fromDER(tb testing.TB, sig []byte) (r, s *big.Int) {
	tb.Helper()
	var pair struct{ R, S *big.Int }
	_, err := asn1.Unmarshal(sig, &pair)
	check(tb, err)
	return pair.R, pair.S
}

// pointOf is the JWS form of an ECDSA signature (RFC 7518, section 3.4).
func pointOf(r, s *big.Int) []byte {
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

func join(text string, sig []byte) string {
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// body is what is signed: header and claims, as values or as JSON text.
func (m *maker) body(h, c any) string { return encode(m.tb, h) + "." + encode(m.tb, c) }

func (m *maker) sign(alg string, h, c any) string {
	text := m.body(h, c)
	return join(text, m.raw(m.keys[alg], text))
}

// es is a token of ES256 with some header members and claims replaced.
func (m *maker) es(h, c members) string { return m.sign("ES256", header("ES256", h), claims(c)) }

// named names a bad value.
func (m *maker) named(name string, value any) string {
	if value == nil {
		return name + " missing"
	}
	return name + " " + encodeJSON(m.tb, value)
}

// changed is the text of good claims, with old replaced.
func (m *maker) changed(old, by string) string {
	text := encodeJSON(m.tb, claims(nil))
	if strings.Count(text, old) != 1 {
		m.tb.Fatalf("%q is not once in %s", old, text)
	}
	return strings.Replace(text, old, by, 1)
}

func (m *maker) good() {
	for _, alg := range []string{"ES256", "EdDSA", "RS256"} {
		m.accept(alg, "a good token", m.sign(alg, header(alg, nil), claims(nil)))
	}
	m.accept("audience in a list", "aud is a string or an array (RFC 7519, 4.1.3)", m.es(nil, members{"aud": []string{"https://other.example.com", audience}}))
	m.accept("claim of somebody else", "claims that are not understood are ignored (RFC 7519, 4)", m.es(nil, members{"tenant": members{"a": []any{1.5, nil}}}))
	m.accept("no scope", "scope may be empty", m.es(nil, members{"scope": ""}))
	m.accept("no roles", "roles may be empty", m.es(nil, members{"roles": []string{}}))
	m.accept("no amr", "amr may be empty", m.es(nil, members{"amr": []string{}}))
	m.accept("another client with a session", "a session's token may be of any client", m.es(nil, members{"client_id": "app"}))
	m.accept("subject beyond ASCII", "claims are UTF-8", m.es(nil, members{"sub": "ü𝄞"}))
	m.accept("claims with white space", "JSON has white space between its tokens", m.sign("ES256", header("ES256", nil), "\n{ \t"+encodeJSON(m.tb, claims(nil))[1:]+"\r\n"))
	m.accept("header with white space and escapes", "JSON may spell a name in several ways", m.sign("ES256", `{ "\u0061lg" : "ES256", "kid":"ES256","typ":"at\u002bjwt"}`, claims(nil)))
	m.accept("longest", "8192 bytes are allowed", m.ofLength(8192))
}

// ofLength is a good token of n bytes, but for its length.
func (m *maker) ofLength(n int) string {
	for pad := 0; ; pad++ {
		h := encodeJSON(m.tb, header("ES256", nil)) + strings.Repeat(" ", pad)
		rest := n - len(m.sign("ES256", h, claims(members{"x": ""})))
		for more := rest*3/4 - 2; more <= rest*3/4+2; more++ {
			if token := m.sign("ES256", h, claims(members{"x": strings.Repeat("x", more)})); len(token) == n {
				return token
			}
		}
	}
}

func (m *maker) algorithms() {
	for _, alg := range []string{"none", "None", "NONE", ""} {
		m.refuse("alg "+alg+", not signed", "a token is signed (RFC 8725, 3.2)", m.body(header(alg, members{"kid": "ES256"}), claims(nil))+".")
		m.refuse("alg "+alg+", with a signature", "alg is the key's", m.sign("ES256", header(alg, members{"kid": "ES256"}), claims(nil)))
	}
	for _, alg := range []string{"es256", "ES256 ", "ES384", "ES256K", "HS256", "RS256", "PS256", "EdDSA", "Ed25519"} {
		m.refuse("alg "+alg+" for an ES256 key", "the key fixes alg (RFC 8725, 3.1)", m.sign("ES256", header(alg, members{"kid": "ES256"}), claims(nil)))
	}
	m.refuse("alg Ed25519 for an EdDSA key", "alg is compared as it is written", m.sign("EdDSA", header("Ed25519", members{"kid": "EdDSA"}), claims(nil)))
	m.refuse("alg missing", "alg is needed (RFC 7515, 4.1.1)", m.sign("ES256", members{"kid": "ES256", "typ": "at+jwt"}, claims(nil)))
	m.refuse("alg null", "alg is a string", m.es(members{"alg": json.RawMessage("null")}, nil))
	m.refuse("alg a list", "alg is a string", m.es(members{"alg": []string{"ES256"}}, nil))
	m.confusion()
	pss := func(alg string) string {
		text := m.body(header(alg, members{"kid": "RS256"}), claims(nil))
		return join(text, m.pss(text))
	}
	m.refuse("PSS signature under RS256", "RS256 is PKCS #1 v1.5", pss("RS256"))
	m.refuse("alg PS256 for an RS256 key", "the key fixes alg", pss("PS256"))
	sum := sha512.Sum512([]byte(m.body(header("RS256", nil), claims(nil))))
	longer, err := m.keys["RS256"].Sign(nil, sum[:], crypto.SHA512)
	check(m.tb, err)
	m.refuse("RS512 signature under RS256", "RS256 is over SHA-256", join(m.body(header("RS256", nil), claims(nil)), longer))
}

// pss signs as PS256 does, with a salt of zeros (RFC 8017, section 9.1.1).
func (m *maker) pss(text string) []byte {
	key := m.keys["RS256"].(*rsa.PrivateKey)
	salt, hash := make([]byte, 32), sha256.Sum256([]byte(text))
	h := sha256.Sum256(append(append(make([]byte, 8), hash[:]...), salt...))
	db := make([]byte, key.Size()-len(h)-1)
	db[len(db)-len(salt)-1] = 1
	for i := range db {
		mask := sha256.Sum256(append(h[:], 0, 0, 0, byte(i/32))) // MGF1
		db[i] ^= mask[i%32]
	}
	db[0] &= 0x7f
	em := append(append(db, h[:]...), 0xbc)
	sig := new(big.Int).Exp(new(big.Int).SetBytes(em), key.D, key.N).FillBytes(make([]byte, key.Size()))
	check(m.tb, rsa.VerifyPSS(&key.PublicKey, crypto.SHA256, hash[:], sig, nil))
	return sig
}

// confusion signs with HMAC under what is public (RFC 8725, section 2.1).
func (m *maker) confusion() {
	for _, kid := range []string{"ES256", "EdDSA", "RS256"} {
		der, err := x509.MarshalPKIXPublicKey(m.keys[kid].Public())
		check(m.tb, err)
		for _, secret := range []struct {
			name string
			key  []byte
		}{{"DER", der}, {"PEM", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}, {"nothing", nil}} {
			for _, alg := range []string{"HS256", kid} {
				text := m.body(header(alg, members{"kid": kid}), claims(nil))
				mac := hmac.New(sha256.New, secret.key)
				mac.Write([]byte(text))
				m.refuse("HMAC with the "+kid+" key as "+secret.name+", alg "+alg, "a public key is no secret", join(text, mac.Sum(nil)))
			}
		}
	}
}

func (m *maker) headers() {
	with := func(name, why string, h members) { m.refuse(name, why, m.es(h, nil)) }
	with("kid missing", "kid is needed", members{"kid": nil})
	with("kid empty", "kid has something in it", members{"kid": ""})
	with("kid unknown", "no key has it", members{"kid": "nope"})
	with("kid in another case", "kid is compared exactly", members{"kid": "es256"})
	with("kid a number", "kid is a string", members{"kid": 1})
	with("kid null", "kid is a string", members{"kid": json.RawMessage("null")})
	with("kid a list", "kid is a string", members{"kid": []string{"ES256"}})
	with("kid a path", "no key has it", members{"kid": "../../../dev/null"})
	with("kid of an object's prototype", "no key has it", members{"kid": "__proto__"})
	with("kid of an object's member", "no key has it", members{"kid": "constructor"})
	with("kid too long", "kid has at most 128 bytes", members{"kid": longKID})
	with("kid of another key", "another key did not sign", members{"kid": "EdDSA"})
	with("kid of a key for encryption", "the key does not verify", members{"kid": "ES256-enc"})
	with("kid of a key without alg", "a key is for one alg", members{"kid": "ES256-any"})
	m.refuse("kid of a key for PS256", "the key is for another alg", m.sign("RS256", header("RS256", members{"kid": "RS256-pss"}), claims(nil)))
	for _, typ := range []string{"JWT", "rt+jwt", "jwt", "", "at+jwt+x", "at jwt", "at+jwt ", "dpop+jwt", "application/rt+jwt", "application/application/at+jwt", "application/ at+jwt", "text/at+jwt"} {
		with("typ "+typ, "typ is at+jwt (RFC 9068, 4)", members{"typ": typ})
	}
	with("typ missing", "typ is at+jwt (RFC 9068, 4)", members{"typ": nil})
	with("typ a list", "typ is a string", members{"typ": []string{"at+jwt"}})
	for _, typ := range []string{"application/at+jwt", "AT+JWT", "Application/At+Jwt"} {
		m.accept("typ "+typ, "typ is a media type (RFC 7515, 4.1.9): the prefix may be there, and case does not count", m.es(members{"typ": typ}, nil))
	}
	for _, more := range []struct {
		name string
		h    members
	}{
		{"crit", members{"crit": []string{"exp"}, "exp": 1}},
		{"crit empty", members{"crit": []string{}}},
		{"crit null", members{"crit": json.RawMessage("null")}},
		{"b64 false", members{"b64": false, "crit": []string{"b64"}}},
		{"b64 true", members{"b64": true}},
		{"zip", members{"zip": "DEF"}},
		{"enc", members{"enc": "A128GCM"}},
		{"cty", members{"cty": "JWT"}},
		{"jku", members{"jku": "https://evil.example/jwks.json"}},
		{"jwk", members{"jwk": m.jwk("ES256")}},
		{"x5u", members{"x5u": "https://evil.example/chain.pem"}},
		{"x5c", members{"x5c": []string{"MIIB"}}},
		{"x5t", members{"x5t": "AA"}},
		{"a private one", members{"x": 1}},
		{"Alg too", members{"Alg": "ES256"}},
	} {
		with("header with "+more.name, "the header has alg, kid and typ alone", more.h)
	}
	// The key that the token brings along did sign it.
	stranger := m.stranger()
	text := m.body(header("ES256", members{"jwk": jose.JSONWebKey{Key: stranger.Public()}}), claims(nil))
	m.refuse("jwk that signed", "a token brings no key along (RFC 8725, 3.10)", join(text, m.raw(stranger, text)))
	text = m.body(header("ES256", nil), claims(nil))
	m.refuse("signed by a stranger", "the key of kid signs", join(text, m.raw(stranger, text)))
}

func (m *maker) jwk(alg string) jose.JSONWebKey { return jose.JSONWebKey{Key: m.keys[alg].Public()} }

// stranger is a key that is not in the set.
func (m *maker) stranger() crypto.Signer {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), digest("stranger"))
	check(m.tb, err)
	return key
}

func digest(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

func (m *maker) json() {
	good := encodeJSON(m.tb, header("ES256", nil))
	for _, h := range []struct{ name, text string }{
		{"alg twice", `{"alg":"none",` + good[1:]},
		{"kid twice", `{"kid":"nope",` + good[1:]},
		{"typ twice", good[:len(good)-1] + `,"typ":"at+jwt"}`},
		{"alg twice, once escaped", `{"\u0061lg":"none",` + good[1:]},
		{"text behind", good + "x"},
		{"another object behind", good + "{}"},
		{"an array", "[]"},
		{"null", "null"},
		{"a string", `"alg"`},
		{"nothing", "{}"},
		{"a byte order mark", "\ufeff" + good},
		{"a comma too many", good[:len(good)-1] + ",}"},
		{"a comment", "/**/" + good},
		{"single quotes", strings.ReplaceAll(good, `"`, "'")},
		{"NUL behind", good + "\x00"},
		{"invalid UTF-8", strings.Replace(good, "at+jwt", "at+jwt\xff", 1)},
		{"a lone surrogate", strings.Replace(good, "at+jwt", `\ud800`, 1)},
		{"a line feed in a string", strings.Replace(good, "at+jwt", "at+jwt\n", 1)},
		{"deep nesting", `{"alg":` + strings.Repeat("[", 2000)},
	} {
		m.refuse("header: "+h.name, "the header is one JSON object, each member once (RFC 7515, 4)", m.sign("ES256", h.text, claims(nil)))
	}
	text := encodeJSON(m.tb, claims(nil))
	for _, c := range []struct{ name, text string }{
		{"sub twice", `{"sub":"u2",` + text[1:]},
		{"sub twice, once escaped", `{"s\u0075b":"u2",` + text[1:]},
		{"exp twice, the same", text[:len(text)-1] + `,"exp":` + m.number("exp") + `}`},
		{"twice in an object within", `{"x":{"a":1,"a":2},` + text[1:]},
		{"twice in an array within", `{"x":[{"a":1,"b":2,"a":2}],` + text[1:]},
		{"__proto__ twice", `{"__proto__":1,"__proto__":2,` + text[1:]},
		{"text behind", text + "x"},
		{"another object behind", text + "{}"},
		{"an array", "[" + text + "]"},
		{"null", "null"},
		{"a number", "1"},
		{"a string", `"` + "sub" + `"`},
		{"nothing", "{}"},
		{"a byte order mark", "\ufeff" + text},
		{"a comma too many", text[:len(text)-1] + ",}"},
		{"cut short", text[:len(text)-1]},
		{"not JSON", "sub=u1"},
		{"invalid UTF-8", m.changed(`"u1"`, "\"\xff\"")},
		{"UTF-8 of a surrogate", m.changed(`"u1"`, "\"\xed\xa0\x80\"")},
		{"a lone surrogate", m.changed(`"u1"`, `"\ud800"`)},
		{"a lone surrogate in a name", `{"\udc00":1,` + text[1:]},
		{"a tab in a string", m.changed(`"u1"`, "\"u\t1\"")},
		{"NaN within", `{"x":NaN,` + text[1:]},
		{"a leading zero", `{"x":01,` + text[1:]},
		{"a plus sign", `{"x":+1,` + text[1:]},
		{"deep nesting, not closed", `{"x":` + strings.Repeat("[", 4000)},
	} {
		m.refuse("claims: "+c.name, "claims are one JSON object, each member once (RFC 7519, 4)", m.sign("ES256", header("ES256", nil), c.text))
	}
	deep := `{"x":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + "," + text[1:]
	m.accept("claims: deep nesting", "what is not understood is ignored, however deep", m.sign("ES256", header("ES256", nil), deep))
	m.accept("claims: __proto__", "a name like others", m.sign("ES256", header("ES256", nil), `{"__proto__":{"sub":"u2"},`+text[1:]))
	m.refuse("claims: sub within __proto__", "sub is needed", m.sign("ES256", header("ES256", nil), `{"__proto__":{"sub":"u2"},`+m.changed(`,"sub":"u1"`, "")[1:]))
}

// number is a claim of the good claims as it is written.
func (m *maker) number(name string) string { return encodeJSON(m.tb, claims(nil)[name]) }
