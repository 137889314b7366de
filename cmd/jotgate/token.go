package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/oauth"
	"github.com/jotgate/jotgate/internal/session"
)

// inspection is what can be told of a token. It repeats no signature.
type inspection struct {
	Kind   string          `json:"kind"`
	Header json.RawMessage `json:"header,omitempty"`
	Claims json.RawMessage `json:"claims,omitempty"`
	Valid  bool            `json:"valid"`
	Reason string          `json:"reason"`
}

var errNotValid = errors.New("the token is not valid here")

func (g *program) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "token", Short: "Look into tokens"}
	cmd.AddCommand(&cobra.Command{
		Use:   "inspect [TOKEN]",
		Short: "Decode an access or refresh token and say why it is or is not valid here",
		Long: `Decode an access or refresh token and say why it is or is not valid here. Without
TOKEN it is read from standard input, which keeps it out of the process list.
The exit code is 0 for a valid token.`,
		Args: arguments(0, 1),
		RunE: g.inspectToken,
	})
	g.addOutput(cmd)
	return cmd
}

func (g *program) inspectToken(cmd *cobra.Command, args []string) (err error) {
	var text string
	if len(args) == 1 {
		text = args[0]
	} else {
		read, err := readInput(cmd, "-")
		if err != nil {
			return err
		}
		text = string(read)
	}
	a, err := g.openFound(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	i := inspect(cmd.Context(), a, strings.TrimSpace(text))
	if err := g.print(cmd.OutOrStdout(), i, i.write); err != nil {
		return err
	}
	if !i.Valid {
		return errNotValid
	}
	return nil
}

func inspect(ctx context.Context, a *app.App, text string) inspection {
	i := inspection{Kind: "unknown"}
	segments := strings.Split(text, ".")
	if len(segments) != 3 {
		i.Reason = "this is no JWT: it has not three segments joined by dots"
		return i
	}
	i.Header, i.Claims = decodeSegment(segments[0]), decodeSegment(segments[1])
	if i.Header == nil || i.Claims == nil {
		i.Reason = "this is no JWT: header or claims are not JSON in base64url"
		return i
	}
	var header struct {
		Type string `json:"typ"`
	}
	if err := json.Unmarshal(i.Header, &header); err != nil {
		header.Type = ""
	}
	var err error
	switch header.Type {
	case "rt+jwt":
		i.Kind, err = "refresh token", checkRefresh(ctx, a, text)
	default:
		i.Kind, err = "access token", checkAccess(ctx, a, text)
	}
	i.Valid, i.Reason = err == nil, "the signature is ours, and the session or the client lives"
	if err != nil {
		i.Reason = err.Error()
	}
	return i
}

func checkAccess(ctx context.Context, a *app.App, text string) error {
	claims, err := a.Verifier.Verify(ctx, text)
	if err != nil {
		return err
	}
	if claims.SessionID != "" {
		_, err = a.Gate.Caller(ctx, claims.SessionID, claims.Subject)
		return err
	}
	alive, err := a.OAuth.Alive(ctx, oauth.Token{Subject: claims.Subject, IssuedAt: claims.IssuedAt})
	if err == nil && !alive {
		err = errors.New("the client has ended, or its secret was replaced")
	}
	return err
}

func checkRefresh(ctx context.Context, a *app.App, text string) error {
	t, err := a.Refresher.Read(text)
	if err != nil {
		return err
	}
	caller, err := a.Gate.Caller(ctx, t.SessionID, t.Subject)
	if err != nil {
		return err
	}
	switch current := caller.Session.Generation; {
	case session.Generation(t.Generation) > current:
		return fmt.Errorf("generation %d is ahead of the database, which is at %d", t.Generation, current)
	case session.Generation(t.Generation) < current:
		return fmt.Errorf("generation %d is spent: generation %d is current since %s", t.Generation, current,
			caller.Session.LastUsedAt.Format(time.RFC3339))
	}
	return nil
}

// decodeSegment returns the JSON in a segment, or nil.
func decodeSegment(s string) json.RawMessage {
	text, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || !json.Valid(text) {
		return nil
	}
	return text
}

func (i inspection) write(w io.Writer) error {
	verdict := "not valid"
	if i.Valid {
		verdict = "valid"
	}
	_, err := fmt.Fprintf(w, "%s: %s\n  reason  %s\n", i.Kind, verdict, i.Reason)
	if err == nil && i.Header != nil {
		_, err = fmt.Fprintf(w, "  header  %s\n  claims  %s\n", printable(i.Header), printable(i.Claims))
	}
	return err
}

// printable shows what a stranger put into a token without letting it move the
// cursor.
func printable(text json.RawMessage) string {
	quoted := fmt.Sprintf("%+q", string(text))
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
