package store

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/internal/pgtest"
)

// Where rows are slow to delete the deletes get smaller, and where they are not, larger.
func TestInSlices(t *testing.T) {
	for name, tt := range map[string]struct {
		of      slicing
		row     time.Duration // how long one takes
		rows    int
		longest time.Duration // that anybody waits
		within  time.Duration
	}{
		"nothing to delete":     {sqliteSlices(), time.Millisecond, 0, time.Millisecond, time.Millisecond},
		"slow rows of a file":   {sqliteSlices(), 400 * time.Microsecond, 5000, 8 * time.Millisecond, 48 * time.Second},
		"quick rows of a file":  {sqliteSlices(), 10 * time.Microsecond, 50_000, 5 * time.Millisecond, 8 * time.Second},
		"slow rows of a server": {serverSlices(), 400 * time.Microsecond, 5000, 40 * time.Millisecond, 25 * time.Second},
		"quick ones":            {serverSlices(), 10 * time.Microsecond, 50_000, 20 * time.Millisecond, 13 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				left, longest, begin := tt.rows, time.Duration(0), time.Now()
				err := tt.of.all(t.Context(), func(_ context.Context, limit int) (int, error) {
					n := min(left, limit)
					left -= n
					took := time.Duration(n) * tt.row
					time.Sleep(took)
					longest = max(longest, took)
					return n, nil
				})
				if err != nil || left > 0 {
					t.Fatalf("%d rows are left, %v", left, err)
				}
				if took := time.Since(begin); longest > tt.longest || took > tt.within {
					t.Errorf("the longest delete took %s, all of them %s; want at most %s and %s", longest, took, tt.longest, tt.within)
				}
			})
		})
	}
}

func TestSlicesOfEachDatabase(t *testing.T) {
	for url, want := range map[string]slicing{
		"sqlite:" + filepath.Join(t.TempDir(), "x.db"): sqliteSlices(), pgtest.DSN(t): serverSlices(),
	} {
		var first int
		if err := openTest(t, url).InSlices(t.Context(), func(_ context.Context, limit int) (int, error) {
			first = limit
			return 0, nil
		}); err != nil || first != want.least {
			t.Errorf("%.8s begins with %d rows, %v; want %d", url, first, err, want.least)
		}
	}
}

func TestInSlicesEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		calls := 0
		if err := sqliteSlices().all(ctx, func(_ context.Context, limit int) (int, error) {
			if calls++; calls == 3 {
				stop()
			}
			return limit, nil
		}); err != nil || calls != 3 {
			t.Errorf("%d deletes, %v; want 3 and no error", calls, err)
		}
	})
}
