package session_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jotgate/jotgate/internal/session"
)

// TestClockThatIsSet sets the clock while a rotation is under way, and again before its
// token comes a second time: whatever the clock says, the holder has the grace from the
// answer on, and a thief no more. Without a doubt the clock is all there is.
func TestClockThatIsSet(t *testing.T) {
	const most, over = grace, grace + time.Microsecond
	type setting struct {
		took, during time.Duration // until the answer: what passed, and by how much the clock was set
		after, came  time.Duration // and until the token came
		want         error
	}
	reused := session.ErrReused
	tests := []setting{
		{0, 0, 5 * time.Second, 5 * time.Second, nil},
		{0, 0, 5 * time.Second, 5*time.Second + 1000, reused},
		{0, 0, -time.Minute, most, nil},
		{0, 0, -time.Minute - 1000, 0, reused},
		{0, -30 * time.Second, 0, 40 * time.Second, nil},
		{0, -30 * time.Second, 0, 40*time.Second + 1000, reused}, // as another's clock
	}
	for _, d := range []time.Duration{30 * time.Second, 2 * time.Minute, time.Hour, 24 * time.Hour} {
		tests = append(
			tests,
			setting{0, d, 0, most, nil}, setting{0, d, 0, over, reused}, // or the machine slept
			setting{0, d, -d, 3 * time.Second, nil}, setting{0, d, -d, most, nil}, setting{0, d, -d, over, reused},
			setting{8 * time.Second, d, -d, most, nil}, setting{8 * time.Second, d, -d, over, reused},
			setting{0, d, -d, d, reused}, // the time of the answer comes once more
			setting{0, -d, 0, most, nil}, setting{8 * time.Second, -d, 0, most, nil},
			setting{0, -d, d, most, nil}, setting{0, -d, d, over, reused},
			setting{8 * time.Second, 0, -d, most, nil}, setting{8 * time.Second, 0, d, 0, reused},
			setting{0, 0, d, 0, reused},
		)
		if d > time.Minute {
			tests = append(tests, setting{0, -d, 0, over, reused}, setting{8 * time.Second, 0, -d, over, reused}, setting{0, 0, -d, 0, reused})
		}
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.took, tt.during, tt.after, tt.came), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t)
				pass := func(d, set time.Duration) {
					time.Sleep(d)
					s.at = s.at.Add(d + set)
				}
				o, swap := s.open(t, "u"), s.swap
				s.swap = func(ctx context.Context, r session.Rotation) (session.Session, error) {
					defer pass(tt.took, tt.during)
					return swap(ctx, r)
				}
				if _, err := s.rotate(t, o, 1, ""); err != nil {
					t.Fatal(err)
				}
				s.swap = swap
				pass(tt.came, tt.after)
				if again, err := s.rotate(t, o, 1, ""); !errors.Is(err, tt.want) || err == nil && !again.Repeated {
					t.Errorf("again = %+v, %v; want %v", again, err, tt.want)
				}
			})
		})
	}
}

// TestTwoTabsWhileTheClockIsSet has the tab that came first lose.
func TestTwoTabsWhileTheClockIsSet(t *testing.T) {
	for _, set := range []time.Duration{-24 * time.Hour, -2 * time.Minute, -time.Second, time.Second, 2 * time.Minute, 24 * time.Hour} {
		t.Run(fmt.Sprint(set), func(t *testing.T) {
			s := newService(t)
			o, swap := s.open(t, "u"), s.swap
			s.swap = func(ctx context.Context, r session.Rotation) (session.Session, error) {
				s.swap = func(ctx context.Context, r session.Rotation) (session.Session, error) {
					defer func() { s.at = s.at.Add(set) }()
					return swap(ctx, r)
				}
				if _, err := s.rotate(t, o, 1, ""); err != nil {
					t.Fatal(err)
				}
				return swap(ctx, r)
			}
			if got, err := s.rotate(t, o, 1, ""); err != nil || !got.Repeated {
				t.Errorf("the other tab: %+v, %v", got, err)
			}
		})
	}
}
