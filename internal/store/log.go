package store

import (
	"context"
	"log/slog"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

const (
	// slow is from when on a statement is worth a line in the log.
	slow = 500 * time.Millisecond
	// keepPrepared is what GORM's cache takes for ever by. Where statements expire, it
	// closes one that a request is about to use, or forgets to close it.
	keepPrepared = 10 * 365 * 24 * time.Hour
)

// config is how GORM works on both databases. It opens no transaction that was
// not asked for, and selects columns by name, so that a column that a newer
// program adds disturbs no older one beside it.
func config(log *slog.Logger, prepare bool) *gorm.Config {
	return &gorm.Config{
		PrepareStmt:            prepare,
		PrepareStmtTTL:         keepPrepared,
		SkipDefaultTransaction: true,
		TranslateError:         true,
		QueryFields:            true,
		DisableAutomaticPing:   true,
		Logger:                 slowLog{log},
	}
}

// slowLog is GORM's logger for slow statements only, and without values.
// Failures are returned, and logged once by whoever answers.
type slowLog struct{ log *slog.Logger }

var _ gorm.ParamsFilter = slowLog{} // without it values would be logged

// LogMode implements [logger.Interface].
func (l slowLog) LogMode(logger.LogLevel) logger.Interface { return l }

// Info implements [logger.Interface].
func (slowLog) Info(context.Context, string, ...any) {}

// Warn implements [logger.Interface]. GORM warns of rows that it cannot make sense of.
func (l slowLog) Warn(ctx context.Context, what string, _ ...any) {
	l.log.WarnContext(ctx, "database layer warns", slog.String("what", what))
}

// Error implements [logger.Interface].
func (slowLog) Error(context.Context, string, ...any) {}

// Trace implements [logger.Interface].
func (l slowLog) Trace(ctx context.Context, begin time.Time, what func() (string, int64), err error) {
	if took := time.Since(begin); err == nil && took > slow {
		sql, rows := what()
		l.log.WarnContext(ctx, "slow statement", slog.String("sql", sql), slog.Int64("rows", rows), slog.Duration("duration", took))
	}
}

// ParamsFilter implements [gorm.ParamsFilter].
func (slowLog) ParamsFilter(_ context.Context, sql string, _ ...any) (string, []any) {
	return sql, nil
}
