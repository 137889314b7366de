package store

import (
	"context"
	"log/slog"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// slow is from when on a statement is worth a line in the log.
const slow = 500 * time.Millisecond

// config is how GORM works on both databases. It opens no transaction that was
// not asked for, and selects columns by name, so that a column that a newer
// program adds disturbs no older one beside it.
func config(log *slog.Logger, prepare bool) *gorm.Config {
	return &gorm.Config{
		PrepareStmt:            prepare,
		SkipDefaultTransaction: true,
		TranslateError:         true,
		QueryFields:            true,
		DisableAutomaticPing:   true,
		Logger: slowLog{logger.NewSlogLogger(log, logger.Config{
			SlowThreshold: slow, LogLevel: logger.Warn, ParameterizedQueries: true,
		})},
	}
}

// slowLog is GORM's logger for slow statements only, and without values.
// Failures are returned, and logged once by whoever answers.
type slowLog struct{ logger.Interface }

var _ gorm.ParamsFilter = slowLog{} // without it values would be logged

// LogMode implements [logger.Interface].
func (l slowLog) LogMode(level logger.LogLevel) logger.Interface {
	return slowLog{l.Interface.LogMode(level)}
}

// Error implements [logger.Interface].
func (slowLog) Error(context.Context, string, ...any) {}

// Trace implements [logger.Interface].
func (l slowLog) Trace(ctx context.Context, begin time.Time, what func() (string, int64), err error) {
	if err == nil && time.Since(begin) > slow {
		l.Interface.Trace(ctx, begin, what, nil)
	}
}

// ParamsFilter implements [gorm.ParamsFilter].
func (slowLog) ParamsFilter(_ context.Context, sql string, _ ...any) (string, []any) {
	return sql, nil
}
