package bearer

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxToken = 8192 // bytes
	maxKeyID = 128  // bytes
)

// header is what the header of an access token may say, and all of it must.
type header struct{ Algorithm, KeyID string }

// gate looks at a token before any library does, and lets through only what
// jotgate could have written: three segments of base64url, a header of exactly
// alg, kid and typ, each a string and each once (RFC 7515, sections 4 and 5.2).
// golang-jwt by itself takes an unknown crit, any typ and a line feed in the
// signature.
func gate(token string) (header, error) {
	first, _, _, err := segments(token)
	if err != nil {
		return header{}, err
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(first)
	if err != nil {
		return header{}, errors.New("header is not base64url")
	}
	return parseHeader(text)
}

// segments takes a JWS in the compact serialisation (RFC 7515, section 7.1) apart.
// It looks at every byte before anything is decoded or allocated.
func segments(token string) (protected, payload, signature string, err error) {
	if len(token) == 0 || len(token) > maxToken {
		return "", "", "", fmt.Errorf("%d bytes is not the length of a token", len(token))
	}
	dots := 0
	for i := range len(token) {
		switch c := token[i]; {
		case c == '.':
			dots++
		case !isBase64URL(c):
			return "", "", "", errors.New("a character that is not in base64url")
		}
	}
	protected, rest, _ := strings.Cut(token, ".")
	payload, signature, _ = strings.Cut(rest, ".")
	if dots != 2 || protected == "" || payload == "" || signature == "" {
		return "", "", "", errors.New("not three segments")
	}
	return protected, payload, signature, nil
}

// isBase64URL looks c up among the characters below 64 and those below 128: it is
// asked about every byte of every token.
func isBase64URL(c byte) bool {
	const (
		low  = 1<<'-' | 1<<('9'+1) - 1<<'0'
		high = 1<<('Z'+1-64) - 1<<('A'-64) | 1<<('_'-64) | 1<<('z'+1-64) - 1<<('a'-64)
	)
	set := uint64(low)
	if c >= 64 {
		set = high
	}
	return c < 128 && set>>(c&63)&1 != 0
}

func parseHeader(text []byte) (header, error) {
	members, err := object(text)
	if err != nil {
		return header{}, fmt.Errorf("header: %w", err)
	}
	if len(members) != 3 {
		return header{}, errors.New("header has other members than alg, kid and typ")
	}
	var h header
	var typ string
	for name, into := range map[string]*string{"alg": &h.Algorithm, "kid": &h.KeyID, "typ": &typ} {
		if *into, err = stringIn(members, name); err != nil {
			return header{}, fmt.Errorf("header: %w", err)
		}
	}
	if len(h.KeyID) > maxKeyID {
		return header{}, errors.New("header: kid is too long")
	}
	// RFC 9068, section 4: a media type, compared without regard to case.
	if !strings.EqualFold(typ, "at+jwt") && !strings.EqualFold(typ, "application/at+jwt") {
		return header{}, fmt.Errorf("typ is %.32q, not at+jwt", typ)
	}
	return h, nil
}

// object reads text as one JSON object, and refuses what parsers disagree about:
// a name that is there twice at any depth, invalid UTF-8, a lone surrogate.
// encoding/json by itself takes the last of two names and mends the text. What
// it costs grows with the length of the text, not with how deep it nests: nobody
// has vouched for it yet.
func object(text []byte) (map[string]json.RawMessage, error) {
	if !jsontext.Value(text).IsValid() {
		return nil, errors.New("not JSON, or a member is there twice")
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil || members == nil {
		return nil, errors.New("not a JSON object")
	}
	return members, nil
}

// stringIn returns a member that must be there and be a string with something in it.
func stringIn(members map[string]json.RawMessage, name string) (string, error) {
	raw, ok := members[name]
	if !ok {
		return "", fmt.Errorf("%s is missing", name)
	}
	var s string
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil || s == "" {
		return "", fmt.Errorf("%s is not a string with something in it", name)
	}
	return s, nil
}
