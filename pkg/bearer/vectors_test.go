package bearer_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jotgate/jotgate/pkg/bearer"
)

var update = flag.Bool("update", false, "write testdata/vectors/access-tokens.json again")

const vectorFile = "../../testdata/vectors/access-tokens.json"

// vectors is testdata/vectors/access-tokens.json; the README beside it says what
// the members are.
type vectors struct {
	Issuer   string          `json:"issuer"`
	Audience string          `json:"audience"`
	Now      int64           `json:"now"`
	Leeway   int             `json:"leeway"`
	JWKS     json.RawMessage `json:"jwks"`
	Tests    []vector        `json:"tests"`
}

type vector struct {
	Name  string `json:"name"`
	Token string `json:"token"`
	Mode  string `json:"mode,omitempty"`
	Valid bool   `json:"valid"`
	Why   string `json:"why"`
}

func TestVectorsAreAsMade(t *testing.T) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	check(t, e.Encode(makeVectors(t)))
	if *update {
		check(t, os.WriteFile(vectorFile, text.Bytes(), 0o644))
	}
	committed, err := os.ReadFile(vectorFile)
	check(t, err)
	if !bytes.Equal(committed, text.Bytes()) {
		t.Error("the file is not what the list in vectors_make_test.go makes; run with -update")
	}
}

func readVectors(t *testing.T) vectors {
	t.Helper()
	text, err := os.ReadFile(vectorFile)
	check(t, err)
	var v vectors
	check(t, json.Unmarshal(text, &v))
	return v
}

// RoundTrip is the issuer on the network.
func (v vectors) RoundTrip(r *http.Request) (*http.Response, error) {
	body := string(v.JWKS)
	if strings.HasPrefix(r.URL.Path, "/.well-known/oauth-authorization-server") {
		body = `{"issuer":"` + v.Issuer + `","jwks_uri":"` + v.Issuer + `/.well-known/jwks.json"}`
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func TestVectors(t *testing.T) {
	v := readVectors(t)
	verifier, err := bearer.New(t.Context(), bearer.Config{
		Issuer: v.Issuer, Audience: v.Audience, Leeway: time.Duration(v.Leeway) * time.Second,
		Now: func() time.Time { return time.Unix(v.Now, 0) }, Client: &http.Client{Transport: v},
	})
	check(t, err)
	guard := &bearer.Guard{Verifier: verifier}
	for _, tt := range v.Tests {
		t.Run(tt.Name, func(t *testing.T) {
			var err error
			switch tt.Mode {
			case "":
				_, err = verifier.Verify(t.Context(), tt.Token)
			case "bearer":
				_, err = guard.Check(request("GET", "Authorization: Bearer "+tt.Token))
			case "cookie":
				_, err = guard.Check(request("GET", "Cookie: "+bearer.CookieName+"="+tt.Token))
			default:
				t.Fatalf("mode %q", tt.Mode)
			}
			if (err == nil) != tt.Valid || (err != nil && !errors.Is(err, bearer.ErrInvalidToken)) {
				t.Errorf("error = %v, want valid %t: %s", err, tt.Valid, tt.Why)
			}
		})
	}
}

func TestVectorsAreTellingApart(t *testing.T) {
	var names, tokens []string
	for _, tt := range readVectors(t).Tests {
		if tt.Name == "" || tt.Why == "" || slices.Contains(names, tt.Name) || slices.Contains(tokens, tt.Token+tt.Mode) {
			t.Errorf("%q is there twice, or does not say why", tt.Name)
		}
		names, tokens = append(names, tt.Name), append(tokens, tt.Token+tt.Mode)
	}
}
