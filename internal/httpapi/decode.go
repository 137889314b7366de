package httpapi

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxBody  = 16 << 10 // bytes
	maxDepth = 8
)

// decode reads the body as exactly one JSON object of type T. It refuses what a
// client cannot have meant: a misspelt or repeated member, text behind the
// object, characters that are none.
func decode[T any](c *gin.Context) (T, error) {
	v, present, err := decodeOptional[T](c)
	if err == nil && !present {
		err = malformed("A JSON object is expected in the body.")
	}
	return v, err
}

// decodeOptional is decode for routes that need no body.
func decodeOptional[T any](c *gin.Context) (v T, present bool, err error) {
	text, err := readBody(c.Writer, c.Request)
	if err != nil || len(text) == 0 {
		return v, false, err
	}
	if err := checkText(text); err != nil {
		return v, true, err
	}
	if err := json.Unmarshal(text, &v, json.RejectUnknownMembers(true)); err != nil {
		return v, true, notTheShape(err)
	}
	return v, true, nil
}

// readBody returns nothing for a request without a body, which needs no
// Content-Type either.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body := http.MaxBytesReader(w, r.Body, maxBody)
	first := make([]byte, 1)
	n, err := io.ReadFull(body, first)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if !isJSON(r.Header) {
		return nil, errMediaType
	}
	text, err := io.ReadAll(io.MultiReader(bytes.NewReader(first[:n]), body))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, errTooLarge
	}
	if err != nil {
		return nil, malformed("The body ended before it was complete.")
	}
	return text, nil
}

// isJSON reports whether the body is said to be plain JSON, once.
func isJSON(h http.Header) bool {
	if len(h.Values("Content-Type")) != 1 || h.Get("Content-Encoding") != "" {
		return false
	}
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return false
	}
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}

// checkText refuses what the decoder would take: a value that is no object,
// NUL in a string, and deep nesting.
func checkText(text []byte) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(text))
	if d.PeekKind() != '{' {
		return malformed("A JSON object is expected in the body.")
	}
	for {
		t, err := d.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return malformed("The body has a member twice.")
		}
		if err != nil {
			return malformed("The body is not JSON.")
		}
		if err := checkToken(d, t); err != nil {
			return err
		}
	}
}

func checkToken(d *jsontext.Decoder, t jsontext.Token) error {
	inside, _ := d.StackIndex(d.StackDepth())
	switch {
	case d.StackDepth() > maxDepth:
		return malformed("The body is nested too deeply.")
	case t.Kind() == 'n' && inside == '[':
		return malformed("A list has null in it.") // the decoder would take it for a zero
	case t.Kind() == '"' && strings.ContainsRune(t.String(), 0):
		return malformed("NUL is not allowed in a string.")
	}
	return nil
}

// notTheShape says where a JSON text differs from what the route takes. It
// repeats the name of a member only if that is a plain word.
func notTheShape(err error) error {
	e, ok := errors.AsType[*json.SemanticError](err)
	if !ok {
		return malformed("The body is not the JSON that this route takes.")
	}
	pointer := string(e.JSONPointer)
	if !isPlainPointer(pointer) {
		pointer = ""
	}
	if errors.Is(err, json.ErrUnknownName) {
		return malformed("The body has a member that this route does not take.", fieldError{pointer, "unknown", "This member is not known here."})
	}
	return malformed("A member has a value of the wrong type.", fieldError{pointer, "wrong-type", "The value has the wrong JSON type."})
}

func isPlainPointer(p string) bool {
	const longest = 64
	return len(p) <= longest && strings.IndexFunc(p, func(r rune) bool {
		return (r < 'a' || r > 'z') && r != '_' && r != '/' && (r < '0' || r > '9')
	}) < 0
}

// patch is a member that may be absent, null or a value.
type patch struct { //nolint:recvcheck // decoding needs the pointer
	set   bool
	value *string // nil for null
}

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (p *patch) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	p.set = true
	return json.UnmarshalDecode(d, &p.value)
}

// seconds is a member that is a whole number. What is a number and no int64 is -1, so
// that it breaks the rule of its member like others that are out of bounds.
type seconds int64

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (s *seconds) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != '0' {
		return json.UnmarshalDecode(d, (*int64)(s))
	}
	number, err := d.ReadValue()
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil {
		n = -1
	}
	*s = seconds(n)
	return nil
}

// bodies are buffers of answers that have been sent.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }} //nolint:gochecknoglobals // as pools are

// encode answers with v, a pointer if it is asked for often: what is none is copied.
func encode(c *gin.Context, status int, v any) error {
	body := bodies.Get().(*bytes.Buffer) //nolint:errcheck,forcetypeassert // see bodies
	defer func() {
		body.Reset()
		bodies.Put(body)
	}()
	if err := json.MarshalWrite(body, v); err != nil {
		return err
	}
	showQuota(c, nil)
	c.Data(status, "application/json", body.Bytes())
	return nil
}

// noContent answers 204.
func noContent(c *gin.Context) error {
	showQuota(c, nil)
	c.Status(http.StatusNoContent)
	c.Writer.WriteHeaderNow()
	return nil
}
