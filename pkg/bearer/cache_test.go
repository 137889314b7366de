package bearer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// mint is an issuer with one key, and a clock, for a verifier under test.
type mint struct {
	key     *ecdsa.PrivateKey
	kid     string
	at      time.Time
	life    time.Duration // of its tokens
	gone    bool
	revoked func(*Claims) bool
}

func newMint(t *testing.T) *mint {
	t.Helper()
	return &mint{key: newKey(t), kid: "k", at: time.Unix(1_800_000_000, 0), life: 10 * time.Minute}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (m *mint) verifier(t *testing.T, size int) *Verifier {
	t.Helper()
	v, err := New(t.Context(), Config{
		Issuer: "i", Audience: "a", CacheSize: size, Now: func() time.Time { return m.at },
		Keys: func(context.Context, string) (Key, error) {
			if m.gone {
				return Key{}, errors.New("unknown")
			}
			return Key{Algorithm: "ES256", Public: m.key.Public()}, nil
		},
		Revoked: func(c *Claims) bool { return m.revoked != nil && m.revoked(c) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// token issues the token jti.
func (m *mint) token(t *testing.T, jti string) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": "i", "aud": "a", "sub": "u", "sid": "s", "client_id": "jotgate", "jti": jti, "mode": "bearer", "scope": "",
		"amr": []string{"pwd"}, "roles": []string{"reader"}, "iat": m.at.Unix(), "exp": m.at.Add(m.life).Unix(), "auth_time": m.at.Unix(),
	})
	token.Header["typ"], token.Header["kid"] = "at+jwt", m.kid
	text, err := token.SignedString(m.key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (v *Verifier) remembers(token string) bool { return v.cache.find(token, v.now()) != nil }

func wantVerified(t *testing.T, v *Verifier, token string) *Claims {
	t.Helper()
	c, err := v.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantRefused(t *testing.T, v *Verifier, token string, want error) {
	t.Helper()
	if c, err := v.Verify(t.Context(), token); c != nil || !errors.Is(err, want) {
		t.Errorf("Verify = %v, %v; want %v", c, err, want)
	}
}

// TestWhatIsRememberedIsStillLookedAt changes, one by one, what may change while a
// token lives.
func TestWhatIsRememberedIsStillLookedAt(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(m *mint)
		want   error
	}{
		"revoked":                {func(m *mint) { m.revoked = func(c *Claims) bool { return c.ID == "j" } }, ErrRevoked},
		"the key is gone":        {func(m *mint) { m.gone = true }, ErrInvalidToken},
		"the key is another":     {func(m *mint) { m.key = newKey(t) }, ErrInvalidToken},
		"expired":                {func(m *mint) { m.at = m.at.Add(10*time.Minute + defaultLeeway) }, ErrExpired},
		"before it was issued":   {func(m *mint) { m.at = m.at.Add(-defaultLeeway - time.Second) }, ErrInvalidToken},
		"within the leeway":      {func(m *mint) { m.at = m.at.Add(10*time.Minute + defaultLeeway - time.Second) }, nil},
		"nothing, to be certain": {func(*mint) {}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMint(t)
			v := m.verifier(t, 0)
			token := m.token(t, "j")
			wantVerified(t, v, token)
			if !v.remembers(token) {
				t.Fatal("it is not remembered")
			}
			tt.change(m)
			if tt.want == nil {
				wantVerified(t, v, token)
			} else {
				wantRefused(t, v, token, tt.want)
			}
		})
	}
}

// TestRememberedByItsExactText alters a remembered token in each of its bytes.
func TestRememberedByItsExactText(t *testing.T) {
	m := newMint(t)
	v := m.verifier(t, 0)
	token := m.token(t, "j")
	wantVerified(t, v, token)
	for i := range len(token) {
		other := "A"
		if token[i] == 'A' {
			other = "B"
		}
		wantRefused(t, v, token[:i]+other+token[i+1:], ErrInvalidToken)
	}
	wantRefused(t, v, token+"A", ErrInvalidToken)
	wantRefused(t, v, token[:len(token)-1], ErrInvalidToken)
}

// TestClaimsAreTheCallersOwn changes what one caller got.
func TestClaimsAreTheCallersOwn(t *testing.T) {
	m := newMint(t)
	v := m.verifier(t, 0)
	token := m.token(t, "j")
	for range 2 {
		c := wantVerified(t, v, token)
		if c.Subject != "u" || fmt.Sprint(c.Roles) != "[reader]" {
			t.Fatalf("claims = %+v", c)
		}
		c.Subject, c.Roles = "somebody else", append(c.Roles, "admin")
	}
}

// TestFloodEvictsNothing presents a great many tokens that are not valid, and then
// more valid ones than there is room for.
func TestFloodEvictsNothing(t *testing.T) {
	m := newMint(t)
	v := m.verifier(t, 64)
	token := m.token(t, "j")
	wantVerified(t, v, token)
	head := token[:strings.LastIndexByte(token, '.')+1]
	for i := range 2000 {
		wantRefused(t, v, head+strings.Repeat("A", 80)+fmt.Sprintf("%06d", i), ErrInvalidToken)
	}
	if !v.remembers(token) {
		t.Error("tokens that are not valid evicted a good one")
	}
	for i := range 300 {
		wantVerified(t, v, m.token(t, strconv.Itoa(i)))
	}
	n := 0
	for i := range v.cache.shards {
		n += len(v.cache.shards[i].young) + len(v.cache.shards[i].old)
	}
	if n > 64 {
		t.Errorf("%d tokens are remembered, and there is room for 64", n)
	}
}

func TestUnusedTokensAreForgotten(t *testing.T) {
	m := newMint(t)
	m.life = time.Hour
	v := m.verifier(t, 0)
	used, unused := m.token(t, "used"), m.token(t, "unused")
	s := v.cache.shard(used)
	for i := 0; v.cache.shard(unused) != s; i++ {
		unused = m.token(t, "unused"+strconv.Itoa(i))
	}
	wantVerified(t, v, used)
	wantVerified(t, v, unused)
	for range 4 {
		m.at = m.at.Add(turnEvery / 2)
		wantVerified(t, v, used)
		fresh := m.token(t, "fresh")
		for i := 0; v.cache.shard(fresh) != s; i++ {
			fresh = m.token(t, "fresh"+strconv.Itoa(i))
		}
		wantVerified(t, v, fresh)
	}
	if !v.remembers(used) || v.remembers(unused) {
		t.Errorf("remembered: the used one %t, the unused one %t", v.remembers(used), v.remembers(unused))
	}
}

func TestNoCache(t *testing.T) {
	m := newMint(t)
	v := m.verifier(t, -1)
	token := m.token(t, "j")
	wantVerified(t, v, token)
	wantVerified(t, v, token)
	if v.remembers(token) {
		t.Error("it is remembered")
	}
}

func TestCacheByManyAtOnce(t *testing.T) {
	m := newMint(t)
	tokens := make([]string, 40)
	for i := range tokens {
		tokens[i] = m.token(t, strconv.Itoa(i))
	}
	public := m.key.Public()
	v, err := New(t.Context(), Config{
		Issuer: "i", Audience: "a", CacheSize: 32, Now: func() time.Time { return m.at },
		Keys: func(context.Context, string) (Key, error) { return Key{Algorithm: "ES256", Public: public}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i, token := range tokens {
				c, err := v.Verify(t.Context(), token)
				if err != nil || c.ID != strconv.Itoa(i) {
					t.Errorf("token %d: %v, %v", i, c, err)
				}
			}
		})
	}
	wg.Wait()
}
