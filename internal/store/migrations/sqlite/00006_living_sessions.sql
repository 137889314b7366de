-- Who logs in and out all day has many sessions that have ended, and every login counts
-- those that have not.

-- +goose Up
CREATE INDEX sessions_user_id_ended_at ON sessions (user_id, ended_at);
DROP INDEX sessions_user_id;

-- +goose Down
CREATE INDEX sessions_user_id ON sessions (user_id);
DROP INDEX sessions_user_id_ended_at;
