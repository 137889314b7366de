-- What replicas and verifiers need to agree.
-- Every time is in microseconds since 1970 UTC, and 0 where there is none.

-- +goose Up
-- SQLite changes no CHECK: the table is made anew, and its numbers go on.
CREATE TABLE revocations_anew (
    seq        INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind       TEXT    NOT NULL CHECK (kind IN ('session', 'user', 'key', 'all', 'changed')),
    subject_id TEXT    NOT NULL CHECK (subject_id <> ''),
    not_before INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

INSERT INTO sqlite_sequence (name, seq) SELECT 'revocations_anew', seq FROM sqlite_sequence WHERE name = 'revocations';
INSERT INTO revocations_anew SELECT seq, kind, subject_id, not_before, expires_at FROM revocations;
DROP TABLE revocations;
ALTER TABLE revocations_anew RENAME TO revocations;
CREATE INDEX revocations_expires_at ON revocations (expires_at);

ALTER TABLE signing_keys ADD COLUMN revoked_at INTEGER NOT NULL DEFAULT 0;

-- One row. epoch goes up when the database was put back to an earlier state, and
-- programs from oldest_program on, a migration, may use these tables.
CREATE TABLE installation (
    id             INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    epoch          INTEGER NOT NULL CHECK (epoch > 0),
    oldest_program INTEGER NOT NULL
) STRICT;

INSERT INTO installation (id, epoch, oldest_program) VALUES (1, 1, 3);

-- How long access tokens live, by whoever issues them, and when one was last
-- seen at work that issues such. In microseconds.
CREATE TABLE token_lives (
    life    INTEGER NOT NULL PRIMARY KEY CHECK (life > 0),
    seen_at INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE token_lives;
DROP TABLE installation;
ALTER TABLE signing_keys DROP COLUMN revoked_at;

CREATE TABLE revocations_anew (
    seq        INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind       TEXT    NOT NULL CHECK (kind IN ('session', 'user')),
    subject_id TEXT    NOT NULL CHECK (subject_id <> ''),
    not_before INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

INSERT INTO sqlite_sequence (name, seq) SELECT 'revocations_anew', seq FROM sqlite_sequence WHERE name = 'revocations';
INSERT INTO revocations_anew SELECT seq, kind, subject_id, not_before, expires_at FROM revocations WHERE kind IN ('session', 'user');
DROP TABLE revocations;
ALTER TABLE revocations_anew RENAME TO revocations;
CREATE INDEX revocations_expires_at ON revocations (expires_at);
