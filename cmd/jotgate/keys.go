package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/config"
	"github.com/jotgate/jotgate/internal/keyset"
)

// keyView is a signing key as it is printed.
type keyView struct {
	KID         string    `json:"kid"`
	Algorithm   string    `json:"alg"`
	State       string    `json:"state"`
	CreatedAt   time.Time `json:"created_at"`
	ActivatesAt time.Time `json:"activates_at"`
	RetiresAt   time.Time `json:"retires_at,omitzero"`
	GoneAt      time.Time `json:"gone_at,omitzero"`
	RevokedAt   time.Time `json:"revoked_at,omitzero"`
}

func viewKey(i keyset.Info) keyView {
	return keyView{i.KID, string(i.Algorithm), string(i.State), i.CreatedAt, i.ActivatesAt, i.RetiresAt, i.GoneAt, i.RevokedAt}
}

func (v keyView) line() string {
	at := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	says := "signs from " + at(v.ActivatesAt)
	switch keyset.State(v.State) {
	case keyset.Pending, keyset.Active:
		if !v.RetiresAt.IsZero() {
			says += ", until " + at(v.RetiresAt)
		}
	case keyset.Retiring:
		says = "signed until " + at(v.RetiresAt) + ", gone at " + at(v.GoneAt)
	case keyset.Gone:
		says = "signed until " + at(v.RetiresAt) + ", gone since " + at(v.GoneAt)
	case keyset.Revoked:
		says = "revoked at " + at(v.RevokedAt)
	}
	return fmt.Sprintf("%s  %-5s  %-8s  %s", v.KID, v.Algorithm, v.State, says)
}

func (g *program) keysCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "List, rotate, revoke and reseal signing keys, or bring your own"}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List the signing keys", Args: arguments(0, 0), RunE: g.withKeys(g.openFound, listKeys)},
		&cobra.Command{
			Use:   "import FILE",
			Short: "Import a private key in PEM or as a JWK; - reads standard input",
			Long: `Import a private key: PEM (PKCS #8, PKCS #1, SEC 1) or a private JWK. It must be
for the configured token.alg. In a database that has keys it is published for ten
minutes before it signs, so that no verifier meets it unprepared.`,
			Args: arguments(1, 1), RunE: g.importKey,
		},
		g.rotateKey(),
		&cobra.Command{
			Use:   "revoke KID",
			Short: "Take a key out of use at once, for one that others may have",
			Long: `Take a key out of use at once. All that it signed is refused from now on, by
every replica and by every verifier that follows revocations; whoever holds a
refresh token gets a new access token. If it was the one that signs, the next one,
or a new one, takes over at once. Verifiers that keep the key set meet that one
unprepared and must ask for it: for a change that nobody notices there is "rotate".
A kid that begins with a dash comes after two: keys revoke -- KID.`,
			Args: arguments(1, 1), RunE: g.withKeys(g.openFound, revokeKey),
		},
		&cobra.Command{
			Use:   "reseal",
			Short: "Seal all signing keys under the master key that the other one sealed",
			Long: `Seal all signing keys under the master key that the other one (master_key_other)
sealed, in one transaction. Doing it again is harmless.`,
			Args: arguments(0, 0), RunE: g.withKeys(g.openFound, resealKeys),
		},
		g.bumpEpoch(),
	)
	g.addOutput(cmd)
	return cmd
}

// act is what a command on the keys does once the program is built.
type act func(ctx context.Context, g *program, a *app.App, out io.Writer, args []string) error

func (g *program) withKeys(open func(*cobra.Command) (*app.App, error), do act) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) (err error) {
		a, err := open(cmd)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, a.Close()) }()
		return do(cmd.Context(), g, a, cmd.OutOrStdout(), args)
	}
}

func listKeys(_ context.Context, g *program, a *app.App, out io.Writer, _ []string) error {
	infos := a.Keys.List()
	views := make([]keyView, len(infos))
	for i, info := range infos {
		views[i] = viewKey(info)
	}
	return g.print(out, views, func(w io.Writer) error { return writeLines(w, views) })
}

func (g *program) printKey(out io.Writer, info keyset.Info) error {
	v := viewKey(info)
	return g.print(out, v, func(w io.Writer) error { return writeLines(w, []keyView{v}) })
}

func (g *program) importKey(cmd *cobra.Command, args []string) error {
	text, err := readInput(cmd, args[0])
	if err != nil {
		return err
	}
	c, err := g.load(cmd)
	if err != nil {
		return err
	}
	return g.withKeys(g.open, func(ctx context.Context, g *program, a *app.App, out io.Writer, _ []string) error {
		info, err := a.Gate.ImportKey(ctx, a.Keys, text, keyset.Algorithm(c.Token.Alg))
		if err != nil {
			return err
		}
		return g.printKey(out, info)
	})(cmd, args)
}

func (g *program) rotateKey() *cobra.Command {
	var alg string
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Make the next signing key, which is published before it signs",
		Long: `Make the next signing key. It is published for ten minutes, which is longer than
a verifier keeps the key set, and then signs; the one before it stays published
until the last token that it signed has expired. Nobody notices, and a change of
the algorithm is no different: set token.alg first, everywhere, and rotate then.`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := g.load(cmd)
			if err != nil {
				return err
			}
			made, err := algorithmFor(c, alg)
			if err != nil {
				return err
			}
			return g.withKeys(g.openFound, func(ctx context.Context, g *program, a *app.App, out io.Writer, _ []string) error {
				info, err := a.Gate.RotateKey(ctx, a.Keys, made)
				if err != nil {
					return err
				}
				if string(made) != c.Token.Alg {
					fmt.Fprintf(g.err, "token.alg is %s here: set it to %s for every replica, or the next rotation goes back to %s\n", c.Token.Alg, made, c.Token.Alg)
				}
				return g.printKey(out, info)
			})(cmd, args)
		},
	}
	cmd.Flags().StringVar(&alg, "alg", "", "algorithm of the key: ES256, EdDSA or RS256; left out, token.alg")
	return cmd
}

func algorithmFor(c config.Config, flag string) (keyset.Algorithm, error) {
	if flag == "" {
		flag = c.Token.Alg
	}
	return keyset.ParseAlgorithm(flag)
}

// revokedView is what became of a key and who signs in its place.
type revokedView struct {
	keyView

	Already   bool     `json:"already_revoked"`
	Successor *keyView `json:"successor,omitempty"`
}

func revokeKey(ctx context.Context, g *program, a *app.App, out io.Writer, args []string) error {
	done, err := a.Gate.RevokeKey(ctx, a.Keys, args[0])
	if errors.Is(err, keyset.ErrUnknownKey) {
		return fmt.Errorf("no signing key has the kid %q; jotgate keys list has them", args[0])
	}
	if err != nil {
		return err
	}
	v := revokedView{keyView: viewKey(done.Key), Already: done.Already}
	if done.Successor != nil {
		successor := viewKey(*done.Successor)
		v.Successor = &successor
	}
	return g.print(out, v, func(w io.Writer) error {
		text := v.line() + "\n"
		switch {
		case v.Already:
			text += "nothing was done: it was revoked before\n"
		case done.Made:
			text += v.Successor.line() + "\nthis new key signs in its place\n"
		case v.Successor != nil:
			text += v.Successor.line() + "\nthis key, which waited for its turn, signs in its place\n"
		}
		_, err := io.WriteString(w, text)
		return err
	})
}

func resealKeys(ctx context.Context, g *program, a *app.App, out io.Writer, _ []string) error {
	n, err := a.Gate.ResealKeys(ctx, a.Keys)
	if err != nil {
		return err
	}
	v := struct {
		Resealed int `json:"resealed"`
		Keys     int `json:"keys"`
	}{n, len(a.Keys.List())}
	return g.print(out, v, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "resealed %d of %d keys; all are under the master key\n", v.Resealed, v.Keys)
		return err
	})
}
