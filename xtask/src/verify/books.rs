//! PostgreSQL's own rows, all as of one moment.
//!
//! The questions are asked of the tables themselves, not of bancaire: what it believes is compared
//! with them in [`super::checks`].

use std::collections::{BTreeMap, HashMap};

use anyhow::Context;
use rust_decimal::Decimal;
use schemas::EventType;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Postgres, Row, Transaction};

use super::audit::LedgerRow;

/// A partition of an event's topic.
pub type Place = (EventType, i32);

/// One row of `bancaire.flux`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Flux {
    pub first_offset: i64,
    pub next_offset: i64,
    pub applied: i64,
    pub rejected: i64,
    pub parked: i64,
    pub dead_lettered: i64,
    pub duplicates: i64,
    pub absent: i64,
    pub montant: Decimal,
    pub cluster_id: String,
}

impl Flux {
    /// What its counters say that it has dealt with.
    pub fn counted(&self) -> i64 {
        self.applied
            + self.rejected
            + self.parked
            + self.dead_lettered
            + self.duplicates
            + self.absent
    }
}

/// The ledger's rows that came from one partition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LedgerSums {
    pub accepted: i64,
    pub rejected: i64,
    /// Of the accepted ones.
    pub montant: Decimal,
    /// Different offsets among them.
    pub offsets: i64,
}

#[derive(Debug, Clone)]
pub struct ParkedRow {
    pub event_id: String,
    pub place: Place,
    pub offset: i64,
    pub empreinte: i64,
    pub valeur: Vec<u8>,
}

#[derive(Debug, Clone)]
pub struct OutboxRow {
    pub topic: String,
    pub valeur: Vec<u8>,
}

/// An accepted transfer whose money is not simply where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTransfer {
    pub id: String,
    pub arrived: i64,
    pub refused: i64,
    pub same_amount: bool,
}

/// Everything that fits in memory whatever the size of the ledger.
#[derive(Debug, Default)]
pub struct Books {
    pub flux: BTreeMap<Place, Flux>,
    pub ledger: BTreeMap<Place, LedgerSums>,
    pub parked: Vec<ParkedRow>,
    pub outbox: Vec<OutboxRow>,
    /// Rows of no known topic or type; there should be none.
    pub foreign: Vec<String>,
    pub rows: i64,
    pub distinct_ids: i64,
    pub comptes: i64,
    pub soldes: Decimal,
    pub transfers_open: Vec<OpenTransfer>,
    /// A sample of what breaks each rule, in words; empty when none does.
    pub both: Vec<String>,
    pub wrong_soldes: Vec<String>,
    pub wrong_chains: Vec<String>,
    pub wrong_ends: Vec<String>,
    pub wrong_orders: Vec<String>,
}

/// One transaction that sees one state of all tables.
pub struct Snapshot {
    tx: Transaction<'static, Postgres>,
}

/// The type of a ledger row per event.
pub const fn kind(event_type: EventType) -> &'static str {
    match event_type {
        EventType::CompteOuvert => "OUVERTURE",
        EventType::CompteFerme => "CLOTURE",
        EventType::DepotEffectue => "DEPOT",
        EventType::RetraitEffectue => "RETRAIT",
        EventType::VirementEmis => "VIREMENT_SORTANT",
        EventType::VirementRecu => "VIREMENT_ENTRANT",
        EventType::PaiementPrimeEffectue => "PAIEMENT_PRIME",
    }
}

fn of_kind(text: &str) -> Option<EventType> {
    EventType::ALL.into_iter().find(|t| kind(*t) == text)
}

/// +1 when an accepted event adds to its account, -1 when it takes from it, 0 when it does neither.
pub const fn sign(event_type: EventType) -> i64 {
    match event_type {
        EventType::CompteOuvert | EventType::DepotEffectue | EventType::VirementRecu => 1,
        EventType::RetraitEffectue | EventType::VirementEmis | EventType::PaiementPrimeEffectue => {
            -1
        }
        EventType::CompteFerme => 0,
    }
}

/// For reading the whole ledger: sorts without temporary files while they fit, and of the table in
/// its own order. In an index's order each row is a read of its own, which takes three times as long.
const SETTINGS: [&str; 3] = [
    "SET LOCAL work_mem = '64MB'",
    "SET LOCAL effective_cache_size = '48MB'",
    "SET LOCAL enable_incremental_sort = off",
];

const FLUX: &str = "SELECT topic, partition, first_offset, next_offset, applied, rejected, parked,
    dead_lettered, duplicates, absent, montant, cluster_id FROM bancaire.flux";

/// Its rows are sorted by numbers first: comparing the types' names takes twice as long.
const LEDGER: &str = r#"SELECT type, partition, count(*) FILTER (WHERE motif_rejet IS NULL),
        count(*) FILTER (WHERE motif_rejet IS NOT NULL),
        coalesce(sum(montant) FILTER (WHERE motif_rejet IS NULL), 0), count(*) FILTER (WHERE n = 1)
    FROM (
        SELECT type, partition, montant, motif_rejet,
            row_number() OVER (PARTITION BY "offset", partition, type) AS n
        FROM bancaire.transactions
    ) t GROUP BY type, partition"#;

const PARKED: &str = r#"SELECT event_id, topic, partition, "offset", empreinte, valeur
    FROM bancaire.parques"#;

const SOLDES: &str = "SELECT format('%s has %s, its accepted rows give %s',
        coalesce(c.id, s.compte_id), c.solde, s.somme)
    FROM bancaire.comptes c FULL JOIN (
        SELECT compte_id, sum(CASE
            WHEN type IN ('OUVERTURE', 'DEPOT', 'VIREMENT_ENTRANT') THEN montant
            WHEN type IN ('RETRAIT', 'VIREMENT_SORTANT', 'PAIEMENT_PRIME') THEN -montant
            ELSE 0 END) AS somme
        FROM bancaire.transactions WHERE motif_rejet IS NULL GROUP BY compte_id
    ) s ON s.compte_id = c.id
    WHERE c.solde IS DISTINCT FROM s.somme OR c.solde < 0 LIMIT 10";

/// Each row against the one before it of the same account.
const CHAINS: &str =
    "SELECT format('%s: row %s (%s) has rang %s and solde_apres %s, due %s and %s',
        compte_id, n, type, rang, solde_apres, n, attendu)
    FROM (
        SELECT compte_id, type, rang, solde_apres, row_number() OVER w AS n,
            coalesce(lag(solde_apres) OVER w, 0) + CASE
            WHEN type IN ('OUVERTURE', 'DEPOT', 'VIREMENT_ENTRANT') THEN montant
            WHEN type IN ('RETRAIT', 'VIREMENT_SORTANT', 'PAIEMENT_PRIME') THEN -montant
            ELSE 0 END AS attendu
        FROM bancaire.transactions WHERE motif_rejet IS NULL
        WINDOW w AS (PARTITION BY compte_id ORDER BY rang)
    ) t
    WHERE rang IS DISTINCT FROM n OR solde_apres IS DISTINCT FROM attendu
        OR (n = 1) <> (type = 'OUVERTURE') OR compte_id IS NULL LIMIT 10";

const ENDS: &str = "SELECT format('%s: solde %s at rang %s, its last row says %s at %s',
        c.id, c.solde, c.rang, l.dernier, l.n)
    FROM bancaire.comptes c LEFT JOIN (
        SELECT compte_id, max(rang) AS n, (array_agg(solde_apres ORDER BY rang DESC))[1] AS dernier
        FROM bancaire.transactions WHERE motif_rejet IS NULL GROUP BY compte_id
    ) l ON l.compte_id = c.id
    WHERE l.n IS DISTINCT FROM c.rang OR l.dernier IS DISTINCT FROM c.solde LIMIT 10";

/// Kafka keeps the order of one key on one topic; between topics there is none to keep.
const ORDERS: &str = r#"SELECT format('%s: %s at offset %s was applied after offset %s (partition %s)',
        compte_id, type, "offset", avant, partition)
    FROM (
        SELECT compte_id, type, partition, "offset",
            lag("offset") OVER (PARTITION BY compte_id, type, partition ORDER BY rang) AS avant
        FROM bancaire.transactions WHERE motif_rejet IS NULL
    ) t WHERE avant >= "offset" LIMIT 10"#;

const BOTH: &str = "SELECT format('%s', t.id)
    FROM bancaire.transactions t JOIN bancaire.parques p ON p.event_id = t.id LIMIT 10";

/// The accepted transfers that do not have exactly one accepted credit of their amount (after a
/// refused one when the money came back).
const TRANSFERS: &str = "SELECT e.id, count(r.id) FILTER (WHERE r.motif_rejet IS NULL) AS arrived,
        count(r.id) FILTER (WHERE r.motif_rejet IS NOT NULL) AS refused,
        coalesce(bool_and(r.montant = e.montant), true) AS same_amount
    FROM bancaire.transactions e LEFT JOIN bancaire.transactions r
        ON r.cause_id = e.id AND r.type = 'VIREMENT_ENTRANT'
    WHERE e.type = 'VIREMENT_SORTANT' AND e.motif_rejet IS NULL GROUP BY e.id
    HAVING count(r.id) FILTER (WHERE r.motif_rejet IS NULL) <> 1
        OR count(r.id) > 2 OR NOT bool_and(r.montant = e.montant)";

impl Snapshot {
    /// # Errors
    /// When PostgreSQL does not answer.
    pub async fn open(pool: &PgPool) -> anyhow::Result<Self> {
        let failed = "failed to open a snapshot of PostgreSQL";
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let mut tx = pool.begin_with(begin).await.context(failed)?;
        for setting in SETTINGS {
            let set = sqlx::query(setting);
            set.execute(&mut *tx).await.context(failed)?;
        }
        Ok(Self { tx })
    }

    /// # Errors
    /// When PostgreSQL does not answer or has no such tables.
    pub async fn books(&mut self) -> anyhow::Result<Books> {
        self.read()
            .await
            .context("failed to read bancaire's tables")
    }

    async fn read(&mut self) -> Result<Books, sqlx::Error> {
        let mut books = Books::default();
        let tx = &mut *self.tx;
        for row in sqlx::query(FLUX).fetch_all(&mut *tx).await? {
            let topic: String = row.try_get("topic")?;
            let Some(event_type) = EventType::from_topic(&topic) else {
                books.foreign.push(format!("flux has the topic {topic}"));
                continue;
            };
            let flux = Flux {
                first_offset: row.try_get("first_offset")?,
                next_offset: row.try_get("next_offset")?,
                applied: row.try_get("applied")?,
                rejected: row.try_get("rejected")?,
                parked: row.try_get("parked")?,
                dead_lettered: row.try_get("dead_lettered")?,
                duplicates: row.try_get("duplicates")?,
                absent: row.try_get("absent")?,
                montant: row.try_get("montant")?,
                cluster_id: row.try_get("cluster_id")?,
            };
            let place = (event_type, row.try_get("partition")?);
            books.flux.insert(place, flux);
        }
        let ledger: Vec<(String, i32, i64, i64, Decimal, i64)> =
            sqlx::query_as(LEDGER).fetch_all(&mut *tx).await?;
        for (text, partition, accepted, rejected, montant, offsets) in ledger {
            let Some(event_type) = of_kind(&text) else {
                let message = format!("the ledger has rows of the type {text}");
                books.foreign.push(message);
                continue;
            };
            let sums = LedgerSums {
                accepted,
                rejected,
                montant,
                offsets,
            };
            books.ledger.insert((event_type, partition), sums);
        }
        let parked: Vec<(String, String, i32, i64, i64, Vec<u8>)> =
            sqlx::query_as(PARKED).fetch_all(&mut *tx).await?;
        for (event_id, topic, partition, offset, empreinte, valeur) in parked {
            let Some(event_type) = EventType::from_topic(&topic) else {
                books.foreign.push(format!("parques has the topic {topic}"));
                continue;
            };
            books.parked.push(ParkedRow {
                event_id,
                place: (event_type, partition),
                offset,
                empreinte,
                valeur,
            });
        }
        let outbox: Vec<(String, Vec<u8>)> =
            sqlx::query_as("SELECT topic, valeur FROM bancaire.outbox ORDER BY id")
                .fetch_all(&mut *tx)
                .await?;
        books.outbox = outbox
            .into_iter()
            .map(|(topic, valeur)| OutboxRow { topic, valeur })
            .collect();
        (books.rows, books.distinct_ids) =
            sqlx::query_as("SELECT count(*), count(DISTINCT id) FROM bancaire.transactions")
                .fetch_one(&mut *tx)
                .await?;
        (books.comptes, books.soldes) =
            sqlx::query_as("SELECT count(*), coalesce(sum(solde), 0) FROM bancaire.comptes")
                .fetch_one(&mut *tx)
                .await?;
        let open: Vec<(String, i64, i64, bool)> =
            sqlx::query_as(TRANSFERS).fetch_all(&mut *tx).await?;
        books.transfers_open = open
            .into_iter()
            .map(|(id, arrived, refused, same_amount)| OpenTransfer {
                id,
                arrived,
                refused,
                same_amount,
            })
            .collect();
        for (sql, found) in [
            (BOTH, &mut books.both),
            (SOLDES, &mut books.wrong_soldes),
            (CHAINS, &mut books.wrong_chains),
            (ENDS, &mut books.wrong_ends),
            (ORDERS, &mut books.wrong_orders),
        ] {
            *found = sqlx::query_scalar(sql).fetch_all(&mut *tx).await?;
        }
        Ok(books)
    }

    /// The ledger rows that came from one partition, in the order of their offsets.
    ///
    /// # Errors
    /// When PostgreSQL does not answer.
    pub async fn rows(&mut self, (event_type, partition): Place) -> anyhow::Result<Vec<LedgerRow>> {
        let rows = sqlx::query(
            r#"SELECT "offset", id, compte_id, montant, empreinte, cause_id,
                motif_rejet IS NULL AS accepted
            FROM bancaire.transactions WHERE type = $1 AND partition = $2 ORDER BY "offset""#,
        )
        .bind(kind(event_type))
        .bind(partition)
        .fetch_all(&mut *self.tx)
        .await
        .context("failed to read the ledger")?;
        let read = |row: &PgRow| -> Result<LedgerRow, sqlx::Error> {
            Ok(LedgerRow {
                offset: row.try_get(0)?,
                id: row.try_get(1)?,
                compte_id: row.try_get(2)?,
                montant: row.try_get(3)?,
                empreinte: row.try_get(4)?,
                cause_id: row.try_get(5)?,
                accepted: row.try_get(6)?,
            })
        };
        let rows: Result<_, _> = rows.iter().map(read).collect();
        rows.context("failed to read the ledger")
    }

    /// The fingerprints of those of `ids` that the ledger or the parked events hold.
    ///
    /// # Errors
    /// When PostgreSQL does not answer.
    pub async fn known(&mut self, ids: &[String]) -> anyhow::Result<HashMap<String, i64>> {
        let mut known = HashMap::new();
        for chunk in ids.chunks(10_000) {
            let rows: Vec<(String, i64)> = sqlx::query_as(
                "SELECT id, empreinte FROM bancaire.transactions WHERE id = ANY($1)
                UNION ALL
                SELECT event_id, empreinte FROM bancaire.parques WHERE event_id = ANY($1)",
            )
            .bind(chunk)
            .fetch_all(&mut *self.tx)
            .await
            .context("failed to look events up")?;
            known.extend(rows);
        }
        Ok(known)
    }
}
