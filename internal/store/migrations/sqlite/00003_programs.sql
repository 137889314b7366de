-- Every time is in microseconds since 1970 UTC, and 0 where there is none.

-- +goose Up
CREATE TABLE api_keys (
    id                 TEXT    NOT NULL PRIMARY KEY CHECK (id <> ''),
    user_id            TEXT    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash               TEXT    NOT NULL UNIQUE CHECK (hash <> ''), -- SHA-256 of the key, in hex
    hint               TEXT    NOT NULL, -- how the key begins
    name               TEXT    NOT NULL,
    scopes             TEXT    NOT NULL, -- a JSON array of strings
    created_at         INTEGER NOT NULL,
    expires_at         INTEGER NOT NULL,
    last_used_at       INTEGER NOT NULL
) STRICT;

CREATE INDEX api_keys_user_id ON api_keys (user_id);
CREATE INDEX api_keys_expires_at ON api_keys (expires_at) WHERE expires_at > 0;

CREATE TABLE oauth_clients (
    id                 TEXT    NOT NULL PRIMARY KEY CHECK (id <> ''),
    name               TEXT    NOT NULL,
    scopes             TEXT    NOT NULL, -- a JSON array of strings
    audiences          TEXT    NOT NULL, -- a JSON array of strings
    created_at         INTEGER NOT NULL,
    secret_hash        TEXT    NOT NULL CHECK (secret_hash <> ''), -- SHA-256 of the secret, in hex
    previous_hash      TEXT    NOT NULL,
    previous_until     INTEGER NOT NULL,
    tokens_valid_after INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE oauth_clients;
DROP TABLE api_keys;
