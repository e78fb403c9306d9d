//! A naive bank that takes one event at a time, and the property that the fold agrees with it for
//! any order of events, any duplicates and any cutting into batches.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rust_decimal::Decimal;
use schemas::{Event, EventType};

use super::compte::Etat;
use super::record::{Content, Parked, Record, Span};
use super::{Input, Known, Outcome, Verdict, fold, samples, virement};

/// An event's account, the reason of its refusal if any, else balance after and rank.
type Row = (Option<String>, Option<&'static str>, Option<(Decimal, i64)>);

/// What both banks come to, in a form that can be compared.
#[derive(Debug, Default, PartialEq, Clone)]
struct Books {
    soldes: BTreeMap<String, (Decimal, &'static str)>,
    ledger: BTreeMap<String, Row>,
    parked: Vec<(String, String)>,
    emitted: BTreeSet<String>,
    dead: Vec<(EventType, i64)>,
    duplicates: usize,
}

/// One event at a time, in the plainest words.
#[derive(Default)]
struct NaiveBank {
    books: Books,
    rangs: BTreeMap<String, i64>,
    fingerprints: BTreeMap<String, i64>,
    parked: Vec<Event>,
}

impl NaiveBank {
    fn take(&mut self, record: &Record) {
        let event = match &record.content {
            Content::Event(event) => event,
            Content::Poison(_) => {
                self.books
                    .dead
                    .push((record.origin.topic, record.origin.offset));
                return;
            }
        };
        match self.fingerprints.get(event.event_id()) {
            Some(seen) if *seen == record.empreinte => self.books.duplicates += 1,
            Some(_) => self
                .books
                .dead
                .push((record.origin.topic, record.origin.offset)),
            None => {
                self.fingerprints
                    .insert(event.event_id().into(), record.empreinte);
                self.settle(event);
            }
        }
    }

    fn settle(&mut self, event: &Event) {
        let compte = event.key().to_owned();
        let Some((solde, statut)) = self.books.soldes.get(&compte).copied() else {
            if let Event::CompteOuvert(e) = event {
                self.accept(event, e.solde_initial, "ACTIF");
                let (now, later) = std::mem::take(&mut self.parked)
                    .into_iter()
                    .partition(|parked| parked.key() == compte);
                self.parked = later;
                let now: Vec<Event> = now;
                for event in &now {
                    self.settle(event);
                }
            } else {
                self.parked.push(event.clone());
            }
            return;
        };
        if matches!(event, Event::CompteOuvert(_)) {
            self.refuse(event, "compte existe déjà");
            return;
        }
        if statut == "FERME" {
            self.refuse(event, "compte fermé");
            return;
        }
        match event {
            Event::CompteOuvert(_) => unreachable!(),
            Event::CompteFerme(_) if solde.is_zero() => self.accept(event, solde, "FERME"),
            Event::CompteFerme(_) => self.refuse(event, "solde non nul"),
            Event::DepotEffectue(e) => self.accept(event, solde + e.montant, "ACTIF"),
            Event::VirementRecu(e) => self.accept(event, solde + e.montant, "ACTIF"),
            Event::RetraitEffectue(e) => self.debit(event, solde, e.montant),
            Event::PaiementPrimeEffectue(e) => self.debit(event, solde, e.montant),
            Event::VirementEmis(e) => {
                if self.debit(event, solde, e.montant) {
                    self.books.emitted.insert(virement::recu_id(&e.event_id));
                }
                true
            }
        };
    }

    fn debit(&mut self, event: &Event, solde: Decimal, montant: Decimal) -> bool {
        if solde < montant {
            self.refuse(event, "solde insuffisant");
            return false;
        }
        self.accept(event, solde - montant, "ACTIF")
    }

    fn accept(&mut self, event: &Event, solde: Decimal, statut: &'static str) -> bool {
        let compte = event.key().to_owned();
        let rang = self.rangs.entry(compte.clone()).or_default();
        *rang += 1;
        self.books.soldes.insert(compte.clone(), (solde, statut));
        let row = (Some(compte), None, Some((solde, *rang)));
        self.books.ledger.insert(event.event_id().into(), row);
        true
    }

    fn refuse(&mut self, event: &Event, motif: &'static str) -> bool {
        let row = (Some(event.key().to_owned()), Some(motif), None);
        self.books.ledger.insert(event.event_id().into(), row);
        false
    }

    fn books(mut self) -> Books {
        self.books.parked = order_parked(self.parked.iter());
        self.books
    }
}

/// Per account the order counts, between accounts it does not.
fn order_parked<'a>(events: impl Iterator<Item = &'a Event>) -> Vec<(String, String)> {
    let mut parked: Vec<(String, String)> = events
        .map(|event| (event.key().to_owned(), event.event_id().to_owned()))
        .collect();
    parked.sort_by(|a, b| a.0.cmp(&b.0));
    parked
}

/// What PostgreSQL is to the fold: tables with keys, and the writer's fast and slow path.
#[derive(Default)]
struct FoldBank {
    books: Books,
    etats: BTreeMap<String, Etat>,
    ledger: BTreeMap<String, i64>,
    parked: Vec<Record>,
    /// Σ accepted amounts with their sign, as the counters of `bancaire.flux` give it.
    moved: Decimal,
}

impl FoldBank {
    fn take(&mut self, records: &[Record], slow: bool) {
        let mut known = Known::default();
        if slow {
            known.ledger.extend(self.ledger.clone());
            for record in &self.parked {
                known
                    .parked
                    .insert(event(record).event_id().into(), record.empreinte);
            }
        }
        let keys: BTreeSet<&str> = records.iter().filter_map(key).collect();
        let opened: BTreeSet<&str> = records
            .iter()
            .filter(|r| matches!(&r.content, Content::Event(Event::CompteOuvert(_))))
            .filter_map(key)
            .collect();
        let comptes: Vec<(String, Etat)> = keys
            .iter()
            .filter_map(|id| Some(((*id).to_owned(), *self.etats.get(*id)?)))
            .collect();
        let parked: Vec<Parked> = self
            .parked
            .iter()
            .filter(|record| opened.contains(event(record).key()))
            .map(|record| Parked {
                event_id: event(record).event_id().into(),
                compte_id: event(record).key().into(),
                record: record.clone(),
            })
            .collect();
        let spans = spans(records);
        let outcome = fold(&Input {
            records,
            spans: &spans,
            comptes: &comptes,
            parked: &parked,
            known: &known,
        });
        for flow in &outcome.flows {
            assert!(flow.balanced(), "{flow:?}");
        }
        if self.violates_a_key(&outcome) {
            assert!(!slow, "the slow path met a unique violation");
            return self.take(records, true);
        }
        self.store(&outcome);
    }

    fn violates_a_key(&self, outcome: &Outcome<'_>) -> bool {
        let parked_again = |record: &&Record| {
            let id = event(record).event_id();
            self.parked.iter().any(|p| event(p).event_id() == id)
        };
        outcome
            .ledger
            .iter()
            .any(|row| self.ledger.contains_key(row.event_id))
            || outcome.parked.iter().any(parked_again)
    }

    fn store(&mut self, outcome: &Outcome<'_>) {
        for row in &outcome.ledger {
            self.ledger.insert(row.event_id.into(), row.empreinte);
            let (motif, after) = match row.verdict {
                Verdict::Accepted { solde_apres, rang } => {
                    self.moved += row.montant * Decimal::from(row.kind.sign());
                    (None, Some((solde_apres, rang)))
                }
                Verdict::Rejected(motif) => (Some(motif.as_str()), None),
            };
            let row_books = (row.compte_id.map(str::to_owned), motif, after);
            self.books.ledger.insert(row.event_id.into(), row_books);
        }
        let opened = outcome.opened.iter().map(|new| (new.id, new.etat));
        for (id, etat) in opened.chain(outcome.updated.iter().copied()) {
            self.etats.insert(id.into(), etat);
            self.books
                .soldes
                .insert(id.into(), (etat.solde, etat.statut.as_str()));
        }
        self.parked
            .retain(|record| !outcome.unparked.contains(&event(record).event_id()));
        self.parked
            .extend(outcome.parked.iter().map(|record| (*record).clone()));
        self.books
            .emitted
            .extend(outcome.emitted.iter().map(|e| e.event_id.clone()));
        let dead = outcome.dead_letters.iter().map(|dead| dead.record.origin);
        self.books
            .dead
            .extend(dead.map(|origin| (origin.topic, origin.offset)));
        self.books.duplicates += outcome
            .flows
            .iter()
            .map(|f| f.duplicates as usize)
            .sum::<usize>();
    }

    fn books(mut self) -> Books {
        let total: Decimal = self.etats.values().map(|etat| etat.solde).sum();
        assert_eq!(total, self.moved, "money was made or lost");
        self.books.parked = order_parked(self.parked.iter().map(event));
        self.books
    }
}

fn event(record: &Record) -> &Event {
    match &record.content {
        Content::Event(event) => event,
        Content::Poison(_) => panic!("poison is not parked"),
    }
}

fn key(record: &Record) -> Option<&str> {
    match &record.content {
        Content::Event(event) => Some(event.key()),
        Content::Poison(_) => None,
    }
}

fn spans(records: &[Record]) -> Vec<Span> {
    let mut ranges: BTreeMap<EventType, (i64, i64)> = BTreeMap::new();
    for origin in records.iter().map(|record| record.origin) {
        let range = ranges.entry(origin.topic).or_insert((origin.offset, 0));
        range.1 = origin.offset + 1;
    }
    let span = |(topic, (from, to))| Span {
        topic,
        partition: 0,
        from,
        to,
    };
    ranges.into_iter().map(span).collect()
}

#[derive(Debug, Clone)]
enum Step {
    Event { kind: u8, compte: u8, cents: u16 },
    Again(prop::sample::Index),
    Conflict(prop::sample::Index),
    Poison,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0..8_u8, 0..4_u8, 1..2_000_u16)
            .prop_map(|(kind, compte, cents)| Step::Event { kind, compte, cents }),
        3 => any::<prop::sample::Index>().prop_map(Step::Again),
        1 => any::<prop::sample::Index>().prop_map(Step::Conflict),
        1 => Just(Step::Poison),
    ];
    prop::collection::vec(step, 1..80)
}

/// Records in order of polling; each topic has its own offsets.
fn records(steps: &[Step]) -> Vec<Record> {
    let mut next = [0; EventType::ALL.len()];
    let mut records: Vec<Record> = Vec::new();
    let mut events: Vec<Event> = Vec::new();
    for (n, step) in steps.iter().enumerate() {
        let event = match step {
            Step::Event {
                kind,
                compte,
                cents,
            } => make(n, *kind, *compte, *cents),
            Step::Again(_) | Step::Conflict(_) if events.is_empty() => continue,
            Step::Again(index) => index.get(&events).clone(),
            Step::Conflict(index) => match index.get(&events).clone() {
                Event::DepotEffectue(mut e) => {
                    e.montant += Decimal::ONE;
                    Event::DepotEffectue(e)
                }
                other => other,
            },
            Step::Poison => {
                let topic = EventType::DepotEffectue;
                records.push(samples::poison(next[topic.index()], topic));
                next[topic.index()] += 1;
                continue;
            }
        };
        let offset = &mut next[event.event_type().index()];
        records.push(samples::record(*offset, event.clone()));
        *offset += 1;
        events.push(event);
    }
    records
}

fn make(n: usize, kind: u8, compte: u8, cents: u16) -> Event {
    let id = format!("e{n}");
    let compte = format!("c{compte}");
    let montant = Decimal::new(i64::from(cents), 2).to_string();
    match kind {
        0 | 1 => samples::ouvert(&id, &compte, &montant),
        2 => samples::ferme(&id, &compte),
        3 => samples::retrait(&id, &compte, &montant),
        4 => samples::prime(&id, &compte, &montant),
        5 => samples::virement(&id, &compte, "c0", &montant),
        6 => samples::recu(&id, "c1", &compte, &montant, None),
        _ => samples::depot(&id, &compte, &montant),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn the_fold_agrees_with_a_naive_bank(steps in steps(), cuts in prop::collection::vec(1..20_usize, 1..10)) {
        let records = records(&steps);
        let mut naive = NaiveBank::default();
        for record in &records {
            naive.take(record);
        }
        let mut folded = FoldBank::default();
        let mut rest = &records[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (batch, later) = rest.split_at((*cut).min(rest.len()));
            folded.take(batch, false);
            rest = later;
        }
        prop_assert_eq!(naive.books(), folded.books());
    }

    /// A full replay of the topics has no effect at all.
    #[test]
    fn a_replay_changes_nothing(steps in steps()) {
        let records = records(&steps);
        let mut bank = FoldBank::default();
        bank.take(&records, false);
        let once = bank.etats.clone();
        let rows = bank.books.ledger.clone();
        bank.take(&records, false);
        prop_assert_eq!(once, bank.etats);
        prop_assert_eq!(rows, bank.books.ledger);
    }
}
