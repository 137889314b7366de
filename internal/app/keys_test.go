package app

import (
	"strings"
	"testing"

	"github.com/jotgate/jotgate/internal/config"
)

// TestEveryKeySigns holds the least that config takes for token.rotate_every to the pace of
// this package: a key is followed by another one twice PublishAhead before that time is up,
// which has to be after it began to sign.
func TestEveryKeySigns(t *testing.T) {
	every := config.Default().Token.AccessTTL + 2*steady().PublishAhead
	_, err := config.Load(config.Source{Environ: []string{"JOTGATE_TOKEN_ROTATE_EVERY=" + every.String()}})
	if err == nil || !strings.Contains(err.Error(), "token.rotate_every") {
		t.Errorf("a key may be followed after %s: %v", every, err)
	}
}
