package httpapi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
)

const (
	// publicForFive is how long verifiers may keep the metadata, in seconds.
	publicForFive  = "public, max-age=300"
	revalidateEach = "no-cache"
)

func (s *server) jwks(c *gin.Context) error {
	body, etag := s.Keys.JWKS()
	document(c, body, "application/jwk-set+json", etag, fmt.Sprintf("public, max-age=%d", int(s.KeysMaxAge.Seconds())))
	return nil
}

// metadata is what RFC 8414, section 2 wants to know, as far as it is there.
type metadata struct {
	Issuer                   string   `json:"issuer"`
	JWKSURI                  string   `json:"jwks_uri"`
	TokenEndpoint            string   `json:"token_endpoint"`
	TokenAuthMethods         []string `json:"token_endpoint_auth_methods_supported"`
	RevocationEndpoint       string   `json:"revocation_endpoint"`
	RevocationAuthMethods    []string `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectionEndpoint    string   `json:"introspection_endpoint"`
	IntrospectionAuthMethods []string `json:"introspection_endpoint_auth_methods_supported"`
	ResponseTypesSupported   []string `json:"response_types_supported"`
	GrantTypesSupported      []string `json:"grant_types_supported"`
	ServiceDocumentation     string   `json:"service_documentation"`
}

func (s *server) metadata(c *gin.Context) error {
	c.Header("Cache-Control", publicForFive)
	methods := []string{"client_secret_basic", "client_secret_post"}
	return encode(c, http.StatusOK, metadata{
		Issuer: s.PublicURL, JWKSURI: s.PublicURL + "/.well-known/jwks.json",
		TokenEndpoint: s.PublicURL + "/oauth/token", TokenAuthMethods: methods,
		RevocationEndpoint: s.PublicURL + "/oauth/revoke", RevocationAuthMethods: methods,
		IntrospectionEndpoint: s.PublicURL + "/oauth/introspect", IntrospectionAuthMethods: methods,
		ResponseTypesSupported: []string{}, GrantTypesSupported: []string{"client_credentials"},
		ServiceDocumentation: s.PublicURL + "/docs",
	})
}

func (s *server) openAPI(c *gin.Context) error {
	body, etag := openAPIDocument()
	document(c, body, "application/json", etag, revalidateEach)
	return nil
}

// page serves files under the policy that they work with.
func page(files assets, policy string) func(*gin.Context) error {
	return func(c *gin.Context) (err error) {
		f, ok := files[c.Param("name")]
		if !ok {
			return errNoRoute
		}
		if f.plain != nil {
			c.Writer.Header().Add("Vary", "Accept-Encoding")
			if acceptsGzip(c.Request.Header.Values("Accept-Encoding")) {
				c.Header("Content-Encoding", "gzip")
			} else if f, err = f.plain(); err != nil {
				return err
			}
		}
		c.Header("Content-Security-Policy", policy)
		document(c, f.body, f.contentType, f.etag, revalidateEach)
		return nil
	}
}

// document answers with a body that caches may keep, or with 304 to one that has
// it (RFC 9110, section 13.1.2).
func document(c *gin.Context, body []byte, contentType, etag, cacheControl string) {
	c.Header("Cache-Control", cacheControl)
	c.Header("ETag", etag)
	if hasTag(c.Request.Header.Values("If-None-Match"), etag) {
		c.Writer.Header().Del("Content-Encoding") // there is no content
		c.Status(http.StatusNotModified)
		c.Writer.WriteHeaderNow()
		return
	}
	c.Data(http.StatusOK, contentType, body)
}

// acceptsGzip reports whether Accept-Encoding names gzip and does not decline it.
// Without the header, or with a bare "*", the plain form is right too.
func acceptsGzip(lists []string) bool {
	for coding := range strings.SplitSeq(strings.Join(lists, ","), ",") {
		if name, params, _ := strings.Cut(coding, ";"); strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return !declined(params)
		}
	}
	return false
}

// declined reports whether the parameters of a choice give it the weight zero,
// which is to say no (RFC 9110, section 12.4.2).
func declined(params string) bool {
	for param := range strings.SplitSeq(params, ";") {
		if name, weight, _ := strings.Cut(strings.TrimSpace(param), "="); strings.EqualFold(name, "q") {
			q, err := strconv.ParseFloat(weight, 64)
			return err == nil && q == 0
		}
	}
	return false
}

func hasTag(lists []string, etag string) bool {
	for tag := range strings.SplitSeq(strings.Join(lists, ","), ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if tag == etag || tag == "*" {
			return true
		}
	}
	return false
}
