package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/user"
)

const (
	listPage    = 500
	maxPassword = 8 << 10 // bytes that are read of a line
)

// userView is a user as it is printed.
type userView struct {
	ID        string    `json:"id"`
	Username  string    `json:"username,omitempty"`
	Email     string    `json:"email,omitempty"`
	Roles     []string  `json:"roles"`
	Disabled  bool      `json:"disabled"`
	CreatedAt time.Time `json:"created_at"`
	External  string    `json:"external_id,omitempty"`
}

func viewUser(u user.User) userView {
	return userView{string(u.ID), string(u.Username), string(u.Email), user.RoleNames(u.Roles), u.Disabled, u.CreatedAt, string(u.ExternalID)}
}

func (v userView) line() string {
	state := "enabled"
	if v.Disabled {
		state = "disabled"
	}
	return fmt.Sprintf("%s  %s  %s  %s  %s", v.ID, dash(v.Username), dash(v.Email), dash(strings.Join(v.Roles, ",")), state)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (g *program) userCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Create, list and change users",
		Long: "Create, list and change users. USER is a user's id, username or email; a script puts -- before it, as a username may\n" +
			"begin with a hyphen and be --help. Passwords are read from standard input, one line.",
	}
	cmd.AddCommand(
		g.createUser(),
		g.importUsers(),
		&cobra.Command{Use: "list", Short: "List all users", Args: arguments(0, 0), RunE: g.listUsers},
		g.changeUser("disable USER", "Keep the user out and end all that the user holds", arguments(1, 1),
			func(ctx context.Context, a *app.App, u user.User, _ []string) error { return a.Gate.Disable(ctx, u.ID) }),
		g.changeUser("enable USER", "Let the user sign in again; nothing that ended comes back", arguments(1, 1),
			func(ctx context.Context, a *app.App, u user.User, _ []string) error { return a.Gate.Enable(ctx, u.ID) }),
		g.setPassword(),
		g.changeUser("set-roles USER [ROLE...]", "Replace the user's roles; tokens with the old ones end", arguments(1, math.MaxInt),
			func(ctx context.Context, a *app.App, u user.User, names []string) error {
				roles, err := user.ParseRoles(names)
				if err != nil {
					return err
				}
				return a.Gate.SetRoles(ctx, u.ID, roles)
			}),
	)
	g.addOutput(cmd)
	return cmd
}

func (g *program) createUser() *cobra.Command {
	var r gate.Registration
	var names []string
	cmd := &cobra.Command{
		Use:     "create",
		Short:   "Create a user; the password is read from standard input",
		Example: "  jotgate user create --username ada --email ada@example.com --role admin < password.txt",
		Args:    arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			roles, err := user.ParseRoles(names)
			if err != nil {
				return err
			}
			a, err := g.open(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, a.Close()) }()
			if r.Password, err = g.password(cmd.Context()); err != nil {
				return err
			}
			u, err := a.Gate.CreateUser(cmd.Context(), r, roles)
			if err != nil {
				return err
			}
			return g.printUser(cmd, u)
		},
	}
	cmd.Flags().StringVar(&r.Username, "username", "", "username")
	cmd.Flags().StringVar(&r.Email, "email", "", "email")
	cmd.Flags().StringSliceVar(&names, "role", nil, "role; may be given several times")
	return cmd
}

func (g *program) setPassword() *cobra.Command {
	var keepKeys bool
	cmd := g.changeUser("set-password USER", "Set the password from standard input, end all sessions and delete all API keys", arguments(1, 1),
		func(ctx context.Context, a *app.App, u user.User, _ []string) error {
			plain, err := g.password(ctx)
			if err != nil {
				return err
			}
			return a.Gate.SetPassword(ctx, u.ID, plain, keepKeys)
		})
	cmd.Flags().BoolVar(&keepKeys, "keep-keys", false, "leave the user's API keys; for a password that was forgotten and not stolen")
	return cmd
}

// changeUser is a command that acts on one user, whom it prints afterwards.
func (g *program) changeUser(use, short string, args cobra.PositionalArgs,
	act func(ctx context.Context, a *app.App, u user.User, rest []string) error,
) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			a, err := g.openFound(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, a.Close()) }()
			u, err := find(cmd.Context(), a, args[0])
			if err != nil {
				return err
			}
			if err := act(cmd.Context(), a, u, args[1:]); err != nil {
				return err
			}
			if u, err = a.Gate.Users.Store.ByID(cmd.Context(), u.ID); err != nil {
				return err
			}
			return g.printUser(cmd, u)
		},
	}
}

// find looks for an id first: somebody may have taken another one's id as a
// username.
func find(ctx context.Context, a *app.App, name string) (user.User, error) {
	u, err := a.Gate.Users.Store.ByID(ctx, user.ID(name))
	if !errors.Is(err, user.ErrNotFound) {
		return u, err
	}
	i, err := user.ParseIdentifier(name)
	if err == nil {
		u, err = a.Gate.Users.Store.ByIdentifier(ctx, i)
	}
	if err != nil {
		return user.User{}, fmt.Errorf("no user goes by %q: %w", name, err)
	}
	return u, nil
}

func (g *program) printUser(cmd *cobra.Command, u user.User) error {
	v := viewUser(u)
	return g.print(cmd.OutOrStdout(), v, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, v.line())
		return err
	})
}

func (g *program) listUsers(cmd *cobra.Command, _ []string) (err error) {
	a, err := g.openFound(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	users, err := all(cmd.Context(), a.Gate.Users.Store.List, func(u user.User) user.ID { return u.ID })
	if err != nil {
		return err
	}
	views := make([]userView, len(users))
	for i, u := range users {
		views[i] = viewUser(u)
	}
	return g.print(cmd.OutOrStdout(), views, func(w io.Writer) error { return writeLines(w, views) })
}

// all collects what list gives in pages, each after the last one of the page before.
func all[T any, ID ~string](ctx context.Context, list func(context.Context, ID, int) ([]T, error), id func(T) ID) ([]T, error) {
	var found []T
	var after ID
	for {
		page, err := list(ctx, after, listPage)
		if err != nil {
			return nil, err
		}
		found = append(found, page...)
		if len(page) < listPage {
			return found, nil
		}
		after = id(page[len(page)-1])
	}
}

// writeLines prints one view a line.
func writeLines[V interface{ line() string }](w io.Writer, views []V) error {
	for _, v := range views {
		if _, err := fmt.Fprintln(w, v.line()); err != nil {
			return err
		}
	}
	return nil
}

// password reads one line from standard input, unseen if a person types it. It returns
// when ctx ends; what is read later is lost.
func (g *program) password(ctx context.Context) (string, error) {
	read := func() (string, error) { return readPassword(g.in) }
	if f, ok := g.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		seen, err := term.GetState(int(f.Fd()))
		if err != nil {
			return "", err
		}
		defer func() {
			_ = term.Restore(int(f.Fd()), seen) //nolint:errcheck // it may have gone
			fmt.Fprintln(g.err)
		}()
		fmt.Fprint(g.err, "Password: ")
		read = func() (string, error) {
			typed, err := term.ReadPassword(int(f.Fd()))
			return string(typed), err
		}
	}
	return reading(ctx, "password", read)
}

// reading returns what read does, or when ctx ends, which reading does not hear of.
func reading[T any](ctx context.Context, what string, read func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		value, err := read()
		done <- answer{value, err}
	}()
	select {
	case a := <-done:
		return a.value, a.err
	case <-ctx.Done():
		return *new(T), fmt.Errorf("no %s was read: %w", what, context.Cause(ctx))
	}
}

func readPassword(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxPassword)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if line == "" {
		return "", errors.New("no password on standard input; give it as one line")
	}
	return line, nil
}
