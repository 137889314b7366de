-- When the pruner is to look at a session, which is not after it expires. A rotation
-- moves expires_at and leaves this alone, so that it changes no index; the pruner moves it
-- on. It is 0 in sessions made before, at which the pruner looks first.
--
-- An index of many rows takes its time, in which sessions are written to, and waits for
-- every transaction that was open before; nobody queues behind that, so that it has no
-- bound. Each step can be repeated after a process that was cut short, which may leave an
-- index that is no good.

-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE sessions ADD COLUMN IF NOT EXISTS prune_at bigint NOT NULL DEFAULT 0;
-- Room on each page, so that the new version of a row that changed no index stays on it
-- (a heap-only tuple).
ALTER TABLE sessions SET (fillfactor = 85);
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS sessions_prune_at;
CREATE INDEX CONCURRENTLY sessions_prune_at ON sessions (prune_at) WHERE ended_at = 0;
DROP INDEX CONCURRENTLY IF EXISTS sessions_expires_at;
RESET lock_timeout;

-- +goose Down
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS sessions_expires_at;
CREATE INDEX CONCURRENTLY sessions_expires_at ON sessions (expires_at) WHERE ended_at = 0;
DROP INDEX CONCURRENTLY IF EXISTS sessions_prune_at;
RESET lock_timeout;
ALTER TABLE sessions RESET (fillfactor);
ALTER TABLE sessions DROP COLUMN IF EXISTS prune_at;
