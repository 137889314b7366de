package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/jotgate/jotgate/internal/app"
	"github.com/jotgate/jotgate/internal/config"
	"github.com/jotgate/jotgate/internal/telemetry"
)

const healthTimeout = 3 * time.Second

func (g *program) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Serve the API until interrupted",
		Args:  arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			c, err := g.load(cmd)
			if err != nil {
				return err
			}
			lines := telemetry.NewLines(g.err)
			defer lines.Flush() //nolint:errcheck // a log that nobody takes is no failure of the service
			log, err := telemetry.NewLogger(lines, c.Log.Level, c.Log.Format)
			if err != nil {
				return err
			}
			a, err := app.New(cmd.Context(), c, g.serving(), log)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, a.Close()) }()
			defer headroom()()
			return a.Run(cmd.Context(), func(l app.Listening) {
				out := telemetry.NewLines(cmd.OutOrStdout())
				welcome(out, c, l)
				_ = out.Flush() //nolint:errcheck // what it cannot print is no reason to stop
			})
		},
	}
}

// welcome says where everything is.
func welcome(w io.Writer, c config.Config, l app.Listening) {
	data := "in PostgreSQL"
	if path, err := app.FindDatabase(c); err == nil && path != "" {
		data = path
	}
	sample := ""
	if c.SampleApp() {
		sample = "  app         " + c.PublicURL + "/app\n"
	}
	hint := ""
	if meant := publicURLMeant(c.PublicURL, l.API); meant != "" {
		hint = "  hint        without a proxy or a port mapping in front, set JOTGATE_PUBLIC_URL=" + meant + "\n"
	}
	fmt.Fprintf(w, `jotgate is listening.
  API         %s (on %s)
  docs        %s/docs
%s  operations  http://%s/metrics
  data        %s
%sTry it:
  curl -s %s/v1/users -H 'Content-Type: application/json' \
    -d '{"username":"ada","password":"correct horse battery staple"}'
`, c.PublicURL, l.API, c.PublicURL, sample, l.Operations, data, hint, c.PublicURL)
}

// publicURLMeant returns what the public URL may have been meant to be if it names this
// machine, which http says, and a port that is not the one listened on.
func publicURLMeant(public string, listens net.Addr) string {
	u, err := url.Parse(public)
	at, ok := listens.(*net.TCPAddr)
	if err != nil || !ok || u.Scheme != "http" || cmp.Or(u.Port(), "80") == strconv.Itoa(at.Port) {
		return ""
	}
	return "http://" + net.JoinHostPort(u.Hostname(), strconv.Itoa(at.Port))
}

func (g *program) healthCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the running server whether it is ready; for containers and supervisors",
		Args:  arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := g.load(cmd)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), healthTimeout)
			defer cancel()
			return askReady(ctx, cmd.OutOrStdout(), c.HTTP.Addr)
		},
	}
}

func askReady(ctx context.Context, w io.Writer, addr string) (err error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "localhost"
	}
	at := "http://" + net.JoinHostPort(host, port) + "/readyz"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return err
	}
	direct := http.Client{Transport: &http.Transport{}} // no proxy is in between
	res, err := direct.Do(req)
	if err != nil {
		return fmt.Errorf("not running: %w", err)
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", body)
	}
	_, err = fmt.Fprintln(w, "ready")
	return err
}
