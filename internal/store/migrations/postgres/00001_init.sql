-- Every time is in microseconds since 1970 UTC, and 0 where there is none.
-- Text is compared byte by byte, as on SQLite.

-- +goose Up
CREATE TABLE users (
    id                 text    COLLATE "C" NOT NULL PRIMARY KEY CHECK (id <> ''),
    username           text    COLLATE "C" UNIQUE CHECK (username <> ''),
    email              text    COLLATE "C" UNIQUE CHECK (email <> ''),
    email_verified     boolean NOT NULL,
    roles              text    COLLATE "C" NOT NULL, -- a JSON array of strings
    password_hash      text    COLLATE "C" NOT NULL,
    disabled           boolean NOT NULL,
    created_at         bigint  NOT NULL,
    tokens_valid_after bigint  NOT NULL
);

CREATE TABLE sessions (
    id           text    COLLATE "C" NOT NULL PRIMARY KEY CHECK (id <> ''),
    user_id      text    COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    mode         text    COLLATE "C" NOT NULL CHECK (mode IN ('bearer', 'cookie')),
    device       text    COLLATE "C" NOT NULL,
    ip           text    COLLATE "C" NOT NULL,
    user_agent   text    COLLATE "C" NOT NULL,
    created_at   bigint  NOT NULL,
    generation   bigint  NOT NULL CHECK (generation > 0),
    last_used_at bigint  NOT NULL,
    retry        text    COLLATE "C" NOT NULL,
    expires_at   bigint  NOT NULL CHECK (expires_at <= absolute_at),
    absolute_at  bigint  NOT NULL,
    ended_at     bigint  NOT NULL,
    end_reason   text    COLLATE "C" NOT NULL
);

CREATE INDEX sessions_user_id ON sessions (user_id);
CREATE INDEX sessions_expires_at ON sessions (expires_at) WHERE ended_at = 0;
CREATE INDEX sessions_ended_at ON sessions (ended_at) WHERE ended_at > 0;

CREATE TABLE revocations (
    seq        bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text    COLLATE "C" NOT NULL CHECK (kind IN ('session', 'user')),
    subject_id text    COLLATE "C" NOT NULL CHECK (subject_id <> ''),
    not_before bigint  NOT NULL,
    expires_at bigint  NOT NULL
);

CREATE INDEX revocations_expires_at ON revocations (expires_at);

-- No references: an event outlives the user and the session it tells of.
CREATE TABLE audit_events (
    id         bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         bigint  NOT NULL,
    kind       text    COLLATE "C" NOT NULL,
    user_id    text    COLLATE "C" NOT NULL,
    session_id text    COLLATE "C" NOT NULL,
    detail     text    COLLATE "C" NOT NULL,
    ip         text    COLLATE "C" NOT NULL,
    user_agent text    COLLATE "C" NOT NULL,
    request_id text    COLLATE "C" NOT NULL
);

CREATE INDEX audit_events_at ON audit_events (at);

CREATE TABLE password_attempts (
    bucket text    COLLATE "C" NOT NULL PRIMARY KEY CHECK (bucket <> ''),
    tat    bigint  NOT NULL -- when the bucket is whole again
);

CREATE INDEX password_attempts_tat ON password_attempts (tat);

CREATE TABLE signing_keys (
    kid          text    COLLATE "C" NOT NULL PRIMARY KEY CHECK (kid <> ''),
    alg          text    COLLATE "C" NOT NULL,
    private      bytea   NOT NULL, -- sealed under the master key
    created_at   bigint  NOT NULL,
    activates_at bigint  NOT NULL
);

-- +goose Down
DROP TABLE signing_keys;
DROP TABLE password_attempts;
DROP TABLE audit_events;
DROP TABLE revocations;
DROP TABLE sessions;
DROP TABLE users;
