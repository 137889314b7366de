package store

import (
	"bytes"
	"path/filepath"
	"runtime/pprof"
	"testing"

	"github.com/jotgate/jotgate/internal/pgtest"
)

// TestPreparedStatementsStay holds that no clock closes statements under those who use
// them: GORM's cache has a goroutine for that where they expire.
func TestPreparedStatementsStay(t *testing.T) {
	for _, url := range []string{"sqlite:" + filepath.Join(t.TempDir(), "x.db"), pgtest.DSN(t)} {
		openTest(t, url)
	}
	var stacks bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&stacks, 1); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(stacks.Bytes(), []byte("gorm/internal/lru.")) {
		t.Errorf("statements expire:\n%s", stacks.Bytes())
	}
}
