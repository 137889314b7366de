-- When the pruner is to look at a session, which is not after it expires. A rotation
-- moves expires_at and leaves this alone, so that it changes no index; the pruner moves it
-- on. It is 0 in sessions made before, at which the pruner looks first.

-- +goose Up
ALTER TABLE sessions ADD COLUMN prune_at bigint NOT NULL DEFAULT 0;
DROP INDEX sessions_expires_at;
CREATE INDEX sessions_prune_at ON sessions (prune_at) WHERE ended_at = 0;
-- Room on each page, so that the new version of a row that changed no index stays on it
-- (a heap-only tuple).
ALTER TABLE sessions SET (fillfactor = 85);

-- +goose Down
ALTER TABLE sessions RESET (fillfactor);
DROP INDEX sessions_prune_at;
CREATE INDEX sessions_expires_at ON sessions (expires_at) WHERE ended_at = 0;
ALTER TABLE sessions DROP COLUMN prune_at;
