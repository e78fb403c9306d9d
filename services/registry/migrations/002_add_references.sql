-- Schemas of other subjects that a schema uses: a list of {"name", "subject", "version"}. They are
-- part of what the fingerprint is taken of.
ALTER TABLE registry.schemas ADD COLUMN refs JSONB NOT NULL DEFAULT '[]';
CREATE INDEX schemas_refs ON registry.schemas USING gin (refs jsonb_path_ops) WHERE refs <> '[]';

-- An import may bring one schema under two ids, as other registries have them.
ALTER TABLE registry.schemas DROP CONSTRAINT schemas_fingerprint_key;
CREATE INDEX schemas_fingerprint ON registry.schemas (fingerprint);

-- Whether schemas are put into their normal form before they are compared and stored.
ALTER TABLE registry.settings ADD COLUMN normalize BOOLEAN;
