package httpapi

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/jotgate/jotgate/internal/apikey"
	"github.com/jotgate/jotgate/internal/gate"
)

type apiKeyView struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Prefix     string     `json:"prefix"`
	Scopes     []string   `json:"scopes"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
}

func apiKeyOf(k apikey.Key) apiKeyView {
	return apiKeyView{
		ID: string(k.ID), Name: k.Name, Prefix: k.Hint, Scopes: orEmpty(k.Scopes),
		CreatedAt: k.CreatedAt.UTC(), ExpiresAt: timeOrNull(k.ExpiresAt), LastUsedAt: timeOrNull(k.LastUsedAt),
	}
}

type apiKeyRequest struct {
	Name      *string  `json:"name"`
	Scopes    []string `json:"scopes"`
	ExpiresIn *seconds `json:"expires_in"`
}

type apiKeyAnswer struct {
	Key    string     `json:"key"`
	APIKey apiKeyView `json:"api_key"`
}

func (s *server) createKey(c *gin.Context, who gate.Caller) error {
	req, err := decode[apiKeyRequest](c)
	if err != nil {
		return err
	}
	if err := present(map[string]*string{"/name": req.Name}); err != nil {
		return err
	}
	d, err := s.Gate.Keys.Draft(*req.Name, req.Scopes, lifeOf(req.ExpiresIn))
	if err != nil {
		return err
	}
	k, secret, err := s.Gate.CreateKey(c.Request.Context(), who, d, s.visit(c))
	if err != nil {
		return err
	}
	c.Header("Location", "/v1/api-keys/"+string(k.ID))
	return encode(c, http.StatusCreated, apiKeyAnswer{secret, apiKeyOf(k)})
}

// lifeOf is 0 without seconds. What no life can be is out of its bounds.
func lifeOf(s *seconds) time.Duration {
	switch {
	case s == nil:
		return 0
	case *s < 1 || *s > seconds(apikey.MaxLife/time.Second):
		return -1
	}
	return time.Duration(*s) * time.Second
}

type apiKeysAnswer struct {
	APIKeys []apiKeyView `json:"api_keys"`
}

func (s *server) listKeys(c *gin.Context, who gate.Caller) error {
	keys, err := s.Gate.ListKeys(c.Request.Context(), who)
	if err != nil {
		return err
	}
	views := make([]apiKeyView, len(keys))
	for i, k := range keys {
		views[i] = apiKeyOf(k)
	}
	return encode(c, http.StatusOK, apiKeysAnswer{views})
}

func (s *server) deleteKey(c *gin.Context, who gate.Caller) error {
	if _, err := nothing(c); err != nil {
		return err
	}
	if err := s.Gate.DeleteKey(c.Request.Context(), who, apikey.ID(c.Param("id")), s.visit(c)); err != nil {
		return err
	}
	return noContent(c)
}
