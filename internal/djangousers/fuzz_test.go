package djangousers

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzReadDump: whatever a dump holds, a row is text that a column can hold or an
// error, and no error repeats a password.
func FuzzReadDump(f *testing.F) {
	const good = `{"model":"auth.user","pk":1,"fields":{"username":"ada","email":"ada@example.com","password":"pbkdf2_sha256$1$a$b","date_joined":"2026-03-04T05:06:07Z"}}`
	for _, s := range []string{
		"[" + good + "]", "[" + good + "," + good + "]", "[" + good, "[" + good + "]x", "[]", "{}", "", "[1]", `[{"model":"auth.user","pk":null,"fields":{}}]`,
		`[{"model":"auth.user","pk":"\u0000","fields":{"username":"\u0000","password":"secretsecret"}}]`, `[{"model":"auth.user","fields":[]}]`,
		`[{"model":"auth_user","pk":1e3,"fields":{"password":"p","is_active":null,"date_joined":"0000-00-00"}}]`, "[\"\xff\"]",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		err := readDump(strings.NewReader(string(text)), "auth_user", func(r Row, bad *RowError) error {
			if bad != nil {
				if len(r.Password) > 8 && strings.Contains(bad.Error(), r.Password) && !strings.Contains(r.ID, r.Password) {
					t.Errorf("an error repeats the password: %v", bad)
				}
				return nil
			}
			for _, s := range []string{r.Username, r.Email, r.Password} {
				if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
					t.Errorf("%q is taken", s)
				}
			}
			if r.ID == "" || r.Joined.Location() != time.UTC {
				t.Errorf("row = %+v", r)
			}
			return nil
		})
		if err != nil && strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("error of more than one line: %q", err)
		}
	})
}
