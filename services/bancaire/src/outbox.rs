//! The outbox: records that bancaire itself publishes. They are stored in the transaction that
//! causes them and relayed from there, so that neither can exist without the other.
//!
//! Two kinds: `VirementRecu`, which comes back through the consumer and credits the destination,
//! and dead letters, which `system.dlq` keeps for people. The relay is at-least-once: a record
//! published twice is recognised by its id.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chassis::kafka::{Backoff, EventProducer, RawRecord, event_headers_in};
use chassis::registry::SchemaIds;
use chassis::{postgres, telemetry};
use chrono::{DateTime, Utc};
use schemas::{DLQ_TOPIC, DeadLetter, DeadLetterError, DeadLetterMetadata, Event, wire};
use serde_json::{Map, Value};
use sqlx::pool::PoolConnection;
use sqlx::{Connection, PgConnection, PgPool, Postgres};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::SERVICE;
use crate::domain::outcome::{Dead, Outcome};
use crate::domain::record::Batch;

/// Rows that are in flight to the broker at once.
const BATCH: i64 = 1000;
/// How soon rows are found that another, stopped worker left behind.
const FALLBACK: Duration = Duration::from_secs(1);
/// A question to PostgreSQL that takes longer is given up, with its connection.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// A relay waits for the broker inside its transaction, as long as the producer does and a little more;
/// after that it stands still, and another may have its lock.
const STANDSTILL: Duration = Duration::from_secs(150);
/// Only one worker relays at a time: rows leave in the order of their ids.
const RELAY_LOCK: i64 = 0x0065_6461_6c61_6202;

/// A row of `bancaire.outbox`.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxRow {
    pub topic: String,
    pub cle: Vec<u8>,
    pub valeur: Vec<u8>,
    /// An object of text values.
    pub headers: Value,
}

/// What an outcome wants published, as rows.
pub fn rows(
    outcome: &Outcome<'_>,
    ids: &SchemaIds,
    group: &str,
    now: DateTime<Utc>,
    batch: Option<&Batch>,
) -> Vec<OutboxRow> {
    let credits = outcome.emitted.iter().map(|recu| {
        let event = Event::VirementRecu(recu.clone());
        let cause = batch.map_or_else(Span::none, |batch| batch.traces.cause_of(recu));
        let headers = event_headers_in(&cause, &event, SERVICE)
            .into_iter()
            .map(|(name, value)| (name, Value::from(String::from_utf8_lossy(&value))))
            .collect();
        OutboxRow {
            topic: event.event_type().topic().to_owned(),
            cle: event.key().as_bytes().to_vec(),
            valeur: wire::frame(ids.id(event.event_type()), &event),
            headers: Value::Object(headers),
        }
    });
    let dead = outcome.dead_letters.iter().map(|dead| {
        let mut row = dead_letter(dead, group, now);
        if let (Some(batch), Value::Object(headers)) = (batch, &mut row.headers) {
            let span = batch.traces.span_of(dead.record.origin);
            telemetry::inject_context(&telemetry::context_of(&span), |name, value| {
                headers.insert(name.to_owned(), value.into());
            });
        }
        row
    });
    credits
        .filter(|_| !chassis::mutant!("lose-outbox-row"))
        .chain(dead)
        .collect()
}

fn dead_letter(dead: &Dead<'_>, group: &str, now: DateTime<Utc>) -> OutboxRow {
    let record = dead.record;
    let base64 = |bytes: &bytes::Bytes| BASE64_STANDARD.encode(bytes);
    let value = |bytes: &bytes::Bytes| {
        let lost = usize::from(chassis::mutant!("cut-dead-letters"));
        base64(&bytes.slice(..bytes.len().saturating_sub(lost)))
    };
    let letter = DeadLetter {
        original_topic: record.origin.topic.topic().to_owned(),
        partition: record.origin.partition,
        offset: record.origin.offset,
        key: record.key.as_ref().map(base64),
        value: record.value.as_ref().map(value),
        headers: dead.headers.iter().cloned().collect(),
        error: DeadLetterError {
            kind: dead.kind.to_owned(),
            message: dead.message.clone(),
            timestamp: now,
            attempt_count: 1,
        },
        metadata: DeadLetterMetadata {
            service: SERVICE.to_owned(),
            consumer_group: group.to_owned(),
        },
    };
    OutboxRow {
        topic: DLQ_TOPIC.to_owned(),
        cle: letter.key_string().into_bytes(),
        valeur: serde_json::to_vec(&letter).expect("a dead letter is serialisable"),
        headers: Value::Object(Map::new()),
    }
}

/// Publishes what the outbox holds, whenever `ready` is notified, until `shutdown`.
pub async fn relay(
    pool: PgPool,
    producer: EventProducer,
    ready: Arc<Notify>,
    shutdown: CancellationToken,
) {
    let mut backoff = Backoff::default();
    let mut conn = None;
    loop {
        match relay_once(&pool, &mut conn, &producer).await {
            Ok(published) => {
                backoff.reset();
                // A full batch: there is more.
                if published < BATCH as usize {
                    tokio::select! {
                        () = ready.notified() => {}
                        () = tokio::time::sleep(FALLBACK) => {}
                        () = shutdown.cancelled() => return,
                    }
                } else if shutdown.is_cancelled() {
                    return;
                }
            }
            Err(e) => {
                if let Some(conn) = conn.take() {
                    // Not back into the pool: nobody knows what state it is in.
                    drop(PoolConnection::detach(conn));
                }
                tracing::warn!(
                    error = format!("{e:#}"),
                    "Failed to relay the outbox, trying again"
                );
                if !backoff.wait(&shutdown).await {
                    return;
                }
            }
        }
    }
}

/// id, topic, cle, valeur, headers.
type StoredRow = (i64, String, Vec<u8>, Vec<u8>, Value);

/// Publishes one batch of rows and deletes them once the broker has acknowledged all of them. The
/// connection is kept for the next one.
async fn relay_once(
    pool: &PgPool,
    conn: &mut Option<PoolConnection<Postgres>>,
    producer: &EventProducer,
) -> anyhow::Result<usize> {
    let conn = match conn {
        Some(conn) => conn,
        None => {
            let mut new = pool.acquire().await.context("failed to connect")?;
            let bounded = postgres::set_up_writer(&mut new, STANDSTILL);
            bounded.await.context("failed to set a session up")?;
            conn.insert(new)
        }
    };
    let begin = conn.begin();
    let mut transaction = answered(begin)
        .await
        .context("failed to open a transaction")?;
    let locked = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)")
        .bind(RELAY_LOCK)
        .fetch_one(&mut *transaction);
    let locked: bool = answered(locked)
        .await
        .context("failed to take the relay's lock")?;
    let rows: Vec<StoredRow> = if locked {
        let rows = sqlx::query_as(
            "SELECT id, topic, cle, valeur, headers FROM bancaire.outbox ORDER BY id LIMIT $1",
        )
        .bind(BATCH)
        .fetch_all(&mut *transaction);
        answered(rows).await.context("failed to read the outbox")?
    } else {
        Vec::new()
    };
    if rows.is_empty() {
        answered(transaction.rollback())
            .await
            .context("failed to end a transaction")?;
        return Ok(0);
    }
    let ids: Vec<i64> = rows.iter().map(|row| row.0).collect();
    if chassis::mutant!("relay-deletes-first") {
        delete(&mut transaction, &ids).await?;
        sqlx::raw_sql("COMMIT; BEGIN")
            .execute(&mut *transaction)
            .await?;
    }
    chassis::fail_point!("relaying");
    let sends = rows.into_iter().map(|(_, topic, cle, valeur, headers)| {
        producer.send_raw(RawRecord {
            topic,
            key: Some(cle),
            value: Some(valeur),
            headers: header_pairs(headers),
            partition: None,
        })
    });
    // The producer has its own patience; sending again sooner would only send more.
    futures_util::future::try_join_all(sends)
        .await
        .context("failed to publish")?;
    chassis::fail_point!("relayed");
    delete(&mut transaction, &ids).await?;
    answered(transaction.commit())
        .await
        .context("failed to commit")?;
    Ok(ids.len())
}

/// A connection that is half open never answers.
async fn answered<T>(work: impl Future<Output = sqlx::Result<T>>) -> anyhow::Result<T> {
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, work).await;
    let answer = answer.with_context(|| {
        let seconds = ANSWER_TIMEOUT.as_secs();
        format!("no answer from PostgreSQL within {seconds} s")
    })?;
    Ok(answer?)
}

async fn delete(conn: &mut PgConnection, ids: &[i64]) -> anyhow::Result<()> {
    let query = sqlx::query("DELETE FROM bancaire.outbox WHERE id = ANY($1)").bind(ids);
    let deleted = answered(query.execute(conn)).await;
    deleted.context("failed to delete what was published")?;
    Ok(())
}

fn header_pairs(headers: Value) -> Vec<(String, Vec<u8>)> {
    let Value::Object(headers) = headers else {
        return Vec::new();
    };
    let pair = |(name, value): (String, Value)| Some((name, value.as_str()?.as_bytes().to_vec()));
    headers.into_iter().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::samples;
    use crate::domain::virement;

    #[test]
    fn a_dead_letter_carries_the_original_bytes_and_where_they_were() {
        let record = samples::poison(7, schemas::EventType::DepotEffectue);
        let dead = Dead {
            record: &record,
            kind: "bad_magic",
            message: "the first byte is 0x7b".into(),
            headers: &[],
        };
        let row = dead_letter(&dead, "bancaire", samples::at());
        assert_eq!(row.topic, "system.dlq");
        assert_eq!(row.cle, b"bancaire.depot.effectue-0-7");
        let letter: DeadLetter = serde_json::from_slice(&row.valeur).unwrap();
        assert_eq!(
            BASE64_STANDARD.decode(letter.value.unwrap()).unwrap(),
            b"{}"
        );
        assert_eq!(letter.error.kind, "bad_magic");
        assert_eq!(letter.key, None);
    }

    #[test]
    fn a_credit_is_framed_keyed_and_has_its_headers() {
        let Event::VirementEmis(emis) = samples::virement("e1", "a", "b", "5.00") else {
            unreachable!()
        };
        let outcome = Outcome {
            emitted: vec![virement::recu(&emis)],
            ..Outcome::default()
        };
        let rows = rows(
            &outcome,
            &SchemaIds::new([7; 7]),
            "bancaire",
            samples::at(),
            None,
        );
        assert_eq!(rows[0].topic, "bancaire.virement.recu");
        assert_eq!(rows[0].cle, b"b");
        assert_eq!(rows[0].valeur[..5], [0, 0, 0, 0, 7]);
        assert_eq!(rows[0].headers["ce_id"], virement::recu_id("e1"));
    }
}
