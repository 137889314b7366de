package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"

	"github.com/jotgate/jotgate/internal/keyset"
)

// ErrInvalid is a text that is not a refresh token of this program.
var ErrInvalid = errors.New("token: not a refresh token")

const (
	typeRefresh   = "rt+jwt"
	maxRefresh    = 2048    // bytes of a refresh token
	maxGeneration = 1 << 53 // integers up to here are the same to every JSON reader (RFC 8259, section 6)
	jtiLen        = 16      // bytes
	refreshKIDLen = 9       // bytes
)

// Purposes of the keys that refresh tokens need.
const (
	refreshPurpose    = "jotgate refresh token v1"
	refreshJTIPurpose = "jotgate refresh token jti v1"
	refreshKIDPurpose = "jotgate refresh token kid v1"
)

// Refresh is what a refresh token says. It points at one generation of a session
// and has no authority of its own.
type Refresh struct {
	Subject    string // the user id
	SessionID  string
	Generation int64 // 0 to 2^53
	IssuedAt   time.Time
	ExpiresAt  time.Time // after IssuedAt by a second or more
}

// Refresher mints and reads refresh tokens under keys that sign nothing else and
// are never published. It is safe for concurrent use.
type Refresher struct {
	mints minter
	reads []minter // mints, and those of other master keys
}

// minter is what refresh tokens of one master key are made with.
type minter struct {
	issuer      string
	header      string // the first segment of every token
	key, jtiKey []byte
}

// NewRefresher returns a Refresher for the tokens of issuer. Processes with the
// same issuer and master key read each other's tokens, and it reads those of other
// master keys too, of which the zero one is none.
//
// While a master key is exchanged two processes may answer one generation with two
// texts, which differ in jti and signature. Nothing goes by either: both texts
// point at the same generation, and every process reads both. The jti cannot be
// the same, because the process that knows only the old key and the one that knows
// only the new one each make it from theirs.
func NewRefresher(issuer string, master keyset.MasterKey, others ...keyset.MasterKey) *Refresher {
	r := &Refresher{mints: newMinter(issuer, master)}
	r.reads = []minter{r.mints}
	for _, other := range others {
		if other.Set() {
			r.reads = append(r.reads, newMinter(issuer, other))
		}
	}
	return r
}

func newMinter(issuer string, master keyset.MasterKey) minter {
	// The kid is derived beside the key, not from it: it names the master key
	// and tells nothing of either. The header is written once; text needs no escapes.
	kid := encode(master.Derive(refreshKIDPurpose, refreshKIDLen))
	return minter{
		issuer: issuer,
		header: encode([]byte(`{"alg":"HS256","kid":"` + kid + `","typ":"` + typeRefresh + `"}`)),
		key:    master.Derive(refreshPurpose, sha256.Size),
		jtiKey: master.Derive(refreshJTIPurpose, sha256.Size),
	}
}

type refreshClaims struct {
	Issuer     string `json:"iss"`
	Audience   string `json:"aud"`
	Subject    string `json:"sub"`
	SessionID  string `json:"sid"`
	Generation int64  `json:"gen"`
	ID         string `json:"jti"`
	IssuedAt   int64  `json:"iat"`
	ExpiresAt  int64  `json:"exp"`
}

// Mint returns the token for t. The same t gives the same text, in every process
// with the same key, so whoever asks again for a generation gets the same token.
func (r *Refresher) Mint(t Refresh) (string, error) {
	payload, err := r.mints.payload(t)
	if err != nil {
		return "", err
	}
	text, err := r.mints.sign(payload)
	if err == nil && len(text) > maxRefresh {
		return "", fmt.Errorf("token: a refresh token of %d bytes is too long", len(text))
	}
	return text, err
}

// Read returns what the token in raw says, or [ErrInvalid] for anything but the
// very text that [Refresher.Mint] made. It does not judge the time: the session
// row has that authority, and ExpiresAt is there to be looked at.
//
// Signatures and base64 have several spellings of one value, and golang-jwt's
// parser takes a member twice, a missing exp and a line feed. So there is nothing
// to parse before the token is known to be ours: header and signature are compared
// as text with the only ones that fit the payload, then the payload with the
// only one that says the same.
//
// The kid in the header only says which key is to be asked: the text compared has
// the header of that key.
func (r *Refresher) Read(raw string) (Refresh, error) {
	header, rest, _ := strings.Cut(raw, ".")
	payload, _, _ := strings.Cut(rest, ".")
	for _, m := range r.reads {
		if len(raw) <= maxRefresh && m.header == header {
			return m.read(raw, payload)
		}
	}
	return Refresh{}, ErrInvalid
}

func (m minter) read(raw, payload string) (Refresh, error) {
	want, err := m.sign(payload)
	if err != nil || !hmac.Equal([]byte(want), []byte(raw)) { // in constant time
		return Refresh{}, ErrInvalid
	}
	t, err := parse(payload)
	if err != nil {
		return Refresh{}, ErrInvalid
	}
	if again, err := m.payload(t); err != nil || again != payload {
		return Refresh{}, ErrInvalid
	}
	return t, nil
}

// payload returns the second segment of the token for t. It writes [refreshClaims].
func (m minter) payload(t Refresh) (string, error) {
	switch {
	case t.Subject == "", t.SessionID == "":
		return "", errors.New("token: a refresh token needs a subject and a session")
	case t.Generation < 0, t.Generation > maxGeneration:
		return "", fmt.Errorf("token: no refresh token has generation %d", t.Generation)
	case t.IssuedAt.IsZero(), t.ExpiresAt.Unix() <= t.IssuedAt.Unix():
		return "", errors.New("token: a refresh token needs a time of issue and an end after it")
	}
	c := object{text: make([]byte, 0, 512)}
	c.string("iss", m.issuer)
	c.string("aud", m.issuer)
	c.string("sub", t.Subject)
	c.string("sid", t.SessionID)
	c.number("gen", t.Generation)
	c.string("jti", m.jti(t.SessionID, t.Generation))
	c.number("iat", t.IssuedAt.Unix())
	c.number("exp", t.ExpiresAt.Unix())
	payload, err := c.segment()
	if err != nil {
		return "", fmt.Errorf("token: encode refresh token: %w", err)
	}
	return payload, nil
}

// parse reads a payload that is known to be signed.
func parse(payload string) (Refresh, error) {
	claims, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return Refresh{}, err
	}
	var c refreshClaims
	if err := json.Unmarshal(claims, &c); err != nil {
		return Refresh{}, err
	}
	return Refresh{
		Subject: c.Subject, SessionID: c.SessionID, Generation: c.Generation,
		IssuedAt: time.Unix(c.IssuedAt, 0).UTC(), ExpiresAt: time.Unix(c.ExpiresAt, 0).UTC(),
	}, nil
}

// sign returns the token with the payload segment given.
func (m minter) sign(payload string) (string, error) {
	text := m.header + "." + payload
	signature, err := jwt.SigningMethodHS256.Sign(text, m.key)
	if err != nil {
		return "", fmt.Errorf("token: sign refresh token: %w", err)
	}
	return text + "." + encode(signature), nil
}

// jti returns the id of the token of one generation: unguessable, and the same
// each time. A session id with a dot in it stays apart, because a number has none.
func (m minter) jti(sid string, gen int64) string {
	mac := hmac.New(sha256.New, m.jtiKey)
	mac.Write([]byte(strconv.FormatInt(gen, 10) + "." + sid))
	return encode(mac.Sum(nil)[:jtiLen])
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
