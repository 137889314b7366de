package token

import (
	"encoding/base64"
	"testing"
	"time"
)

// FuzzParsePayload reads payloads as if they were signed: a key that leaked must not
// bring the program down as well.
func FuzzParsePayload(f *testing.F) {
	for _, s := range []string{
		`{"iss":"i","aud":"i","sub":"u","sid":"s","gen":1,"jti":"j","iat":1,"exp":2}`, `{}`, `null`, `[]`, `{"gen":1e3}`, `{"gen":9223372036854775808}`,
		`{"gen":-1,"iat":-9223372036854775808,"exp":9223372036854775807}`, `{"sid":null}`, `{"gen":1,"gen":2}`, `{"sub":"\u0000"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, claims []byte) {
		got, err := parse(base64.RawURLEncoding.EncodeToString(claims))
		if err != nil {
			if got != (Refresh{}) {
				t.Errorf("%q: %+v beside %v", claims, got, err)
			}
			return
		}
		if got.IssuedAt.Location() != time.UTC || got.ExpiresAt.Location() != time.UTC {
			t.Errorf("%q: %+v", claims, got)
		}
	})
}
