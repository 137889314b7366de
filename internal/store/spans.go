package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/XSAM/otelsql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
)

// sqlitePoolOf returns a pool of connections to a SQLite database, which make
// spans if there is where to.
func sqlitePoolOf(dsn string, spans trace.TracerProvider) (*sql.DB, error) {
	if spans == nil {
		return sql.Open("sqlite", dsn)
	}
	pool, err := otelsql.Open("sqlite", dsn, spanOptions(spans, "sqlite")...)
	if err != nil {
		return nil, fmt.Errorf("trace statements: %w", err)
	}
	return pool, nil
}

// postgresPoolOf is sqlitePoolOf for PostgreSQL.
func postgresPoolOf(conf *pgx.ConnConfig, spans trace.TracerProvider, options ...stdlib.OptionOpenDB) *sql.DB {
	if spans == nil {
		return stdlib.OpenDB(*conf, options...)
	}
	return otelsql.OpenDB(stdlib.GetConnector(*conf, options...), spanOptions(spans, "postgresql")...)
}

// spanOptions say which work of a driver becomes a span: statements, the begin
// and the end of transactions, and new connections. A span has the statement as
// it is written, with its placeholders, and never the values.
func spanOptions(spans trace.TracerProvider, system string) []otelsql.Option {
	return []otelsql.Option{
		otelsql.WithTracerProvider(spans),
		otelsql.WithMeterProvider(noop.NewMeterProvider()), // the pools' statistics are measured elsewhere
		otelsql.WithAttributes(attribute.String("db.system.name", system)),
		otelsql.WithSpanNameFormatter(spanName),
		otelsql.WithSpanOptions(otelsql.SpanOptions{
			OmitConnResetSession: true, OmitConnPrepare: true, OmitRows: true, DisableErrSkip: true,
		}),
	}
}

// spanName is the first word of a statement, or what the driver does if that is
// none.
func spanName(_ context.Context, method otelsql.Method, query string) string {
	if words := strings.Fields(query); len(words) > 0 {
		return words[0]
	}
	return string(method)
}
