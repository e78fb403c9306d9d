//! What a batch comes to: everything that the writer stores in the batch's one transaction.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use schemas::{EventType, VirementRecu};

use super::compte::{Etat, Motif, TypeTransaction};
use super::record::{Origin, Record};

/// Rows in the order in which they were decided. Borrows from the batch and from the parked rows.
#[derive(Debug, Default)]
pub struct Outcome<'a> {
    /// One row per event that was accepted or refused.
    pub ledger: Vec<LedgerRow<'a>>,
    /// Accounts opened by this batch, in their state at its end.
    pub opened: Vec<NewCompte<'a>>,
    /// Accounts that were there before, once each, in their state at the batch's end.
    pub updated: Vec<(&'a str, Etat)>,
    /// Events of unknown accounts, to be parked in this order.
    pub parked: Vec<&'a Record>,
    /// `event_id`s of parked rows that have now been dealt with.
    pub unparked: Vec<&'a str>,
    /// For the outbox: credits caused by transfers, and returns of refused credits.
    pub emitted: Vec<VirementRecu>,
    /// For the outbox, on their way to `system.dlq`.
    pub dead_letters: Vec<Dead<'a>>,
    /// How the counters of each partition move.
    pub flows: Vec<Flow>,
}

/// The verdict on one event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LedgerRow<'a> {
    pub event_id: &'a str,
    /// `None` only when the account is unknown.
    pub compte_id: Option<&'a str>,
    pub kind: TypeTransaction,
    pub montant: Decimal,
    pub reference: Option<&'a str>,
    pub verdict: Verdict,
    pub cause_id: Option<&'a str>,
    pub origin: Origin,
    pub empreinte: i64,
    pub evenement_le: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Accepted { solde_apres: Decimal, rang: i64 },
    Rejected(Motif),
}

impl LedgerRow<'_> {
    pub fn accepted(&self) -> bool {
        matches!(self.verdict, Verdict::Accepted { .. })
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NewCompte<'a> {
    pub id: &'a str,
    pub client_id: &'a str,
    pub type_compte: &'a str,
    pub etat: Etat,
}

/// A record that goes to the dead letters, and why.
#[derive(Debug, Clone)]
pub struct Dead<'a> {
    pub record: &'a Record,
    pub kind: &'static str,
    pub message: String,
    pub headers: &'a [(String, String)],
}

/// How one row of `bancaire.flux` moves. The identity that `verify` checks is kept by each:
/// `next - expected = applied + rejected + parked + dead_lettered + duplicates + absent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    pub topic: EventType,
    pub partition: i32,
    /// The stored offset that this batch follows and the one that it leaves; `None` when only
    /// parked events of this partition were settled, which moves counters but no offset.
    pub advance: Option<(i64, i64)>,
    pub applied: i64,
    pub rejected: i64,
    pub parked: i64,
    pub dead_lettered: i64,
    pub duplicates: i64,
    /// Offsets without a record (compaction, transaction markers).
    pub absent: i64,
    /// The sum of the accepted amounts.
    pub montant: Decimal,
}

impl Flow {
    pub const fn new(topic: EventType, partition: i32, advance: Option<(i64, i64)>) -> Self {
        Self {
            topic,
            partition,
            advance,
            applied: 0,
            rejected: 0,
            parked: 0,
            dead_lettered: 0,
            duplicates: 0,
            absent: 0,
            montant: Decimal::ZERO,
        }
    }

    /// True when every offset that it moves over is accounted for.
    pub fn balanced(&self) -> bool {
        let moved = self.advance.map_or(0, |(from, to)| to - from);
        moved
            == self.applied
                + self.rejected
                + self.parked
                + self.dead_lettered
                + self.duplicates
                + self.absent
    }
}
