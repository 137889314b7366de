package apikey_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jotgate/jotgate/internal/apikey"
)

// full is a store of somebody who has as many keys as they may, all of which have expired.
type full struct {
	apikey.Store

	failure error // of deleting one
	created int
}

func (*full) List(context.Context, string) ([]apikey.Key, error) {
	all := make([]apikey.Key, apikey.MaxPerUser)
	for i := range all {
		all[i].ExpiresAt = time.Now().Add(-time.Hour)
	}
	return all, nil
}

func (f *full) Delete(context.Context, apikey.ID, string) error { return f.failure }

func (f *full) Create(context.Context, apikey.Key, string) error {
	f.created++
	return nil
}

// TestRoomThatSomebodyElseMakes has the pruner delete the key that is to give way, between
// the look at it and its end.
func TestRoomThatSomebodyElseMakes(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		failure, want error
		created       int
	}{{nil, nil, 1}, {apikey.ErrNotFound, nil, 1}, {broken, broken, 0}} {
		f := &full{failure: tt.failure}
		_, _, err := apikey.New(f, time.Now).Create(t.Context(), "u", apikey.Draft{})
		if !errors.Is(err, tt.want) || f.created != tt.created {
			t.Errorf("deleted with %v: %d created, %v", tt.failure, f.created, err)
		}
	}
}
