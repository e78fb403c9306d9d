-- What the lab's database starts with. Run once by the superuser in the database `edalab`, by
-- xtask (embedded) or by the image's entry point (Docker); running it again changes nothing.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'edalab') THEN
        CREATE ROLE edalab LOGIN PASSWORD 'edalab_password';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'registry') THEN
        CREATE ROLE registry LOGIN PASSWORD 'registry_password';
    END IF;
END
$$;

-- Each service migrates its own schema, and sees nobody else's.
GRANT CONNECT, CREATE, TEMPORARY ON DATABASE edalab TO edalab, registry;
REVOKE ALL ON DATABASE edalab FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;

CREATE SCHEMA IF NOT EXISTS bancaire AUTHORIZATION edalab;
CREATE SCHEMA IF NOT EXISTS registry AUTHORIZATION registry;

-- The plan's test table: a query that proves that this file was applied.
CREATE TABLE IF NOT EXISTS bancaire.health_check (
    id         INT PRIMARY KEY,
    status     VARCHAR(20) NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
ALTER TABLE bancaire.health_check OWNER TO edalab;
INSERT INTO bancaire.health_check (id, status) VALUES (1, 'ok') ON CONFLICT (id) DO NOTHING;
