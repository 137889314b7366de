package httpapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// docsCSP lets the page load its own scripts and styles, and nothing inline. The
// images are icons in its style sheet.
const docsCSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

//go:embed openapi.yaml
var openAPIYAML []byte

//go:embed docs/index.html docs/page.css docs/page.js docs/swagger-ui.css.gz docs/swagger-ui-bundle.js.gz
var docsFiles embed.FS

// asset is a file as it is served. One that is kept compressed is served so to
// whoever takes it, and each of its two forms has a tag of its own (RFC 9110,
// section 8.8.3).
type asset struct {
	body              []byte
	contentType, etag string
	// plain returns the other form of a file that is kept compressed; nil for the others.
	plain func() (asset, error)
}

// assets are the files of a page by name. The page itself has none.
type assets map[string]asset

func newAssets(files map[string][]byte) assets {
	types := map[string]string{
		".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
		".svg": "image/svg+xml",
	}
	all := make(assets, len(files))
	for file, body := range files {
		name, gzipped := strings.CutSuffix(file, ".gz")
		a := asset{body: body, contentType: types[path.Ext(name)], etag: etagOf(body)}
		if gzipped {
			a.plain = sync.OnceValues(a.inflated)
		}
		all[name] = a
	}
	all[""] = all["index.html"]
	return all
}

// inflated returns the other form of a compressed file.
func (a asset) inflated() (asset, error) {
	r, err := gzip.NewReader(bytes.NewReader(a.body))
	if err != nil {
		return asset{}, fmt.Errorf("embedded file: %w", err)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		return asset{}, fmt.Errorf("embedded file: %w", err)
	}
	return asset{body: body, contentType: a.contentType, etag: etagOf(body)}, nil
}

// openAPIDocument returns the OpenAPI document as JSON, and its entity tag.
func openAPIDocument() (body []byte, etag string) {
	d := openAPIOnce()
	return d.body, d.etag
}

//nolint:gochecknoglobals // the converted form of an embedded file, never changed
var openAPIOnce = sync.OnceValue(func() asset {
	var document any
	if err := yaml.Unmarshal(openAPIYAML, &document); err != nil {
		panic(fmt.Sprintf("httpapi: embedded openapi.yaml: %v", err)) // a broken build
	}
	body, err := json.Marshal(document)
	if err != nil {
		panic(fmt.Sprintf("httpapi: embedded openapi.yaml: %v", err)) // a broken build
	}
	return asset{body: body, contentType: "application/json", etag: etagOf(body)}
})

//nolint:gochecknoglobals // embedded files with their tags, never changed
var docsOnce = sync.OnceValue(func() assets {
	entries, err := docsFiles.ReadDir("docs")
	if err != nil {
		panic(fmt.Sprintf("httpapi: embedded docs: %v", err)) // a broken build
	}
	files := make(map[string][]byte, len(entries))
	for _, e := range entries {
		if files[e.Name()], err = docsFiles.ReadFile("docs/" + e.Name()); err != nil {
			panic(fmt.Sprintf("httpapi: embedded docs: %v", err)) // a broken build
		}
	}
	return newAssets(files)
})

func etagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}
