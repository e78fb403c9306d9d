//! The books: every record of every partition, accounted for. Compares what PostgreSQL counted
//! with what the broker holds, in constant time, at any moment.
//!
//! `GET /api/v1/ledger`, the page's ledger and `cargo xtask verify` are views of this.

use rust_decimal::Decimal;
use schemas::EventType;
use serde::Serialize;

use crate::broker::Highs;
use crate::domain::TypeTransaction;
use crate::repository::{Books, FluxRow};

/// Counts of records. `next - first` is the sum of the six kinds; `in_flight` comes on top.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Counts {
    /// Accepted: they moved a balance, opened or closed an account.
    pub applied: i64,
    /// Refused, with a reason in the ledger.
    pub rejected: i64,
    /// Waiting for their account to be opened.
    pub parked: i64,
    pub dead_lettered: i64,
    /// Events that were seen before, with the same content.
    pub duplicates: i64,
    /// Offsets without a record.
    pub absent: i64,
    /// Records in the log that are not consumed yet; `null` when the broker does not answer.
    pub in_flight: Option<i64>,
    /// True when every record is accounted for.
    pub balanced: bool,
}

/// One partition's books.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PartitionLedger {
    pub topic: &'static str,
    pub partition: i32,
    /// Where bancaire began to read.
    pub first_offset: i64,
    /// The offset of the next record to be consumed.
    pub next_offset: i64,
    /// The offset of the next record to be produced; `null` when the broker does not answer.
    pub high_watermark: Option<i64>,
    #[serde(flatten)]
    pub counts: Counts,
}

/// One topic's books.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct TopicLedger {
    pub topic: &'static str,
    #[serde(flatten)]
    pub counts: Counts,
}

/// All books.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Ledger {
    /// The Kafka cluster that the offsets belong to; `null` before the first assignment.
    pub cluster_id: Option<String>,
    pub partitions: Vec<PartitionLedger>,
    pub topics: Vec<TopicLedger>,
    pub totals: Counts,
    /// Records that bancaire still has to publish.
    pub outbox_pending: i64,
    /// Dead letters that were published on `system.dlq`.
    pub dead_letters_published: i64,
    pub balanced: bool,
}

impl Counts {
    const EMPTY: Self = Self {
        applied: 0,
        rejected: 0,
        parked: 0,
        dead_lettered: 0,
        duplicates: 0,
        absent: 0,
        in_flight: Some(0),
        balanced: true,
    };

    fn plus(self, other: Self) -> Self {
        Self {
            applied: self.applied + other.applied,
            rejected: self.rejected + other.rejected,
            parked: self.parked + other.parked,
            dead_lettered: self.dead_lettered + other.dead_lettered,
            duplicates: self.duplicates + other.duplicates,
            absent: self.absent + other.absent,
            in_flight: self.in_flight.zip(other.in_flight).map(|(a, b)| a + b),
            balanced: self.balanced && other.balanced,
        }
    }
}

/// True when the broker's ends were asked for before the books were read: ask again.
pub fn outdated(books: &Books, highs: &Highs) -> bool {
    let is_behind = |row: &FluxRow| highs.get(&(row.topic, row.partition)) < Some(&row.next_offset);
    books.flux.iter().any(is_behind)
}

/// Balances the books against the broker's ends.
pub fn ledger(books: &Books, highs: Option<&Highs>) -> Ledger {
    let mut partitions: Vec<PartitionLedger> =
        books.flux.iter().map(|row| partition(row, highs)).collect();
    // Partitions that nobody has begun to read: all of their records are in flight.
    for ((topic, number), high) in highs.into_iter().flatten() {
        let is_there = |row: &FluxRow| row.topic == *topic && row.partition == *number;
        if !books.flux.iter().any(is_there) {
            partitions.push(PartitionLedger {
                topic: topic.topic(),
                partition: *number,
                first_offset: 0,
                next_offset: 0,
                high_watermark: Some(*high),
                counts: Counts {
                    in_flight: Some(*high),
                    ..Counts::EMPTY
                },
            });
        }
    }
    let sum = |of: &dyn Fn(&&PartitionLedger) -> bool| {
        let counts = partitions.iter().filter(of).map(|p| p.counts);
        counts.fold(Counts::EMPTY, Counts::plus)
    };
    let topics = EventType::ALL
        .map(EventType::topic)
        .map(|topic| TopicLedger {
            topic,
            counts: sum(&|p| p.topic == topic),
        });
    let mut totals = sum(&|_| true);
    if highs.is_none() {
        totals.in_flight = None;
    }
    Ledger {
        cluster_id: books.flux.first().map(|row| row.cluster_id.clone()),
        topics: topics.into(),
        outbox_pending: books.outbox_pending,
        dead_letters_published: totals.dead_lettered - books.dead_letters_pending,
        balanced: totals.balanced,
        totals,
        partitions,
    }
}

fn partition(row: &FluxRow, highs: Option<&Highs>) -> PartitionLedger {
    let high = highs
        .and_then(|highs| highs.get(&(row.topic, row.partition)))
        .copied();
    let accounted =
        row.applied + row.rejected + row.parked + row.dead_lettered + row.duplicates + row.absent;
    let in_flight = high.map(|high| high - row.next_offset);
    PartitionLedger {
        topic: row.topic.topic(),
        partition: row.partition,
        first_offset: row.first_offset,
        next_offset: row.next_offset,
        high_watermark: high,
        counts: Counts {
            applied: row.applied,
            rejected: row.rejected,
            parked: row.parked,
            dead_lettered: row.dead_lettered,
            duplicates: row.duplicates,
            absent: row.absent,
            in_flight,
            balanced: accounted == row.next_offset - row.first_offset
                && in_flight.is_none_or(|records| records >= 0),
        },
    }
}

/// Records in one partition that are not consumed yet.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Lag {
    pub topic: &'static str,
    pub partition: i32,
    /// `null` when the broker does not answer.
    pub lag: Option<i64>,
}

/// The sum of the accepted amounts of one type.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Sum {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub transactions: i64,
    pub montant: Decimal,
}

/// The bank in figures.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Stats {
    /// Accounts.
    pub comptes: i64,
    /// The sum of all balances.
    pub solde_total: Decimal,
    /// Accepted transactions.
    pub transactions: i64,
    pub rejected: i64,
    pub parked: i64,
    pub dead_letters: i64,
    pub duplicates: i64,
    pub outbox_pending: i64,
    pub sums: Vec<Sum>,
    /// True when the balances are exactly what the accepted amounts come to.
    pub conserved: bool,
    pub lag: Vec<Lag>,
}

/// The same books as figures; they must have been read with the accounts.
pub fn stats(books: &Books, highs: Option<&Highs>) -> Stats {
    let ledger = ledger(books, highs);
    let (comptes, solde_total) = books.comptes.unwrap_or_default();
    let mut expected = Decimal::ZERO;
    let sums = EventType::ALL.map(|event_type| {
        let kind = TypeTransaction::of(event_type);
        let rows = || books.flux.iter().filter(|row| row.topic == event_type);
        let montant = rows().fold(Decimal::new(0, 2), |sum, row| sum + row.montant);
        expected += montant * Decimal::from(kind.sign());
        Sum {
            kind: kind.as_str(),
            transactions: rows().map(|row| row.applied).sum(),
            montant,
        }
    });
    let lag = ledger.partitions.iter().map(|p| Lag {
        topic: p.topic,
        partition: p.partition,
        lag: p.counts.in_flight,
    });
    Stats {
        comptes,
        solde_total,
        transactions: ledger.totals.applied,
        rejected: ledger.totals.rejected,
        parked: ledger.totals.parked,
        dead_letters: ledger.totals.dead_lettered,
        duplicates: ledger.totals.duplicates,
        outbox_pending: books.outbox_pending,
        sums: sums.into(),
        conserved: expected == solde_total,
        lag: lag.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books(next: i64) -> Books {
        Books {
            flux: vec![FluxRow {
                topic: EventType::DepotEffectue,
                partition: 0,
                first_offset: 10,
                next_offset: next,
                applied: 5,
                rejected: 1,
                parked: 1,
                dead_lettered: 1,
                duplicates: 1,
                absent: 1,
                montant: Decimal::new(500, 2),
                cluster_id: "c".into(),
            }],
            outbox_pending: 3,
            dead_letters_pending: 1,
            comptes: Some((1, Decimal::new(500, 2))),
        }
    }

    fn highs(high: i64) -> Highs {
        Highs::from([
            ((EventType::DepotEffectue, 0), high),
            ((EventType::DepotEffectue, 1), 7),
        ])
    }

    #[test]
    fn every_record_is_accounted_for() {
        let ledger = ledger(&books(20), Some(&highs(25)));
        assert!(ledger.balanced);
        assert_eq!(ledger.totals.in_flight, Some(5 + 7));
        assert_eq!(ledger.dead_letters_published, 0);
        assert_eq!(ledger.topics.len(), EventType::ALL.len());
        assert!(
            !super::ledger(&books(21), Some(&highs(25))).balanced,
            "one is missing"
        );
        assert!(
            !super::ledger(&books(20), Some(&highs(19))).balanced,
            "the log is shorter"
        );
    }

    #[test]
    fn without_the_broker_only_what_is_in_flight_is_unknown() {
        let ledger = ledger(&books(20), None);
        assert!(ledger.balanced);
        assert_eq!((ledger.totals.in_flight, ledger.totals.applied), (None, 5));
    }

    #[test]
    fn balances_are_what_the_accepted_amounts_come_to() {
        assert!(stats(&books(20), None).conserved);
        let mut lost = books(20);
        lost.comptes = Some((1, Decimal::new(499, 2)));
        assert!(!stats(&lost, None).conserved);
    }
}
