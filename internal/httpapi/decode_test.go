package httpapi

import (
	"bytes"
	stdjson "encoding/json"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
)

// FuzzDecode compares the strict decoder with the standard library's: what it
// takes is one JSON object of the members that are known, in their spelling.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"identifier":"ada","password":"x"}`, `{"identifier":null}`, `{}`, `{"identifier":"\ud800"}`, `{"a":1}`, `{"identifier":"a","identifier":"b"}`,
		`{"identifier":"a\u0000"}`, "\ufeff{}", `{"IDENTIFIER":"a"}`, `[[[[[[[[[]]]]]]]]]`, `{"mode":"cookie"} x`, "{\"device\":\"\xff\"}",
	} {
		f.Add([]byte(s))
	}
	gin.SetMode(gin.ReleaseMode)
	f.Fuzz(func(t *testing.T, body []byte) {
		c, _ := gin.CreateTestContext(httptest.NewRecorder())
		c.Request = httptest.NewRequest("POST", "/", bytes.NewReader(body))
		c.Request.Header.Set("Content-Type", "application/json")
		got, err := decode[loginRequest](c)
		if err != nil {
			if code := problemOf(err).Code; code != "malformed-json" && code != "body-too-large" {
				t.Fatalf("%q: code %s", body, code)
			}
			return
		}
		var plain map[string]*string
		if err := stdjson.Unmarshal(body, &plain); err != nil || !utf8.Valid(body) || len(body) > maxBody {
			t.Fatalf("%q is taken, and is no object of texts: %v", body, err)
		}
		for name, want := range map[string]*string{"identifier": got.Identifier, "password": got.Password, "mode": got.Mode, "device": got.Device} {
			if value(plain[name]) != value(want) || strings.ContainsRune(value(want), 0) {
				t.Errorf("%q: %s = %q, want %q", body, name, value(want), value(plain[name]))
			}
			delete(plain, name)
		}
		if len(plain) != 0 {
			t.Errorf("%q is taken with %v", body, plain)
		}
	})
}

// TestBodyThatBreaksOff holds that a body which was begun, or announced, is not taken for
// none where none is needed.
func TestBodyThatBreaksOff(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	broken := iotest.ErrReader(io.ErrUnexpectedEOF) // as net/http reads what a client did not send
	for name, body := range map[string]io.Reader{
		"before the first byte": broken, "after it": io.MultiReader(strings.NewReader("{"), broken), "after an object": io.MultiReader(strings.NewReader("{}"), broken),
	} {
		c, _ := gin.CreateTestContext(httptest.NewRecorder())
		c.Request = httptest.NewRequest("POST", "/", body)
		c.Request.Header.Set("Content-Type", "application/json")
		if v, _, err := decodeOptional[loginRequest](c); err == nil || problemOf(err).Code != "malformed-json" {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
}

func TestDepthIsBounded(t *testing.T) {
	for depth, ok := range map[int]bool{maxDepth: true, maxDepth + 1: false, 7000: false} {
		body := `{"a":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`
		if err := checkText([]byte(body)); (err == nil) != ok {
			t.Errorf("depth %d: %v", depth, err)
		}
	}
}
