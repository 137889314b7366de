package httpapi

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/jotgate/jotgate/internal/client"
	"github.com/jotgate/jotgate/internal/oauth"
)

// listPage is how many clients one answer lists at most.
const listPage = 1000

type clientView struct {
	ID            string     `json:"id"`
	Name          string     `json:"name"`
	Scopes        []string   `json:"scopes"`
	Audiences     []string   `json:"audiences"`
	CreatedAt     time.Time  `json:"created_at"`
	PreviousUntil *time.Time `json:"previous_secret_until"`
}

func clientOf(c client.Client) clientView {
	return clientView{
		ID: string(c.ID), Name: c.Name, Scopes: orEmpty(c.Scopes), Audiences: c.Audiences,
		CreatedAt: c.CreatedAt.UTC(), PreviousUntil: timeOrNull(c.PreviousUntil),
	}
}

type clientRequest struct {
	Name      *string  `json:"name"`
	Scopes    []string `json:"scopes"`
	Audiences []string `json:"audiences"`
}

// newClient is a client that is not registered yet.
type newClient struct {
	client.Client

	secret string
}

func (s *server) readClient(c *gin.Context) (made newClient, err error) {
	req, err := decode[clientRequest](c)
	if err != nil {
		return made, err
	}
	if err := present(map[string]*string{"/name": req.Name}); err != nil {
		return made, err
	}
	made.Client, made.secret, err = s.OAuth.Clients.Draft(*req.Name, req.Scopes, req.Audiences)
	return made, err
}

type clientAnswer struct {
	Secret string     `json:"client_secret"`
	Client clientView `json:"client"`
}

func (s *server) createClient(c *gin.Context, actor oauth.Actor, made newClient) error {
	if err := s.OAuth.Register(c.Request.Context(), actor, made.Client, s.visit(c)); err != nil {
		return err
	}
	c.Header("Location", "/v1/admin/clients/"+string(made.ID))
	return encode(c, http.StatusCreated, clientAnswer{made.secret, clientOf(made.Client)})
}

type clientsAnswer struct {
	Clients []clientView `json:"clients"`
}

// readAfter returns the id in the query, "" if there is none.
func readAfter(c *gin.Context) (client.ID, error) {
	q, err := query(c.Request, "after")
	return client.ID(q.Get("after")), err
}

// listClients goes on after an id, if there is one.
func (s *server) listClients(c *gin.Context, _ oauth.Actor, after client.ID) error {
	clients, err := s.OAuth.Clients.Store.List(c.Request.Context(), after, listPage)
	if err != nil {
		return err
	}
	views := make([]clientView, len(clients))
	for i, found := range clients {
		views[i] = clientOf(found)
	}
	return encode(c, http.StatusOK, clientsAnswer{views})
}

type secretRequest struct {
	Overlap *seconds `json:"overlap"`
}

func readOverlap(c *gin.Context) (time.Duration, error) {
	req, _, err := decodeOptional[secretRequest](c)
	if err != nil || req.Overlap == nil {
		return 0, err
	}
	if *req.Overlap < 0 || *req.Overlap > seconds(client.MaxOverlap/time.Second) {
		return 0, client.ErrInvalidOverlap
	}
	return time.Duration(*req.Overlap) * time.Second, nil
}

func (s *server) rotateSecret(c *gin.Context, actor oauth.Actor, overlap time.Duration) error {
	rotated, secret, err := s.OAuth.RotateSecret(c.Request.Context(), actor, client.ID(c.Param("id")), overlap, s.visit(c))
	if err != nil {
		return err
	}
	return encode(c, http.StatusOK, clientAnswer{secret, clientOf(rotated)})
}

func (s *server) deleteClient(c *gin.Context, actor oauth.Actor, _ struct{}) error {
	if err := s.OAuth.Delete(c.Request.Context(), actor, client.ID(c.Param("id")), s.visit(c)); err != nil {
		return err
	}
	return noContent(c)
}
