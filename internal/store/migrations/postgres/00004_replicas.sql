-- What replicas and verifiers need to agree.
-- Every time is in microseconds since 1970 UTC, and 0 where there is none.

-- +goose Up
ALTER TABLE revocations DROP CONSTRAINT revocations_kind_check;
ALTER TABLE revocations ADD CONSTRAINT revocations_kind_check
    CHECK (kind IN ('session', 'user', 'key', 'all', 'changed')) NOT VALID;

ALTER TABLE signing_keys ADD COLUMN revoked_at bigint NOT NULL DEFAULT 0;

-- One row. epoch goes up when the database was put back to an earlier state, and
-- programs from oldest_program on, a migration, may use these tables.
CREATE TABLE installation (
    id             bigint  NOT NULL PRIMARY KEY CHECK (id = 1),
    epoch          bigint  NOT NULL CHECK (epoch > 0),
    oldest_program bigint  NOT NULL
);

INSERT INTO installation (id, epoch, oldest_program) VALUES (1, 1, 3);

-- How long access tokens live, by whoever issues them, and when one was last
-- seen at work that issues such. In microseconds.
CREATE TABLE token_lives (
    life    bigint  NOT NULL PRIMARY KEY CHECK (life > 0),
    seen_at bigint  NOT NULL
);

-- +goose Down
DROP TABLE token_lives;
DROP TABLE installation;
ALTER TABLE signing_keys DROP COLUMN revoked_at;
DELETE FROM revocations WHERE kind NOT IN ('session', 'user');
ALTER TABLE revocations DROP CONSTRAINT revocations_kind_check;
ALTER TABLE revocations ADD CONSTRAINT revocations_kind_check CHECK (kind IN ('session', 'user'));
