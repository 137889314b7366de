-- Every time is in microseconds since 1970 UTC, and 0 where there is none.

-- +goose Up
CREATE TABLE users (
    id                 TEXT    NOT NULL PRIMARY KEY CHECK (id <> ''),
    username           TEXT    UNIQUE CHECK (username <> ''),
    email              TEXT    UNIQUE CHECK (email <> ''),
    email_verified     INTEGER NOT NULL CHECK (email_verified IN (0, 1)),
    roles              TEXT    NOT NULL, -- a JSON array of strings
    password_hash      TEXT    NOT NULL,
    disabled           INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    created_at         INTEGER NOT NULL,
    tokens_valid_after INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
    id           TEXT    NOT NULL PRIMARY KEY CHECK (id <> ''),
    user_id      TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    mode         TEXT    NOT NULL CHECK (mode IN ('bearer', 'cookie')),
    device       TEXT    NOT NULL,
    ip           TEXT    NOT NULL,
    user_agent   TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    generation   INTEGER NOT NULL CHECK (generation > 0),
    last_used_at INTEGER NOT NULL,
    retry        TEXT    NOT NULL,
    expires_at   INTEGER NOT NULL CHECK (expires_at <= absolute_at),
    absolute_at  INTEGER NOT NULL,
    ended_at     INTEGER NOT NULL,
    end_reason   TEXT    NOT NULL
) STRICT;

CREATE INDEX sessions_user_id ON sessions (user_id);
CREATE INDEX sessions_expires_at ON sessions (expires_at) WHERE ended_at = 0;
CREATE INDEX sessions_ended_at ON sessions (ended_at) WHERE ended_at > 0;

-- AUTOINCREMENT, so that a seq is never given out again, not even the highest
-- one after its row was pruned.
CREATE TABLE revocations (
    seq        INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind       TEXT    NOT NULL CHECK (kind IN ('session', 'user')),
    subject_id TEXT    NOT NULL CHECK (subject_id <> ''),
    not_before INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX revocations_expires_at ON revocations (expires_at);

-- No references: an event outlives the user and the session it tells of.
CREATE TABLE audit_events (
    id         INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    user_id    TEXT    NOT NULL,
    session_id TEXT    NOT NULL,
    detail     TEXT    NOT NULL,
    ip         TEXT    NOT NULL,
    user_agent TEXT    NOT NULL,
    request_id TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_events_at ON audit_events (at);

CREATE TABLE password_attempts (
    bucket TEXT    NOT NULL PRIMARY KEY CHECK (bucket <> ''),
    tat    INTEGER NOT NULL -- when the bucket is whole again
) STRICT;

CREATE INDEX password_attempts_tat ON password_attempts (tat);

CREATE TABLE signing_keys (
    kid          TEXT    NOT NULL PRIMARY KEY CHECK (kid <> ''),
    alg          TEXT    NOT NULL,
    private      BLOB    NOT NULL, -- sealed under the master key
    created_at   INTEGER NOT NULL,
    activates_at INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE signing_keys;
DROP TABLE password_attempts;
DROP TABLE audit_events;
DROP TABLE revocations;
DROP TABLE sessions;
DROP TABLE users;
