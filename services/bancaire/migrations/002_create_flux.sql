-- What exactly-once needs beside the ledger: stored offsets with their counters, parked events,
-- and the outbox. All of it moves in the same transaction as the ledger.

CREATE TABLE bancaire.flux (
    topic VARCHAR(100) NOT NULL,
    partition INT NOT NULL,
    first_offset BIGINT NOT NULL,
    next_offset BIGINT NOT NULL,
    applied BIGINT NOT NULL DEFAULT 0,
    rejected BIGINT NOT NULL DEFAULT 0,
    parked BIGINT NOT NULL DEFAULT 0,
    dead_lettered BIGINT NOT NULL DEFAULT 0,
    duplicates BIGINT NOT NULL DEFAULT 0,
    absent BIGINT NOT NULL DEFAULT 0,
    montant DECIMAL(30,2) NOT NULL DEFAULT 0,
    cluster_id TEXT NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50); -- every batch updates some of its few rows

COMMENT ON TABLE bancaire.flux IS 'next_offset - first_offset = applied + rejected + parked + dead_lettered + duplicates + absent';
COMMENT ON COLUMN bancaire.flux.montant IS 'sum of the accepted amounts';

CREATE TABLE bancaire.parques (
    event_id VARCHAR(36) PRIMARY KEY,
    ordre BIGINT GENERATED ALWAYS AS IDENTITY,
    compte_id VARCHAR(36) NOT NULL,
    topic VARCHAR(100) NOT NULL,
    partition INT NOT NULL,
    "offset" BIGINT NOT NULL,
    empreinte BIGINT NOT NULL,
    cle BYTEA,
    valeur BYTEA NOT NULL,
    parque_le TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE INDEX idx_parques_compte ON bancaire.parques (compte_id, ordre);
CREATE INDEX idx_parques_age ON bancaire.parques (parque_le);

COMMENT ON COLUMN bancaire.parques.ordre IS 'order in which an account''s events are applied when it appears';
COMMENT ON COLUMN bancaire.parques.cle IS 'the record''s key as it was in Kafka';
COMMENT ON COLUMN bancaire.parques.valeur IS 'the record''s value as it was in Kafka';

CREATE TABLE bancaire.outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic VARCHAR(100) NOT NULL,
    cle BYTEA NOT NULL,
    valeur BYTEA NOT NULL,
    headers JSONB NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP
);
