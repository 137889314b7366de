package keyset_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/keyset"
)

// FuzzParseMasterKey: what is taken is 32 bytes in one of two spellings, and the
// error does not repeat it.
func FuzzParseMasterKey(f *testing.F) {
	raw := strings.Repeat("\x0f", 32)
	b64, hexa := base64.StdEncoding.EncodeToString([]byte(raw)), hex.EncodeToString([]byte(raw))
	for _, s := range []string{b64, hexa, strings.ToUpper(hexa), b64 + "\r\n", b64 + "\n\n", " " + b64, b64[:43] + "!", "\n", hexa[:63] + "g", b64[:42] + "9="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := keyset.ParseMasterKey(text)
		line := strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
		if err != nil {
			if m.Set() || len(line) > 16 && strings.Contains(err.Error(), line) {
				t.Errorf("%q: %v, set %t", text, err, m.Set())
			}
			return
		}
		key, bad := base64.StdEncoding.DecodeString(line)
		if len(line) == 64 {
			key, bad = hex.DecodeString(line)
		}
		again, err := keyset.ParseMasterKey(base64.StdEncoding.EncodeToString(key))
		if bad != nil || err != nil || string(again.Derive("x", 8)) != string(m.Derive("x", 8)) {
			t.Errorf("%q is taken: %v, %v", text, bad, err)
		}
	})
}

// FuzzImport: what is taken can sign and is published, and nothing of it is in an
// error.
func FuzzImport(f *testing.F) {
	for _, name := range []string{"es256.pem", "eddsa.pem", "eddsa.jwk", "rs256.pem", "public.pem"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "keys", name))
		if err != nil {
			f.Fatal(err)
		}
		for i := range 3 {
			f.Add(text, byte(i))
		}
	}
	f.Add([]byte(`{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}`), byte(0))
	f.Add([]byte(`{"kty":"OKP","crv":"Ed25519","x":"","d":""}`), byte(1))
	f.Add([]byte(`{"kty":"oct","k":"AAAA"}`), byte(2))
	algorithms := []keyset.Algorithm{keyset.ES256, keyset.EdDSA, keyset.RS256}
	master, err := keyset.ParseMasterKey(strings.Repeat("0f", 32))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte, which byte) {
		alg := algorithms[int(which)%len(algorithms)]
		s := keyset.New(&memory{}, master, keyset.Config{PublishAhead: 1, Retain: retaining, Now: now})
		info, err := s.Import(t.Context(), text, alg)
		if err != nil {
			if !errors.Is(err, keyset.ErrUnusableKey) || info.KID != "" {
				t.Errorf("%q: %+v, %v", text, info, err)
			}
			return
		}
		if k, ok := s.Public(info.KID); !ok || k.Algorithm != alg {
			t.Errorf("%q: %+v is not published", text, info)
		}
	})
}
