-- The ledger's reference to the accounts, checked once per statement. A foreign key is checked by
-- one query per row, which cost as much as everything else about a row together; a batch of
-- thousands of rows has some hundreds of accounts. What is asked and locked is the same.

ALTER TABLE bancaire.transactions DROP CONSTRAINT transactions_compte_id_fkey;

CREATE FUNCTION bancaire.verifier_comptes() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids text[];
    trouves bigint;
BEGIN
    SELECT array_agg(DISTINCT compte_id ORDER BY compte_id) INTO ids
    FROM nouvelles WHERE compte_id IS NOT NULL;
    IF ids IS NULL THEN
        RETURN NULL;
    END IF;
    -- KEY SHARE, as a foreign key does: none of them can be removed before the commit.
    SELECT count(*) INTO trouves FROM (
        SELECT FROM bancaire.comptes WHERE id = ANY (ids) FOR KEY SHARE
    ) AS verrouilles;
    IF trouves < cardinality(ids) THEN
        RAISE foreign_key_violation USING
            MESSAGE = format('insert or update on table "%s" refers to accounts that do not exist',
                             TG_TABLE_NAME),
            DETAIL = (SELECT format('The first of them is %s.', min(i)) FROM unnest(ids) AS i
                      WHERE NOT EXISTS (SELECT FROM bancaire.comptes c WHERE c.id = i)),
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'compte_id',
            CONSTRAINT = TG_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER transactions_comptes_insert AFTER INSERT ON bancaire.transactions
    REFERENCING NEW TABLE AS nouvelles
    FOR EACH STATEMENT EXECUTE FUNCTION bancaire.verifier_comptes();
CREATE TRIGGER transactions_comptes_update AFTER UPDATE ON bancaire.transactions
    REFERENCING NEW TABLE AS nouvelles
    FOR EACH STATEMENT EXECUTE FUNCTION bancaire.verifier_comptes();

-- The other side: an account that the ledger refers to keeps its id and stays.
CREATE FUNCTION bancaire.garder_compte() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (TG_OP = 'DELETE' OR OLD.id IS DISTINCT FROM NEW.id)
       AND EXISTS (SELECT FROM bancaire.transactions WHERE compte_id = OLD.id) THEN
        RAISE foreign_key_violation USING
            MESSAGE = format('the ledger refers to the account %s', OLD.id),
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, COLUMN = 'id', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER comptes_transactions AFTER DELETE OR UPDATE OF id ON bancaire.comptes
    FOR EACH ROW EXECUTE FUNCTION bancaire.garder_compte();

CREATE FUNCTION bancaire.garder_comptes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM bancaire.transactions WHERE compte_id IS NOT NULL) THEN
        RAISE foreign_key_violation USING
            MESSAGE = 'the ledger refers to accounts: empty it first',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER comptes_vider BEFORE TRUNCATE ON bancaire.comptes
    FOR EACH STATEMENT EXECUTE FUNCTION bancaire.garder_comptes();

COMMENT ON COLUMN bancaire.transactions.compte_id IS 'bancaire.comptes.id (triggers see to it); NULL only when refused because the account is unknown';
