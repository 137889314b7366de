package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/jotgate/jotgate/internal/config"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/internal/keyset"
	"github.com/jotgate/jotgate/internal/ratelimit"
	"github.com/jotgate/jotgate/internal/telemetry"
)

// openShared returns where replicas count together, or nil if they do not.
func openShared(c config.Config, master keyset.MasterKey, log *slog.Logger, spans trace.TracerProvider) (*ratelimit.Shared, error) {
	if !c.RateLimit.Enabled || !c.Redis.URL.Set() {
		return nil, nil //nolint:nilnil // a nil Shared makes limits that count in memory
	}
	shared, err := ratelimit.Open(ratelimit.SharedConfig{
		URL: c.Redis.URL.Reveal(), Key: master.Derive("jotgate limit keys v1", 32), Wait: redisWait, Pause: redisPause, Spans: spans, Now: time.Now,
		Changed: func(err error) {
			if err != nil {
				log.Warn("redis is away: limits are stricter and of this process alone until it is back", slog.Any("err", err))
			} else {
				log.Info("redis is back: limits are shared again")
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("redis.url: %w", err)
	}
	return shared, nil
}

func newLimits(c config.RateLimit, shared *ratelimit.Shared) (gate.Limits, error) {
	if !c.Enabled {
		return gate.Limits{}, nil
	}
	var l gate.Limits
	var errs []error
	for _, limit := range []struct {
		into  **ratelimit.Limiter
		name  string
		burst int
		per   time.Duration
	}{
		{&l.Login, "login", c.LoginsPerMinute, time.Minute},
		{&l.Registration, "registration", c.RegistrationsPerHour, time.Hour},
		{&l.Refresh, "refresh", c.RefreshesPerMinute, time.Minute},
		{&l.Password, "password", c.PasswordChecksPerMinute, time.Minute},
	} {
		var err error
		*limit.into, err = shared.New(limit.name, ratelimit.Limit{Burst: limit.burst, Period: limit.per}, limitedKeys)
		errs = append(errs, err)
	}
	return l, errors.Join(errs...)
}

func (a *App) probeRedis(ctx context.Context) error {
	a.shared.Probe(ctx)
	return a.shared.Away()
}

func measureShared(m *telemetry.Metrics, shared *ratelimit.Shared) {
	m.GaugeFunc("jotgate_rate_limit_shared", "Whether limits are shared through Redis at the moment.", func() float64 {
		if shared.Away() != nil {
			return 0
		}
		return 1
	})
	m.CounterFunc("jotgate_rate_limit_fallbacks_total", "Requests counted in this process alone because Redis was away.",
		func() float64 { return float64(shared.Alone()) })
}
