// Package spa is the sample single-page app: plain ES modules over the browser
// client, without a build step. It shows what an app of one's own has to do, and
// lets people try the server. It holds no token.
//
// The package has the files and the policy under which they work; package
// httpapi serves them.
package spa

import (
	"embed"
	"fmt"

	"github.com/jotgate/jotgate/pkg/js"
)

// Policy is the Content-Security-Policy of the app. Nothing inline runs, nothing
// comes from elsewhere, no text becomes markup, and no page may frame it. A form
// is never sent by the browser itself: should the script fail, no password gets
// into a URL.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

//go:embed files/index.html files/app.js files/form.js files/session.js files/style.css files/icon.svg
var files embed.FS

// Files returns the files of the app by name. index.html is the page, which has
// to be at /app, and the others are to be below it.
func Files() map[string][]byte {
	all := map[string][]byte{"client.js": []byte(js.Client())}
	entries, err := files.ReadDir("files")
	if err != nil {
		panic(fmt.Sprintf("spa: embedded files: %v", err)) // a broken build
	}
	for _, e := range entries {
		if all[e.Name()], err = files.ReadFile("files/" + e.Name()); err != nil {
			panic(fmt.Sprintf("spa: embedded files: %v", err)) // a broken build
		}
	}
	return all
}
