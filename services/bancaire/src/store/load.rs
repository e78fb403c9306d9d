//! What a batch needs to know, read under the locks that keep it true until the commit.

use chassis::kafka::{EventDecoder, Failure};
use rust_decimal::Decimal;
use schemas::EventType;
use sqlx::PgConnection;

use crate::domain::record::{Content, Origin, Parked, Poisoned, Record};
use crate::domain::{Devise, Etat, Known, Statut};

/// The advisory lock around parking. Whoever parks holds it alone, whoever opens accounts shares
/// it; so an account cannot be opened by one worker while another parks an event for it, and rows
/// of `parques` belong to accounts that do not exist. It is taken before any row is locked.
const PARKING_LOCK: i64 = 0x0065_6461_6c61_6201;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ParkingLock {
    None,
    Shared,
    Exclusive,
}

/// Why something could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// A parked event's schema is not cached and the registry does not answer.
    #[error("{0}")]
    Registry(String),
    /// A row that this service cannot have written.
    #[error("{0}")]
    Foreign(String),
}

pub async fn take_parking_lock(conn: &mut PgConnection, lock: ParkingLock) -> sqlx::Result<()> {
    let sql = match lock {
        ParkingLock::None => return Ok(()),
        ParkingLock::Shared => "SELECT pg_advisory_xact_lock_shared($1)",
        ParkingLock::Exclusive => "SELECT pg_advisory_xact_lock($1)",
    };
    sqlx::query(sql).bind(PARKING_LOCK).execute(conn).await?;
    Ok(())
}

/// Locks the accounts that exist among `ids`, in the order of their ids, so that two workers that
/// need the same ones wait for each other instead of deadlocking.
pub async fn comptes(
    conn: &mut PgConnection,
    ids: &[&str],
) -> Result<Vec<(String, Etat)>, LoadError> {
    // NO KEY: the ledger's reference must not wait for us, and the id never changes.
    let rows: Vec<(String, i64, String, String, i64)> = sqlx::query_as(
        "SELECT id, (solde * 100)::bigint, statut, devise, rang FROM bancaire.comptes
         WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(id, cents, statut, devise, rang)| {
            let (Some(statut), Some(devise)) = (Statut::parse(&statut), Devise::parse(&devise))
            else {
                let message = format!("the account {id} has the state {statut} and {devise:?}");
                return Err(LoadError::Foreign(message));
            };
            let etat = Etat {
                solde: Decimal::new(cents, 2),
                statut,
                devise,
                rang,
            };
            Ok((id, etat))
        })
        .collect()
}

/// event_id, compte_id, topic, partition, offset, empreinte, cle, valeur.
type ParkedRow = (
    String,
    String,
    String,
    i32,
    i64,
    i64,
    Option<Vec<u8>>,
    Vec<u8>,
);

/// What is parked for accounts that are about to be opened, in the order of parking.
pub async fn parked(
    conn: &mut PgConnection,
    decoder: &EventDecoder,
    comptes: &[&str],
) -> Result<Vec<Parked>, LoadError> {
    let rows: Vec<ParkedRow> = sqlx::query_as(
        "SELECT event_id, compte_id, topic, partition, \"offset\", empreinte, cle, valeur
         FROM bancaire.parques WHERE compte_id = ANY($1) ORDER BY ordre",
    )
    .bind(comptes)
    .fetch_all(conn)
    .await?;
    decode(decoder, rows).await
}

/// Whether any parked event has waited longer than `age_ms`.
pub async fn any_expired(conn: &mut PgConnection, age_ms: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM bancaire.parques
         WHERE parque_le < now() - make_interval(secs => $1 / 1000.0))",
    )
    .bind(age_ms as f64)
    .fetch_one(conn)
    .await
}

/// How many events are parked, and how many seconds the oldest has waited.
pub async fn parked_figures(conn: &mut PgConnection) -> sqlx::Result<(i64, f64)> {
    sqlx::query_as(
        "SELECT count(*), coalesce(extract(epoch FROM now() - min(parque_le)), 0)::float8
         FROM bancaire.parques",
    )
    .fetch_one(conn)
    .await
}

/// The oldest parked events that have waited longer than `age_ms`, at most `limit`.
pub async fn expired(
    conn: &mut PgConnection,
    decoder: &EventDecoder,
    age_ms: i64,
    limit: i64,
) -> Result<Vec<Parked>, LoadError> {
    let rows: Vec<ParkedRow> = sqlx::query_as(
        "SELECT event_id, compte_id, topic, partition, \"offset\", empreinte, cle, valeur
         FROM bancaire.parques WHERE parque_le < now() - make_interval(secs => $1 / 1000.0)
         ORDER BY ordre LIMIT $2",
    )
    .bind(age_ms as f64)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    decode(decoder, rows).await
}

async fn decode(decoder: &EventDecoder, rows: Vec<ParkedRow>) -> Result<Vec<Parked>, LoadError> {
    let mut parked = Vec::with_capacity(rows.len());
    for (event_id, compte_id, topic, partition, offset, empreinte, cle, valeur) in rows {
        let event_type = EventType::from_topic(&topic)
            .ok_or_else(|| LoadError::Foreign(format!("no event has the topic {topic}")))?;
        let content = match decoder.decode(&topic, Some(&valeur)).await {
            Ok(event) => Content::Event(event),
            Err(Failure::Transient(message)) => return Err(LoadError::Registry(message)),
            Err(Failure::Poison(poison)) => Content::Poison(Box::new(Poisoned {
                poison,
                headers: Vec::new(),
            })),
        };
        let origin = Origin {
            topic: event_type,
            partition,
            offset,
        };
        let record = Record {
            origin,
            empreinte,
            content,
            key: cle.map(Into::into),
            value: Some(valeur.into()),
        };
        parked.push(Parked {
            event_id,
            compte_id,
            record,
        });
    }
    Ok(parked)
}

/// Which of these `event_id`s were stored before, for the slow path.
pub async fn known(conn: &mut PgConnection, ids: &[&str]) -> sqlx::Result<Known> {
    let rows: Vec<(String, i64, bool)> = sqlx::query_as(
        "SELECT id, empreinte, false FROM bancaire.transactions WHERE id = ANY($1)
         UNION ALL
         SELECT event_id, empreinte, true FROM bancaire.parques WHERE event_id = ANY($1)",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    let mut known = Known::default();
    for (id, empreinte, parked) in rows {
        let map = if parked {
            &mut known.parked
        } else {
            &mut known.ledger
        };
        map.insert(id, empreinte);
    }
    Ok(known)
}
