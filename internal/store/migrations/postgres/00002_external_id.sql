-- Where a user came from: the name of another system and the id there.

-- +goose Up
ALTER TABLE users ADD COLUMN external_id text COLLATE "C" CHECK (external_id <> '');
CREATE UNIQUE INDEX users_external_id ON users (external_id);

-- +goose Down
DROP INDEX users_external_id;
ALTER TABLE users DROP COLUMN external_id;
