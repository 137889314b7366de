package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/jotgate/jotgate/pkg/client"
)

// app is a native app that lists the orders of whoever is signed in.
type app struct {
	auth *client.Client
	api  *http.Client
}

func newApp(dir string) (*app, error) {
	auth, err := client.New(client.Config{
		BaseURL: "https://auth.example.com",
		Origins: []string{"https://api.example.com"}, // who gets the token besides
		Store:   client.NewFileStore(filepath.Join(dir, "session.json")),
	})
	if err != nil {
		return nil, err
	}
	return &app{auth, &http.Client{Transport: &client.Transport{Client: auth}}}, nil
}

func (a *app) orders(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.example.com/orders", nil)
	if err != nil {
		return "", err
	}
	res, err := a.api.Do(req)
	if errors.Is(err, client.ErrSignedOut) {
		return "log in first", nil // a form, and a.auth.Login(ctx, identifier, password)
	}
	if err != nil {
		return "", err // no network, or a server that is busy: the session lives on
	}
	return res.Status, res.Body.Close()
}

func Example() {
	dir, err := os.MkdirTemp("", "app-*")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	a, err := newApp(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(a.orders(context.Background()))
	// Output: log in first <nil>
}
