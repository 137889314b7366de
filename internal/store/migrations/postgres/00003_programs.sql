-- Every time is in microseconds since 1970 UTC, and 0 where there is none.
-- Text is compared byte by byte, as on SQLite.

-- +goose Up
CREATE TABLE api_keys (
    id                 text    COLLATE "C" NOT NULL PRIMARY KEY CHECK (id <> ''),
    user_id            text    COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash               text    COLLATE "C" NOT NULL UNIQUE CHECK (hash <> ''), -- SHA-256 of the key, in hex
    hint               text    COLLATE "C" NOT NULL, -- how the key begins
    name               text    COLLATE "C" NOT NULL,
    scopes             text    COLLATE "C" NOT NULL, -- a JSON array of strings
    created_at         bigint  NOT NULL,
    expires_at         bigint  NOT NULL,
    last_used_at       bigint  NOT NULL
);

CREATE INDEX api_keys_user_id ON api_keys (user_id);
CREATE INDEX api_keys_expires_at ON api_keys (expires_at) WHERE expires_at > 0;

CREATE TABLE oauth_clients (
    id                 text    COLLATE "C" NOT NULL PRIMARY KEY CHECK (id <> ''),
    name               text    COLLATE "C" NOT NULL,
    scopes             text    COLLATE "C" NOT NULL, -- a JSON array of strings
    audiences          text    COLLATE "C" NOT NULL, -- a JSON array of strings
    created_at         bigint  NOT NULL,
    secret_hash        text    COLLATE "C" NOT NULL CHECK (secret_hash <> ''), -- SHA-256 of the secret, in hex
    previous_hash      text    COLLATE "C" NOT NULL,
    previous_until     bigint  NOT NULL,
    tokens_valid_after bigint  NOT NULL
);

-- +goose Down
DROP TABLE oauth_clients;
DROP TABLE api_keys;
