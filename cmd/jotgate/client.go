package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/client"
	"github.com/jotgate/jotgate/internal/flow"
	"github.com/jotgate/jotgate/internal/oauth"
)

// clientView is an OAuth client as it is printed. The secret is there once, when
// it is made.
type clientView struct {
	ID            string     `json:"client_id"`
	Secret        string     `json:"client_secret,omitempty"`
	Name          string     `json:"name"`
	Scopes        []string   `json:"scopes"`
	Audiences     []string   `json:"audiences"`
	CreatedAt     time.Time  `json:"created_at"`
	PreviousUntil *time.Time `json:"previous_secret_until,omitempty"`
}

func viewClient(c client.Client, secret string) clientView {
	v := clientView{string(c.ID), secret, c.Name, append([]string{}, c.Scopes...), c.Audiences, c.CreatedAt, nil}
	if !c.PreviousUntil.IsZero() {
		v.PreviousUntil = &c.PreviousUntil
	}
	return v
}

func (v clientView) line() string {
	line := fmt.Sprintf("%s  %s  %s  %s", v.ID, v.Name, dash(strings.Join(v.Scopes, ",")), strings.Join(v.Audiences, ","))
	if v.Secret != "" {
		line += "\nsecret, shown this once: " + v.Secret
	}
	return line
}

func (g *program) clientCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "client",
		Short: "Create, list and end OAuth clients: programs that act for themselves",
		Long: `Create, list and end OAuth clients: programs that act for themselves with the
grant client_credentials. A secret is printed once, when it is made.`,
	}
	var overlap time.Duration
	rotate := g.changeClient("rotate-secret CLIENT", "Give the client a new secret",
		func(ctx context.Context, a *app.App, id client.ID) (client.Client, string, error) {
			return a.OAuth.RotateSecret(ctx, oauth.Actor{}, id, overlap, &flow.Visit{})
		})
	rotate.Flags().DurationVar(&overlap, "overlap", 0,
		"how long the old secret goes on; left out, it ends at once together with the tokens it brought")
	cmd.AddCommand(
		g.createClient(), rotate,
		&cobra.Command{Use: "list", Short: "List all clients", Args: arguments(0, 0), RunE: g.listClients},
		g.changeClient("delete CLIENT", "End the client and its tokens",
			func(ctx context.Context, a *app.App, id client.ID) (client.Client, string, error) {
				c, err := a.OAuth.Clients.Store.ByID(ctx, id)
				if err != nil {
					return c, "", err
				}
				return c, "", a.OAuth.Delete(ctx, oauth.Actor{}, id, &flow.Visit{})
			}),
	)
	g.addOutput(cmd)
	return cmd
}

func (g *program) createClient() *cobra.Command {
	var r oauth.Registration
	cmd := &cobra.Command{
		Use:     "create",
		Short:   "Register a client and print its secret",
		Example: "  jotgate client create --name reports --scope orders:read",
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			a, err := g.open(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, a.Close()) }()
			c, secret, err := a.OAuth.Create(cmd.Context(), oauth.Actor{}, r, &flow.Visit{})
			if err != nil {
				return err
			}
			return g.printClient(cmd, viewClient(c, secret))
		},
	}
	cmd.Flags().StringVar(&r.Name, "name", "", "name for people")
	cmd.Flags().StringSliceVar(&r.Scopes, "scope", nil, "scope that the client may ask for; may be given several times")
	cmd.Flags().StringSliceVar(&r.Audiences, "audience", nil,
		"audience that its tokens may have, the first one by default; may be given several times; left out, token.audience")
	return cmd
}

// changeClient is a command that acts on one client, which it prints afterwards.
func (g *program) changeClient(use, short string,
	act func(ctx context.Context, a *app.App, id client.ID) (client.Client, string, error),
) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			a, err := g.openFound(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, a.Close()) }()
			c, secret, err := act(cmd.Context(), a, client.ID(args[0]))
			if errors.Is(err, client.ErrNotFound) {
				return fmt.Errorf("no client has the id %q", args[0])
			}
			if err != nil {
				return err
			}
			return g.printClient(cmd, viewClient(c, secret))
		},
	}
}

func (g *program) listClients(cmd *cobra.Command, _ []string) (err error) {
	a, err := g.openFound(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	clients, err := all(cmd.Context(), a.OAuth.Clients.Store.List, func(c client.Client) client.ID { return c.ID })
	if err != nil {
		return err
	}
	views := make([]clientView, len(clients))
	for i, c := range clients {
		views[i] = viewClient(c, "")
	}
	return g.print(cmd.OutOrStdout(), views, func(w io.Writer) error { return writeLines(w, views) })
}

func (g *program) printClient(cmd *cobra.Command, v clientView) error {
	return g.print(cmd.OutOrStdout(), v, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, v.line())
		return err
	})
}
