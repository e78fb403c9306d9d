//! One partition's log against what PostgreSQL and the dead letters say of it, record by record.
//!
//! Pure: records come in offset order, ledger rows too, and each record must be found in exactly
//! one place. What is found nowhere must repeat an event that is.

use std::collections::BTreeMap;

pub use chassis::dead_letters::Original;
use rust_decimal::Decimal;
use schemas::Event;

/// A ledger row as far as its record can confirm it.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerRow {
    pub offset: i64,
    pub id: String,
    pub compte_id: Option<String>,
    pub montant: Decimal,
    pub empreinte: i64,
    pub cause_id: Option<String>,
    pub accepted: bool,
}

/// Where the records of a partition should be found.
#[derive(Debug, Default)]
pub struct Expected {
    /// Records before it were handled, the others are in flight.
    pub next_offset: i64,
    /// In the order of offsets.
    pub ledger: Vec<LedgerRow>,
    /// `event_id` and fingerprint by offset.
    pub parked: BTreeMap<i64, (String, i64)>,
    pub dead: BTreeMap<i64, Original>,
}

/// A record as it was read back.
#[derive(Debug)]
pub struct Seen<'a> {
    pub offset: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// Or why it cannot be decoded.
    pub event: Result<Event, String>,
}

/// A record that is nowhere itself: its event must be known from another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeat {
    pub offset: i64,
    pub event_id: String,
    pub empreinte: i64,
}

/// Violations: how many, and the first of them in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wrongs {
    pub count: usize,
    pub samples: Vec<String>,
}

impl Wrongs {
    const SAMPLES: usize = 10;

    pub fn push(&mut self, what: String) {
        self.count += 1;
        if self.samples.len() < Self::SAMPLES {
            self.samples.push(what);
        }
    }

    pub fn append(&mut self, other: Wrongs) {
        self.count += other.count;
        let room = Self::SAMPLES - self.samples.len();
        self.samples.extend(other.samples.into_iter().take(room));
    }
}

/// What was found in one partition's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// Records before the stored offset.
    pub handled: i64,
    pub applied: i64,
    pub rejected: i64,
    pub parked: i64,
    pub dead_lettered: i64,
    pub repeats: Vec<Repeat>,
    pub in_flight: i64,
    /// Transfers whose credit is in flight here.
    pub causes_in_flight: Vec<String>,
    /// A record and a row that contradict each other, or one without the other.
    pub wrong: Wrongs,
    /// A dead letter that is not what the log holds.
    pub wrong_letters: Wrongs,
}

/// Takes the records of a partition one by one.
pub struct Auditor {
    name: String,
    expected: Expected,
    cursor: usize,
    audit: Audit,
}

/// The fingerprint that bancaire stores: a hash of the Avro body, behind the wire format's header.
pub fn empreinte(value: &[u8]) -> i64 {
    let body = value.get(schemas::wire::HEADER_LEN..).unwrap_or(value);
    xxhash_rust::xxh3::xxh3_64(body).cast_signed()
}

impl Auditor {
    /// `low` is the first offset that the log still has: what lies before it cannot be compared.
    pub fn new(name: String, low: i64, mut expected: Expected) -> Self {
        expected.ledger.retain(|row| row.offset >= low);
        expected.parked.retain(|offset, _| *offset >= low);
        expected.dead.retain(|offset, _| *offset >= low);
        Self {
            name,
            expected,
            cursor: 0,
            audit: Audit::default(),
        }
    }

    pub fn take(&mut self, seen: &Seen<'_>) {
        if seen.offset >= self.expected.next_offset {
            self.audit.in_flight += 1;
            if let Ok(Event::VirementRecu(recu)) = &seen.event {
                self.audit
                    .causes_in_flight
                    .extend(recu.virement_emis_id.clone());
            }
            return;
        }
        self.audit.handled += 1;
        self.skip_rows_before(seen.offset);
        let letter = self.expected.dead.remove(&seen.offset);
        let parked = self.expected.parked.remove(&seen.offset);
        let row = self.expected.ledger.get(self.cursor);
        let row = row.filter(|row| row.offset == seen.offset).cloned();
        if let Some(row) = row {
            self.cursor += 1;
            if row.accepted {
                self.audit.applied += 1;
            } else {
                self.audit.rejected += 1;
            }
            if letter.is_some() || parked.is_some() {
                self.wrong(
                    seen.offset,
                    "is in the ledger and parked or dead-lettered too",
                );
            }
            if let Some(what) = contradiction(&row, seen) {
                self.wrong(seen.offset, &what);
            }
        } else if let Some((event_id, fingerprint)) = parked {
            self.audit.parked += 1;
            let same = seen.event.as_ref().is_ok_and(|e| e.event_id() == event_id)
                && seen.value.map(empreinte) == Some(fingerprint);
            if !same {
                self.wrong(seen.offset, "is parked with other content");
            }
        } else if let Some(letter) = letter {
            self.audit.dead_lettered += 1;
            if letter.key.as_deref() != seen.key || letter.value.as_deref() != seen.value {
                let message = format!("{} at {}: other bytes", self.name, seen.offset);
                self.audit.wrong_letters.push(message);
            }
        } else {
            self.nowhere(seen);
        }
    }

    /// What was expected and not in the log.
    pub fn finish(mut self) -> Audit {
        self.skip_rows_before(i64::MAX);
        for (offset, (event_id, _)) in std::mem::take(&mut self.expected.parked) {
            self.wrong(
                offset,
                &format!("is not in the log, but parked as {event_id}"),
            );
        }
        for offset in std::mem::take(&mut self.expected.dead).into_keys() {
            let message = format!("{} at {offset}: the log has no such record", self.name);
            self.audit.wrong_letters.push(message);
        }
        self.audit
    }

    fn nowhere(&mut self, seen: &Seen<'_>) {
        match &seen.event {
            Ok(event) => self.audit.repeats.push(Repeat {
                offset: seen.offset,
                event_id: event.event_id().to_owned(),
                empreinte: empreinte(seen.value.unwrap_or_default()),
            }),
            Err(reason) => {
                let message = format!("is poison without a dead letter ({reason})");
                self.wrong(seen.offset, &message);
            }
        }
    }

    /// Rows whose record the log passed over, and a second row of one record.
    fn skip_rows_before(&mut self, offset: i64) {
        while let Some(row) = self.expected.ledger.get(self.cursor)
            && row.offset < offset
        {
            let message = format!(
                "{} at {}: ledger row {} has no record of its own",
                self.name, row.offset, row.id
            );
            self.audit.wrong.push(message);
            self.cursor += 1;
        }
    }

    fn wrong(&mut self, offset: i64, what: &str) {
        self.audit
            .wrong
            .push(format!("{} at {offset} {what}", self.name));
    }
}

/// How a ledger row differs from the event that it records.
fn contradiction(row: &LedgerRow, seen: &Seen<'_>) -> Option<String> {
    let event = match &seen.event {
        Ok(event) => event,
        Err(reason) => return Some(format!("is in the ledger, but poison: {reason}")),
    };
    let cause = match event {
        Event::VirementRecu(recu) => recu.virement_emis_id.as_deref(),
        _ => None,
    };
    let differs = |what: &str, row: &str, log: &str| {
        Some(format!(
            "has {what} {row} in the ledger and {log} in the log"
        ))
    };
    if row.id != event.event_id() {
        return differs("event_id", &row.id, event.event_id());
    }
    if let Some(compte_id) = &row.compte_id
        && compte_id != event.key()
    {
        return differs("the account", compte_id, event.key());
    }
    if row.compte_id.is_none() && row.accepted {
        return Some("was applied to no account".into());
    }
    if row.montant != montant(event) {
        let (row, log) = (row.montant.to_string(), montant(event).to_string());
        return differs("the amount", &row, &log);
    }
    if row.cause_id.as_deref() != cause {
        let row = row.cause_id.as_deref().unwrap_or("none");
        return differs("the cause", row, cause.unwrap_or("none"));
    }
    if seen.value.map(empreinte) != Some(row.empreinte) {
        return Some("has another fingerprint in the ledger".into());
    }
    None
}

/// What an event moves, or opens an account with.
pub fn montant(event: &Event) -> Decimal {
    match event {
        Event::CompteOuvert(e) => e.solde_initial,
        Event::CompteFerme(_) => Decimal::ZERO,
        Event::DepotEffectue(e) => e.montant,
        Event::RetraitEffectue(e) => e.montant,
        Event::VirementEmis(e) => e.montant,
        Event::VirementRecu(e) => e.montant,
        Event::PaiementPrimeEffectue(e) => e.montant,
    }
}

#[cfg(test)]
mod tests;
