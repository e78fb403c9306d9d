//! What the API asks PostgreSQL. The sink's own statements stand in [`crate::store`].

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use schemas::EventType;
use serde::Serialize;
use sqlx::PgPool;

/// An account.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Compte {
    pub id: String,
    pub client_id: String,
    #[schema(example = "COURANT")]
    pub type_compte: String,
    #[schema(example = "EUR")]
    pub devise: String,
    #[schema(example = "1234.56")]
    pub solde: Decimal,
    /// `ACTIF`, `FERME` or `BLOQUE`.
    pub statut: String,
    /// The number of its accepted transactions.
    pub rang: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// One row of the ledger: the verdict on one event.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Transaction {
    /// The `event_id` of its event.
    pub id: String,
    /// `OUVERTURE`, `CLOTURE`, `DEPOT`, `RETRAIT`, `VIREMENT_SORTANT`, `VIREMENT_ENTRANT` or
    /// `PAIEMENT_PRIME`.
    #[serde(rename = "type")]
    pub kind: String,
    #[schema(example = "100.00")]
    pub montant: Decimal,
    pub reference: Option<String>,
    /// Why it was refused; absent when it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub motif_rejet: Option<String>,
    /// The balance after it; `null` when it was refused.
    pub solde_apres: Option<Decimal>,
    /// Its number among the account's accepted ones; `null` when it was refused.
    pub rang: Option<i64>,
    /// Of an incoming transfer: the `event_id` of the transfer that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause_id: Option<String>,
    /// Where its event lies in the topic of its type.
    pub partition: i32,
    pub offset: i64,
    /// When the event happened, by the producer's clock.
    pub evenement_le: DateTime<Utc>,
    /// When it was decided.
    pub created_at: DateTime<Utc>,
}

type CompteRow = (
    String,
    String,
    String,
    String,
    Decimal,
    String,
    i64,
    DateTime<Utc>,
    DateTime<Utc>,
);

/// PostgreSQL's zero comes without its decimal places.
fn amount(mut value: Decimal) -> Decimal {
    value.rescale(2);
    value
}

fn compte(row: CompteRow) -> Compte {
    let (id, client_id, type_compte, devise, solde, statut, rang, created_at, updated_at) = row;
    Compte {
        id,
        client_id,
        type_compte,
        devise,
        solde: amount(solde),
        statut,
        rang,
        created_at,
        updated_at,
    }
}

/// The account with this id.
pub async fn get_by_id(pool: &PgPool, id: &str) -> sqlx::Result<Option<Compte>> {
    let row = sqlx::query_as(
        "SELECT id, client_id, type_compte, devise, solde, statut, rang, created_at, updated_at
         FROM bancaire.comptes WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await?;
    Ok(row.map(compte))
}

/// A client's accounts, by id.
pub async fn get_by_client_id(pool: &PgPool, client_id: &str) -> sqlx::Result<Vec<Compte>> {
    let rows: Vec<CompteRow> = sqlx::query_as(
        "SELECT id, client_id, type_compte, devise, solde, statut, rang, created_at, updated_at
         FROM bancaire.comptes WHERE client_id = $1 ORDER BY id",
    )
    .bind(client_id)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(compte).collect())
}

/// A page of all accounts, by id.
pub async fn list(pool: &PgPool, after: &str, limit: i64) -> sqlx::Result<Vec<Compte>> {
    let rows: Vec<CompteRow> = sqlx::query_as(
        "SELECT id, client_id, type_compte, devise, solde, statut, rang, created_at, updated_at
         FROM bancaire.comptes WHERE id > $1 ORDER BY id LIMIT $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(compte).collect())
}

type TransactionRow = (
    String,
    String,
    Decimal,
    Option<String>,
    Option<String>,
    Option<Decimal>,
    Option<i64>,
    Option<String>,
    i32,
    i64,
    DateTime<Utc>,
    DateTime<Utc>,
);

/// An account's transactions, newest first.
pub async fn get_transactions(
    pool: &PgPool,
    compte_id: &str,
    limit: i64,
) -> sqlx::Result<Vec<Transaction>> {
    let rows: Vec<TransactionRow> = sqlx::query_as(
        "SELECT id, type, montant, reference, motif_rejet, solde_apres, rang, cause_id, partition,
                \"offset\", evenement_le, created_at
         FROM bancaire.transactions WHERE compte_id = $1
         ORDER BY created_at DESC, rang DESC NULLS LAST, \"offset\" DESC LIMIT $2",
    )
    .bind(compte_id)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(transaction).collect())
}

fn transaction(row: TransactionRow) -> Transaction {
    Transaction {
        id: row.0,
        kind: row.1,
        montant: amount(row.2),
        reference: row.3,
        motif_rejet: row.4,
        solde_apres: row.5.map(amount),
        rang: row.6,
        cause_id: row.7,
        partition: row.8,
        offset: row.9,
        evenement_le: row.10,
        created_at: row.11,
    }
}

/// A row of `bancaire.flux`.
#[derive(Debug, Clone)]
pub struct FluxRow {
    pub topic: EventType,
    pub partition: i32,
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

/// The columns of [`FluxRow`], in their order.
type FluxTuple = (
    String,
    i32,
    i64,
    i64,
    i64,
    i64,
    i64,
    i64,
    i64,
    i64,
    Decimal,
    String,
);

/// `None` for a topic that is no event's, which only a person can have written.
fn flux_row(row: FluxTuple) -> Option<FluxRow> {
    Some(FluxRow {
        topic: EventType::from_topic(&row.0)?,
        partition: row.1,
        first_offset: row.2,
        next_offset: row.3,
        applied: row.4,
        rejected: row.5,
        parked: row.6,
        dead_lettered: row.7,
        duplicates: row.8,
        absent: row.9,
        montant: amount(row.10),
        cluster_id: row.11,
    })
}

/// What the books consist of, all of one moment.
#[derive(Debug, Clone)]
pub struct Books {
    pub flux: Vec<FluxRow>,
    pub outbox_pending: i64,
    /// Of those, dead letters.
    pub dead_letters_pending: i64,
    /// Accounts and the sum of their balances, when asked for: it reads all accounts.
    pub comptes: Option<(i64, Decimal)>,
}

/// Reads the books in one snapshot.
pub async fn books(pool: &PgPool, with_comptes: bool) -> sqlx::Result<Books> {
    let mut tx = pool
        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    let rows: Vec<FluxTuple> = sqlx::query_as(
        "SELECT topic, partition, first_offset, next_offset, applied, rejected, parked,
                dead_lettered, duplicates, absent, montant, cluster_id
         FROM bancaire.flux ORDER BY topic, partition",
    )
    .fetch_all(&mut *tx)
    .await?;
    let (outbox_pending, dead_letters_pending): (i64, i64) =
        sqlx::query_as("SELECT count(*), count(*) FILTER (WHERE topic = $1) FROM bancaire.outbox")
            .bind(schemas::DLQ_TOPIC)
            .fetch_one(&mut *tx)
            .await?;
    let comptes = if with_comptes {
        let sql = "SELECT count(*), coalesce(sum(solde), 0) FROM bancaire.comptes";
        let (count, solde): (i64, Decimal) = sqlx::query_as(sql).fetch_one(&mut *tx).await?;
        Some((count, amount(solde)))
    } else {
        None
    };
    tx.commit().await?;
    Ok(Books {
        flux: rows.into_iter().filter_map(flux_row).collect(),
        outbox_pending,
        dead_letters_pending,
        comptes,
    })
}
