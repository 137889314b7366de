-- Who logs in and out all day has many sessions that have ended, and every login counts
-- those that have not. As in migration 5, each step can be repeated and has no bound.

-- +goose NO TRANSACTION
-- +goose Up
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS sessions_user_id_ended_at;
CREATE INDEX CONCURRENTLY sessions_user_id_ended_at ON sessions (user_id, ended_at);
DROP INDEX CONCURRENTLY IF EXISTS sessions_user_id;
RESET lock_timeout;

-- +goose Down
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS sessions_user_id;
CREATE INDEX CONCURRENTLY sessions_user_id ON sessions (user_id);
DROP INDEX CONCURRENTLY IF EXISTS sessions_user_id_ended_at;
RESET lock_timeout;
