-- The accounts and their ledger: one row per event, accepted or refused.

CREATE TABLE bancaire.comptes (
    id VARCHAR(36) PRIMARY KEY,
    client_id VARCHAR(36) NOT NULL,
    type_compte VARCHAR(20) NOT NULL,
    devise VARCHAR(3) NOT NULL DEFAULT 'EUR',
    solde DECIMAL(18,2) NOT NULL DEFAULT 0,
    statut VARCHAR(20) NOT NULL DEFAULT 'ACTIF' CHECK (statut IN ('ACTIF', 'FERME', 'BLOQUE')),
    rang BIGINT NOT NULL DEFAULT 0,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP
) WITH (fillfactor = 70); -- room for updated balances on the same page (HOT)

CREATE INDEX idx_comptes_client ON bancaire.comptes (client_id);

CREATE TABLE bancaire.transactions (
    id VARCHAR(36) PRIMARY KEY,
    compte_id VARCHAR(36) REFERENCES bancaire.comptes (id),
    type VARCHAR(30) NOT NULL,
    montant DECIMAL(18,2) NOT NULL,
    reference VARCHAR(100),
    motif_rejet VARCHAR(200),
    solde_apres DECIMAL(18,2),
    rang BIGINT,
    cause_id VARCHAR(36),
    partition INT NOT NULL,
    "offset" BIGINT NOT NULL,
    empreinte BIGINT NOT NULL,
    evenement_le TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE INDEX idx_transactions_compte ON bancaire.transactions (compte_id, created_at);

COMMENT ON COLUMN bancaire.comptes.rang IS 'rang of the account''s last accepted ledger row';
COMMENT ON COLUMN bancaire.transactions.id IS 'event_id: one row per event, which is what makes the effect exactly once';
COMMENT ON COLUMN bancaire.transactions.compte_id IS 'NULL only when refused because the account is unknown';
COMMENT ON COLUMN bancaire.transactions.motif_rejet IS 'NULL when accepted';
COMMENT ON COLUMN bancaire.transactions.solde_apres IS 'balance after it; NULL when refused';
COMMENT ON COLUMN bancaire.transactions.rang IS 'number among the account''s accepted rows, from 1; NULL when refused';
COMMENT ON COLUMN bancaire.transactions.cause_id IS 'of a VirementRecu: event_id of the VirementEmis that caused it';
COMMENT ON COLUMN bancaire.transactions.empreinte IS 'xxh3 of the Avro body: tells a duplicate from a conflict';
