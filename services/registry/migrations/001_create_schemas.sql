-- One row per distinct schema, by its canonical text. Ids come from a sequence and are never used
-- twice, not even after a row is deleted.
CREATE TABLE registry.schemas (
    id          INT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    fingerprint BYTEA NOT NULL UNIQUE, -- SHA-256 of the text, which may be too long for an index
    schema      TEXT NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- What is registered under which subject. A soft delete sets `deleted`, a hard one takes the row.
CREATE TABLE registry.versions (
    subject    TEXT COLLATE "C" NOT NULL,
    version    INT NOT NULL,
    schema_id  INT NOT NULL REFERENCES registry.schemas (id),
    deleted    BOOLEAN NOT NULL DEFAULT FALSE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (subject, version)
);
CREATE INDEX versions_schema_id ON registry.versions (schema_id);

-- Configuration and mode of a subject, or of all of them (the empty subject).
CREATE TABLE registry.settings (
    subject       TEXT COLLATE "C" PRIMARY KEY,
    compatibility TEXT,
    mode          TEXT
);
