//! Stored offsets and counters: one row of `bancaire.flux` per topic and partition.
//!
//! The offset in PostgreSQL is the truth; what Kafka's group stores is a hint for lag tools.

use rust_decimal::Decimal;
use schemas::EventType;
use sqlx::PgConnection;

use crate::domain::{Flow, Span};

/// A partition as the broker has it: first offset kept, next one to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub topic: EventType,
    pub partition: i32,
    pub low: i64,
    pub high: i64,
}

/// Where to read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub topic: EventType,
    pub partition: i32,
    pub offset: i64,
}

/// The log is not the one that was read before: no way on without a decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error(
        "{topic} [{partition}] was read up to offset {stored}, but its log begins at {low}: \
         {} records were deleted unread. To go on without them: UPDATE bancaire.flux SET \
         absent = absent + {low} - next_offset, next_offset = {low} WHERE topic = '{topic}' AND \
         partition = {partition}; then restart bancaire", .low - .stored
    )]
    BelowRetention {
        topic: &'static str,
        partition: i32,
        stored: i64,
        low: i64,
    },
    #[error(
        "{topic} [{partition}] was read up to offset {stored}, but its log ends at {high}: the \
         topic was recreated or lost records. Bring its log back, or begin anew with an empty \
         database (cargo xtask clean)"
    )]
    BeyondEnd {
        topic: &'static str,
        partition: i32,
        stored: i64,
        high: i64,
    },
    #[error(
        "{topic} [{partition}] was read from the Kafka cluster {stored}, but this is {found}. \
         Point bancaire at that cluster, or begin anew with an empty database (cargo xtask clean)"
    )]
    OtherCluster {
        topic: &'static str,
        partition: i32,
        stored: String,
        found: String,
    },
}

/// Where to begin: the stored offsets, after a first row for partitions that have none.
///
/// # Errors
/// The outer one is PostgreSQL's, the inner one says that the logs do not fit what is stored.
pub async fn positions(
    conn: &mut PgConnection,
    cluster_id: &str,
    windows: &[Window],
) -> sqlx::Result<Result<Vec<Position>, Mismatch>> {
    let topics: Vec<&str> = windows.iter().map(|w| w.topic.topic()).collect();
    let partitions: Vec<i32> = windows.iter().map(|w| w.partition).collect();
    let lows: Vec<i64> = windows.iter().map(|w| w.low).collect();
    sqlx::query(
        "INSERT INTO bancaire.flux (topic, partition, first_offset, next_offset, cluster_id)
         SELECT topic, partition, low, low, $4
         FROM unnest($1::text[], $2::int[], $3::bigint[]) AS w (topic, partition, low)
         ON CONFLICT DO NOTHING",
    )
    .bind(&topics)
    .bind(&partitions)
    .bind(&lows)
    .bind(cluster_id)
    .execute(&mut *conn)
    .await?;
    let rows: Vec<(String, i32, i64, String)> = sqlx::query_as(
        "SELECT f.topic, f.partition, f.next_offset, f.cluster_id FROM bancaire.flux f
         JOIN unnest($1::text[], $2::int[]) AS w (topic, partition)
         ON f.topic = w.topic AND f.partition = w.partition",
    )
    .bind(&topics)
    .bind(&partitions)
    .fetch_all(conn)
    .await?;
    let position = |window: &Window| {
        let name = window.topic.topic();
        let (_, _, offset, stored_cluster) = rows
            .iter()
            .find(|(topic, partition, ..)| topic == name && *partition == window.partition)
            .expect("every partition has a row by now");
        check(window, *offset, stored_cluster, cluster_id)
    };
    Ok(windows.iter().map(position).collect())
}

fn check(window: &Window, stored: i64, was: &str, is: &str) -> Result<Position, Mismatch> {
    let (topic, partition) = (window.topic.topic(), window.partition);
    if was != is {
        return Err(Mismatch::OtherCluster {
            topic,
            partition,
            stored: was.to_owned(),
            found: is.to_owned(),
        });
    }
    if stored < window.low {
        return Err(Mismatch::BelowRetention {
            topic,
            partition,
            stored,
            low: window.low,
        });
    }
    if stored > window.high {
        return Err(Mismatch::BeyondEnd {
            topic,
            partition,
            stored,
            high: window.high,
        });
    }
    Ok(Position {
        topic: window.topic,
        partition,
        offset: stored,
    })
}

/// What became of a batch whose COMMIT was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is in: do not do it again.
    Whole,
    /// It is not: try again.
    Nothing,
    /// Somebody else has moved on.
    Other,
}

/// Reads the stored offsets of a batch's partitions.
pub async fn stored(conn: &mut PgConnection, spans: &[Span]) -> sqlx::Result<Stored> {
    let topics: Vec<&str> = spans.iter().map(|s| s.topic.topic()).collect();
    let partitions: Vec<i32> = spans.iter().map(|s| s.partition).collect();
    let rows: Vec<(String, i32, i64)> = sqlx::query_as(
        "SELECT f.topic, f.partition, f.next_offset FROM bancaire.flux f
         JOIN unnest($1::text[], $2::int[]) AS w (topic, partition)
         ON f.topic = w.topic AND f.partition = w.partition",
    )
    .bind(&topics)
    .bind(&partitions)
    .fetch_all(conn)
    .await?;
    let all_at = |offset: fn(&Span) -> i64| {
        spans.iter().all(|span| {
            rows.iter().any(|(topic, partition, next)| {
                topic == span.topic.topic() && *partition == span.partition && *next == offset(span)
            })
        })
    };
    Ok(if all_at(|span| span.to) {
        Stored::Whole
    } else if all_at(|span| span.from) {
        Stored::Nothing
    } else {
        Stored::Other
    })
}

/// Moves offsets and counters, all or none: false when a partition's stored offset is not the one
/// that the batch follows, which means that another instance owns it now.
pub async fn advance(conn: &mut PgConnection, flows: &[Flow]) -> sqlx::Result<bool> {
    let column = |value: fn(&Flow) -> i64| -> Vec<i64> { flows.iter().map(value).collect() };
    let montants: Vec<Decimal> = flows.iter().map(|f| f.montant).collect();
    let from: Vec<Option<i64>> = flows
        .iter()
        .map(|f| f.advance.map(|(from, _)| from))
        .map(|from| from.filter(|_| !forgets_offsets()))
        .collect();
    let to: Vec<Option<i64>> = flows.iter().map(|f| f.advance.map(|(_, to)| to)).collect();
    let done = sqlx::query(
        "UPDATE bancaire.flux f SET
             next_offset = coalesce(d.next, f.next_offset),
             applied = f.applied + d.applied,
             rejected = f.rejected + d.rejected,
             parked = f.parked + d.parked,
             dead_lettered = f.dead_lettered + d.dead_lettered,
             duplicates = f.duplicates + d.duplicates,
             absent = f.absent + d.absent,
             montant = f.montant + d.montant,
             updated_at = now()
         FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[],
                     $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[],
                     $11::numeric[])
              AS d (topic, partition, expected, next, applied, rejected, parked, dead_lettered,
                    duplicates, absent, montant)
         WHERE f.topic = d.topic AND f.partition = d.partition
           AND (d.expected IS NULL OR f.next_offset = d.expected)",
    )
    .bind(flows.iter().map(|f| f.topic.topic()).collect::<Vec<_>>())
    .bind(flows.iter().map(|f| f.partition).collect::<Vec<_>>())
    .bind(from)
    .bind(to)
    .bind(column(|f| f.applied))
    .bind(column(|f| f.rejected))
    .bind(column(|f| f.parked))
    .bind(column(|f| f.dead_lettered))
    .bind(column(|f| f.duplicates))
    .bind(column(|f| f.absent))
    .bind(montants)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == flows.len() as u64)
}

/// Two deliberate defects.
fn forgets_offsets() -> bool {
    chassis::mutant!("forget-compare-and-set") || chassis::mutant!("forget-doubt-and-offsets")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(low: i64, high: i64) -> Window {
        Window {
            topic: EventType::DepotEffectue,
            partition: 1,
            low,
            high,
        }
    }

    #[test]
    fn a_stored_offset_that_does_not_fit_the_log_says_the_way_out() {
        assert_eq!(check(&window(5, 20), 12, "c", "c").unwrap().offset, 12);
        assert_eq!(check(&window(5, 20), 20, "c", "c").unwrap().offset, 20);
        for (stored, cluster, words) in [
            (4, "c", "1 records were deleted unread"),
            (21, "c", "its log ends at 20"),
            (12, "d", "from the Kafka cluster d, but this is c"),
        ] {
            let text = check(&window(5, 20), stored, cluster, "c")
                .unwrap_err()
                .to_string();
            assert!(text.contains(words), "{text}");
            assert!(text.contains("bancaire.depot.effectue [1]"), "{text}");
        }
    }
}
