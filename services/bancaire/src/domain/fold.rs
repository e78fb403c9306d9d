//! The heart: a batch of records over the balances of the accounts that they touch.
//!
//! Pure and deterministic. Records are taken in the order of polling, which within a partition is
//! offset order; every record ends as exactly one of applied, rejected, parked, dead-lettered or
//! duplicate. The writer loads the [`Input`] under locks and stores the [`Outcome`].

use super::compte::{Etat, Motif};
use super::operation::{Effect, Operation};
use super::outcome::{Dead, Flow, LedgerRow, NewCompte, Outcome, Verdict};
use super::record::{Content, Origin, Parked, Poisoned, Record, Span};
use super::{FastMap, virement};

/// Everything that a batch's outcome depends on.
pub struct Input<'a> {
    pub records: &'a [Record],
    pub spans: &'a [Span],
    /// The accounts of the batch that exist.
    pub comptes: &'a [(String, Etat)],
    /// What is parked for the accounts that the batch opens, in the order of parking.
    pub parked: &'a [Parked],
    /// Filled only on the slow path, when duplicates are likely.
    pub known: &'a Known,
}

/// `event_id`s of the batch that were stored before, with their fingerprints.
#[derive(Debug, Default)]
pub struct Known {
    pub ledger: FastMap<String, i64>,
    pub parked: FastMap<String, i64>,
}

/// Decides a batch.
pub fn fold<'a>(input: &Input<'a>) -> Outcome<'a> {
    let mut fold = Fold::new(input);
    if chassis::mutant!("fold-out-of-order") {
        input.records.iter().rev().for_each(|r| fold.take(r));
        return fold.finish();
    }
    for record in input.records {
        fold.take(record);
    }
    fold.finish()
}

/// Refuses parked events whose account did not appear in time. None of the accounts may exist.
pub fn expire<'a>(parked: &'a [Parked], known: &'a Known) -> Outcome<'a> {
    let mut fold = Fold::new(&Input {
        records: &[],
        spans: &[],
        comptes: &[],
        parked: &[],
        known,
    });
    for parked in parked {
        if let Some(operation) = fold.unpark(parked) {
            fold.reject(None, &parked.record, &operation, Motif::CompteInconnu);
        }
    }
    fold.finish()
}

/// An account during the fold.
struct Slot<'a> {
    id: &'a str,
    etat: Option<Etat>,
    /// Set when this batch opened it: client and type.
    opened: Option<(&'a str, &'static str)>,
    changed: bool,
    /// Records that came before the account existed, in order.
    waiting: Vec<&'a Record>,
}

struct Fold<'a> {
    slots: Vec<Slot<'a>>,
    slot_by_id: FastMap<&'a str, usize>,
    /// Fingerprints of the events seen so far, here and among the loaded parked ones.
    seen: FastMap<&'a str, i64>,
    parked: FastMap<&'a str, Vec<&'a Parked>>,
    known: &'a Known,
    last_flow: usize,
    outcome: Outcome<'a>,
}

impl<'a> Fold<'a> {
    fn new(input: &Input<'a>) -> Self {
        let n = input.records.len();
        let mut fold = Self {
            slots: Vec::with_capacity(input.comptes.len()),
            slot_by_id: FastMap::with_capacity_and_hasher(n, Default::default()),
            seen: FastMap::with_capacity_and_hasher(n, Default::default()),
            parked: FastMap::default(),
            known: input.known,
            last_flow: 0,
            outcome: Outcome::default(),
        };
        fold.outcome.ledger.reserve(n);
        for (id, etat) in input.comptes {
            let slot = fold.slot(id);
            fold.slots[slot].etat = Some(*etat);
        }
        for parked in input.parked {
            fold.seen.insert(&parked.event_id, parked.record.empreinte);
            fold.parked
                .entry(&parked.compte_id)
                .or_default()
                .push(parked);
        }
        for span in input.spans {
            let mut flow = Flow::new(span.topic, span.partition, Some((span.from, span.to)));
            // Each record found takes its own offset out of this again.
            flow.absent = span.to - span.from;
            fold.outcome.flows.push(flow);
        }
        fold
    }

    fn take(&mut self, record: &'a Record) {
        self.flow(record.origin).absent -= 1;
        let event = match &record.content {
            Content::Event(event) => event,
            Content::Poison(poisoned) => return self.bury(record, poisoned),
        };
        let event_id = event.event_id();
        let earlier = self.seen.insert(event_id, record.empreinte).or_else(|| {
            let known = self.known;
            let earlier = known
                .ledger
                .get(event_id)
                .or_else(|| known.parked.get(event_id));
            earlier.copied()
        });
        let earlier = earlier.filter(|_| !chassis::mutant!("forget-dedupe"));
        if let Some(empreinte) = earlier {
            // What was seen first stays what later ones are compared with.
            self.seen.insert(event_id, empreinte);
            self.repeat(record, event_id, empreinte);
            return;
        }
        let operation = Operation::of(event);
        let slot = self.slot(operation.compte_id);
        if self.slots[slot].etat.is_some() {
            self.apply(slot, record, &operation);
        } else if let Effect::Open {
            client_id,
            type_compte,
        } = operation.effect
        {
            self.open(slot, record, &operation, (client_id, type_compte));
        } else if chassis::mutant!("skip-parking") {
            self.reject(None, record, &operation, Motif::CompteInconnu);
        } else {
            self.slots[slot].waiting.push(record);
        }
    }

    fn bury(&mut self, record: &'a Record, poisoned: &'a Poisoned) {
        self.flow(record.origin).dead_lettered += 1;
        if chassis::mutant!("swallow-poison") {
            return;
        }
        self.outcome.dead_letters.push(Dead {
            record,
            kind: poisoned.poison.kind,
            message: poisoned.poison.message.clone(),
            headers: &poisoned.headers,
        });
    }

    /// An event whose id was seen before: the same again, or another one that pretends to be it.
    fn repeat(&mut self, record: &'a Record, event_id: &str, earlier: i64) {
        let flow = self.flow(record.origin);
        if earlier == record.empreinte {
            flow.duplicates += 1;
            if chassis::mutant!("credit-twice-on-replay") {
                self.credit_again(record);
            }
            return;
        }
        flow.dead_lettered += 1;
        self.outcome.dead_letters.push(Dead {
            record,
            kind: "conflicting_event_id",
            message: format!("event_id {event_id} was used before by an event with other content"),
            headers: &[],
        });
    }

    /// A deliberate defect: the effect of an event that had it before.
    fn credit_again(&mut self, record: &'a Record) {
        let Some(event) = record.event() else {
            return;
        };
        let operation = Operation::of(event);
        let slot = self.slot(operation.compte_id);
        let slot = &mut self.slots[slot];
        if let (Some(etat), Effect::Credit) = (&mut slot.etat, operation.effect) {
            etat.solde += operation.montant;
            slot.changed = true;
        }
    }

    /// Opens an account and settles what has waited for it: first what is parked, then what came
    /// earlier in this batch.
    fn open(
        &mut self,
        slot: usize,
        record: &'a Record,
        operation: &Operation<'a>,
        opened: (&'a str, &'static str),
    ) {
        let devise = operation.devise.expect("an opening was validated");
        let etat = Etat::ouvert(operation.montant, devise);
        self.slots[slot].opened = Some(opened);
        self.accept(slot, record, operation, etat);
        for parked in self.parked.remove(operation.compte_id).unwrap_or_default() {
            if let Some(operation) = self.unpark(parked) {
                self.apply(slot, &parked.record, &operation);
            }
        }
        for record in std::mem::take(&mut self.slots[slot].waiting) {
            if let Content::Event(event) = &record.content {
                self.apply(slot, record, &Operation::of(event));
            }
        }
    }

    /// Takes a parked event out of `parques`; `None` when the ledger holds its id already.
    fn unpark(&mut self, parked: &'a Parked) -> Option<Operation<'a>> {
        let record = &parked.record;
        self.flow(record.origin).parked -= 1;
        self.outcome.unparked.push(&parked.event_id);
        let event = match &record.content {
            Content::Event(event) => event,
            Content::Poison(poisoned) => {
                self.bury(record, poisoned);
                return None;
            }
        };
        match self.known.ledger.get(&parked.event_id) {
            Some(empreinte) => {
                self.repeat(record, &parked.event_id, *empreinte);
                None
            }
            None => Some(Operation::of(event)),
        }
    }

    /// Settles an operation on an account that exists.
    fn apply(&mut self, slot: usize, record: &'a Record, operation: &Operation<'a>) {
        let etat = self.slots[slot].etat.expect("the account exists");
        match etat.appliquer(operation) {
            Ok(next) => {
                self.accept(slot, record, operation, next);
                if let Effect::Transfer(emis) = operation.effect {
                    self.outcome.emitted.push(virement::recu(emis));
                }
            }
            Err(motif) => {
                let compte_id = self.slots[slot].id;
                self.reject(Some(compte_id), record, operation, motif);
            }
        }
    }

    fn accept(&mut self, slot: usize, record: &Record, operation: &Operation<'a>, etat: Etat) {
        let slot = &mut self.slots[slot];
        slot.etat = Some(etat);
        slot.changed = true;
        let verdict = Verdict::Accepted {
            solde_apres: etat.solde,
            rang: etat.rang,
        };
        let compte_id = Some(slot.id);
        let row = ledger_row(compte_id, record, operation, verdict);
        self.outcome.ledger.push(row);
        let flow = self.flow(record.origin);
        flow.applied += 1;
        flow.montant += operation.montant;
    }

    fn reject(
        &mut self,
        compte_id: Option<&'a str>,
        record: &Record,
        operation: &Operation<'a>,
        motif: Motif,
    ) {
        let row = ledger_row(compte_id, record, operation, Verdict::Rejected(motif));
        if !chassis::mutant!("reject-silently") {
            self.outcome.ledger.push(row);
        }
        self.flow(record.origin).rejected += 1;
        if let Effect::Receive(recu) = operation.effect {
            self.outcome.emitted.extend(virement::retour(recu));
        }
    }

    fn finish(mut self) -> Outcome<'a> {
        for slot in &mut self.slots {
            self.outcome.parked.append(&mut slot.waiting);
            match (slot.etat, slot.opened) {
                (Some(etat), Some((client_id, type_compte))) => {
                    self.outcome.opened.push(NewCompte {
                        id: slot.id,
                        client_id,
                        type_compte,
                        etat,
                    });
                }
                (Some(etat), None) if slot.changed => self.outcome.updated.push((slot.id, etat)),
                _ => {}
            }
        }
        // Slots come in the order of their first record; an account's own records stay in order.
        for index in 0..self.outcome.parked.len() {
            let origin = self.outcome.parked[index].origin;
            self.flow(origin).parked += 1;
        }
        self.outcome
    }

    fn slot(&mut self, id: &'a str) -> usize {
        *self.slot_by_id.entry(id).or_insert_with(|| {
            self.slots.push(Slot {
                id,
                etat: None,
                opened: None,
                changed: false,
                waiting: Vec::new(),
            });
            self.slots.len() - 1
        })
    }

    /// The counters of a record's partition. Records of one partition come in runs, so the last
    /// one found is most often the next one asked for.
    fn flow(&mut self, origin: Origin) -> &mut Flow {
        let is_its = |flow: &Flow| flow.topic == origin.topic && flow.partition == origin.partition;
        let flows = &mut self.outcome.flows;
        if !flows.get(self.last_flow).is_some_and(is_its) {
            self.last_flow = flows.iter().position(is_its).unwrap_or_else(|| {
                flows.push(Flow::new(origin.topic, origin.partition, None));
                flows.len() - 1
            });
        }
        &mut flows[self.last_flow]
    }
}

fn ledger_row<'a>(
    compte_id: Option<&'a str>,
    record: &Record,
    operation: &Operation<'a>,
    verdict: Verdict,
) -> LedgerRow<'a> {
    LedgerRow {
        event_id: operation.event_id,
        compte_id,
        kind: operation.kind,
        montant: operation.montant,
        reference: operation.reference,
        verdict,
        cause_id: operation.cause_id,
        origin: record.origin,
        empreinte: record.empreinte,
        evenement_le: operation.evenement_le,
    }
}

#[cfg(test)]
mod tests;
