package httpapi_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/routers"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const documentURL = "https://example.com/openapi.json"

// answerSchemas is the document's schemas, each compiled once: kin-openapi compiles one for
// every answer, which was a third of what the tests here took.
type answerSchemas struct {
	mu       sync.Mutex
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema
}

var documentSchemas = sync.OnceValues(func() (*answerSchemas, error) {
	text, err := document()
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	return &answerSchemas{compiler: c, compiled: map[string]*jsonschema.Schema{}}, c.AddResource(documentURL, doc)
})

func (a *answerSchemas) at(pointer string) (*jsonschema.Schema, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.compiled[pointer]; s != nil {
		return s, nil
	}
	s, err := a.compiler.Compile(documentURL + pointer)
	if err == nil {
		a.compiled[pointer] = s
	}
	return s, err
}

// validAnswer returns what is wrong with a body by the document's schema for that answer and
// media type.
func validAnswer(route *routers.Route, res *http.Response, kind string, body []byte) error {
	all, err := documentSchemas()
	if err != nil {
		return err
	}
	answer := route.Operation.Responses.Status(res.StatusCode)
	if answer == nil {
		return fmt.Errorf("no answer %d is listed", res.StatusCode)
	}
	pointer := answer.Ref
	if pointer == "" {
		pointer = "#" + join("paths", route.Path, strings.ToLower(route.Method), "responses", strconv.Itoa(res.StatusCode))
	}
	schema, err := all.at(pointer + join("content", kind, "schema"))
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

// join is a JSON Pointer (RFC 6901, section 3), in a fragment (section 6).
func join(members ...string) string {
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")
	var b strings.Builder
	for _, m := range members {
		b.WriteString("/" + escape.Replace(m))
	}
	return b.String()
}
