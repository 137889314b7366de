package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

func (g *program) bumpEpoch() *cobra.Command {
	return &cobra.Command{
		Use:   "bump-epoch",
		Short: "End all sessions and tokens that are older than this moment; for after a restore",
		Long: `End every session and every access token that is older than this moment, and have
verifiers read the revocation feed anew. Run it after the database was restored from a
backup and before the service starts again: the backup brings sessions back that have
ended since, and the feed's numbers are given out a second time. Users, API keys and
clients stay as the backup has them; those that were deleted since are back too.`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			a, err := g.openFound(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, a.Close()) }()
			total := 0
			if err := a.Gate.BumpEpoch(cmd.Context(), func(ended int) { total = ended }); err != nil {
				return fmt.Errorf("%d sessions ended; run it again to go on: %w", total, err)
			}
			// Tokens carry whole seconds: one of this second could be from before.
			time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
			v := struct {
				Ended int `json:"sessions_ended"`
			}{total}
			return g.print(cmd.OutOrStdout(), v, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%d sessions ended; all access tokens from before are over\n", total)
				return err
			})
		},
	}
}
