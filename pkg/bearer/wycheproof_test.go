package bearer

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/jotgate/jotgate/internal/needs"
)

// wycheproof is a file of JWS vectors of C2SP/wycheproof.
type wycheproof struct {
	TestGroups []struct {
		Comment         string
		Public, Private json.RawMessage
		Tests           []struct {
			TcID            int
			Comment, Result string
			JWS             string
		}
	}
}

// accepted is the invalid cases that this package accepts, and why that is right.
var accepted = map[string]map[int]string{
	"json_web_key_test.json": {
		7: "the modulus is of a chip that made weak keys (ROCA); the signature is right, and the issuer's keys are made by Go",
	},
}

func readWycheproof(t *testing.T, name string) wycheproof {
	t.Helper()
	dir := os.Getenv("JOTGATE_TEST_WYCHEPROOF")
	if dir == "" {
		needs.Missing(t, "wycheproof", "JOTGATE_TEST_WYCHEPROOF is not set")
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	var w wycheproof
	if err := json.Unmarshal(text, &w); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestWycheproof takes the vectors through what of a verification is the same
// for every JWS: the gate's look at the text and the header's members, the key
// set, and the signature. Their headers have no typ and their payloads no claims,
// so that [Verifier.Verify] refuses all of them.
func TestWycheproof(t *testing.T) {
	for _, file := range []string{"json_web_signature_test.json", "json_web_key_test.json"} {
		t.Run(file, func(t *testing.T) {
			valid, of := 0, 0
			for _, group := range readWycheproof(t, file).TestGroups {
				key := group.Public
				if key == nil {
					key = group.Private
				}
				for _, tt := range group.Tests {
					err := verifyJWS(tt.JWS, publicSet(t, key))
					if tt.Result == "valid" {
						of++
						if err == nil {
							valid++
						}
						continue
					}
					if _, known := accepted[file][tt.TcID]; err == nil && !known {
						t.Errorf("%s, %d: an invalid signature is accepted: %s", group.Comment, tt.TcID, tt.Comment)
					}
				}
			}
			t.Logf("%d of %d valid signatures are accepted; the others are of algorithms that are not ours", valid, of)
			if file == "json_web_signature_test.json" && valid < 5 {
				t.Errorf("only %d valid signatures are accepted", valid)
			}
		})
	}
}

// publicSet returns a key or a set as a set, without its private members: the
// vectors have them, and a set that has is refused before any signature.
func publicSet(t *testing.T, text json.RawMessage) []byte {
	t.Helper()
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		t.Fatal(err)
	}
	if set.Keys == nil {
		set.Keys = make([]map[string]any, 1)
		if err := json.Unmarshal(text, &set.Keys[0]); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range set.Keys {
		for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth"} {
			delete(k, name)
		}
	}
	out, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func verifyJWS(text string, set []byte) error {
	known, err := parseKeys(set)
	if err != nil {
		return err
	}
	protected, payload, signature, err := segments(text)
	if err != nil {
		return err
	}
	h, err := base64.RawURLEncoding.Strict().DecodeString(protected)
	if err != nil {
		return err
	}
	members, err := object(h)
	if err != nil {
		return err
	}
	for name := range members {
		if name != "alg" && name != "kid" && name != "typ" {
			return errors.New("a member that is not ours")
		}
	}
	alg, err := stringIn(members, "alg")
	if err != nil {
		return err
	}
	kid, err := stringIn(members, "kid")
	if err != nil {
		return err
	}
	key, ok := known[kid]
	if !ok || key.Algorithm != alg {
		return errors.New("no such key for that algorithm")
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(signature)
	if err != nil {
		return err
	}
	return jwt.GetSigningMethod(alg).Verify(protected+"."+payload, raw, key.Public)
}

func TestJWK(t *testing.T) {
	const (
		ec  = `"kty":"EC","crv":"P-256","alg":"ES256","x":"04N0xi21hshyvBp7I167sbE_bXqyqkAPfefdklMO7wY","y":"UI8exy-C06a7DUnjIdENkxeFtHM4-l_41LqEw9nVgmw"`
		okp = `"kty":"OKP","crv":"Ed25519","alg":"EdDSA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`
	)
	good := []string{
		`{"kid":"a",` + ec + `}`, `{"kid":"a",` + okp + `}`, `{"kid":"a","use":"sig","key_ops":["verify"],` + ec + `}`,
		`{"kid":"a",` + ec + `},{"kid":"b","kty":"EC","crv":"P-521","alg":"ES512"}`, `{"kid":"a","unknown":1,` + ec + `}`,
	}
	for _, keys := range good {
		if k, err := parseKeys([]byte(`{"keys":[` + keys + `]}`)); err != nil || len(k) != 1 {
			t.Errorf("%s: %v, %v", keys, k, err)
		}
	}
	bad := map[string]string{
		"no keys": ``, "no kid": `{` + ec + `}`, "kid twice": `{"kid":"a",` + ec + `},{"kid":"a",` + okp + `}`,
		"for encryption": `{"kid":"a","use":"enc",` + ec + `}`, "for signing": `{"kid":"a","key_ops":["sign"],` + ec + `}`,
		"no alg":    `{"kid":"a","kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
		"private":   `{"kid":"a","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",` + okp + `}`,
		"symmetric": `{"kid":"a","kty":"oct","alg":"HS256","k":"AAAA"}`, "symmetric as ES256": `{"kid":"a","kty":"oct","alg":"ES256","k":"AAAA"}`,
		"alg of another": `{"kid":"a",` + strings.Replace(ec, "ES256", "RS256", 1) + `}`, "curve of another": `{"kid":"a",` + strings.Replace(ec, "P-256", "P-384", 1) + `}`,
		"not on the curve": `{"kid":"a",` + strings.Replace(ec, "04N0", "04N1", 1) + `}`, "short coordinate": `{"kid":"a",` + strings.Replace(ec, "04N0", "", 1) + `}`,
		"padding": `{"kid":"a",` + strings.Replace(okp, "URo", "URo=", 1) + `}`, "short Ed25519": `{"kid":"a",` + strings.Replace(okp, "11qY", "", 1) + `}`,
		"small RSA":    `{"kid":"a","kty":"RSA","alg":"RS256","e":"AQAB","n":"` + base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("\xff", 128))) + `"}`,
		"exponent 1":   `{"kid":"a","kty":"RSA","alg":"RS256","e":"AQ","n":"` + base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("\xff", 256))) + `"}`,
		"even modulus": `{"kid":"a","kty":"RSA","alg":"RS256","e":"AQAB","n":"` + base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("\xfe", 256))) + `"}`,
		"huge RSA":     `{"kid":"a","kty":"RSA","alg":"RS256","e":"AQAB","n":"` + base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("\xff", 1024))) + `"}`,
		"member twice": `{"kid":"a","kid":"b",` + ec + `}`,
	}
	for name, keys := range bad {
		if k, err := parseKeys([]byte(`{"keys":[` + keys + `]}`)); err == nil {
			t.Errorf("%s: %v", name, k)
		}
	}
}
