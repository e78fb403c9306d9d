//! Draws what happens next in a simulation, over the accounts that it opened itself.
//!
//! A pure state machine: it is told which openings the broker acknowledged and gives one
//! [`Item`] per call; [`simulation`](crate::simulation) paces the calls and publishes. For one
//! seed and one scenario the sequence is the same, as long as the broker acknowledges openings
//! within the settling time; only event ids and timestamps differ.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use schemas::{Event, EventType};
use uuid::Uuid;

use crate::book::{Book, Slot};
use crate::factory::Factory;
use crate::poison::PoisonKind;
use crate::scenario::Scenario;

/// Events that a duplicate is chosen from: recent enough to meet its original in one batch, old
/// enough to meet it in another.
const RECENT: usize = 256;
/// How often another account is tried when one is too poor.
const TRIES: usize = 4;
/// The least settling time, in events.
const MIN_SETTLING: u64 = 50;

/// One record to publish.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    Event(Arc<Event>),
    /// An opening, with its number for [`Generator::answered`].
    Opening(Arc<Event>, u64),
    /// An event that was published before.
    Duplicate(Arc<Event>),
    /// An event to be spoilt and published on this topic; see [`PoisonKind::spoil`].
    Poison {
        topic: EventType,
        kind: PoisonKind,
        event: Arc<Event>,
        unit: f64,
    },
}

impl Item {
    /// The type of the topic that it goes to.
    pub fn event_type(&self) -> EventType {
        match self {
            Self::Event(event) | Self::Opening(event, _) | Self::Duplicate(event) => {
                event.event_type()
            }
            Self::Poison { topic, .. } => *topic,
        }
    }

    /// The id that consumers know it by; a spoilt event has none.
    pub fn event_id(&self) -> Option<&str> {
        match self {
            Self::Event(event) | Self::Opening(event, _) | Self::Duplicate(event) => {
                Some(event.event_id())
            }
            Self::Poison { .. } => None,
        }
    }
}

/// Who pays how much.
struct Payment {
    slot: Slot,
    cents: i64,
    /// False when it is more than the account holds, on purpose.
    covered: bool,
}

/// See the module's text.
pub struct Generator {
    factory: Factory,
    scenario: Scenario,
    weights: [f64; EventType::ALL.len()],
    book: Book,
    initial_left: u32,
    /// Events drawn so far: this state machine's clock.
    now: u64,
    settling: u64,
    /// Empty unless the scenario duplicates.
    recent: VecDeque<Arc<Event>>,
}

impl Generator {
    pub fn new(scenario: Scenario, seed: u64, run: Uuid) -> Self {
        Self {
            factory: Factory::new(seed, run, true),
            weights: scenario.event_weights(),
            initial_left: scenario.initial_accounts,
            scenario,
            book: Book::default(),
            now: 0,
            settling: MIN_SETTLING,
            recent: VecDeque::new(),
        }
    }

    /// Tells how fast events are asked for: what is sent now counts as done in a second.
    pub fn set_rate(&mut self, rate: f64) {
        self.settling = (rate as u64).max(MIN_SETTLING);
    }

    /// The broker's answer to an opening.
    pub fn answered(&mut self, opening: u64, acked: bool) {
        self.book.answered(opening, acked);
    }

    /// True when the initial openings are all sent but not all answered for: nothing else should
    /// be drawn before that.
    pub fn waits(&mut self) -> bool {
        if self.initial_left > 0 || self.now > u64::from(self.scenario.initial_accounts) {
            return false;
        }
        self.book.settle(self.now);
        self.book.is_opening()
    }

    /// The next record, of this moment.
    pub fn next(&mut self, at: DateTime<Utc>) -> Item {
        self.now += 1;
        self.book.settle(self.now);
        if self.initial_left > 0 {
            self.initial_left -= 1;
            return self.open(at, self.now);
        }
        let faults = (self.scenario.faults.duplicates, self.scenario.faults.poison);
        if self.factory.fake.chance(faults.0) && !self.recent.is_empty() {
            let index = self.factory.fake.index(self.recent.len());
            return Item::Duplicate(self.recent[index].clone());
        }
        if self.factory.fake.chance(faults.1) {
            return self.poison(at);
        }
        let item = self.draw(at);
        if let (true, Item::Event(event) | Item::Opening(event, _)) = (faults.0 > 0.0, &item) {
            if self.recent.len() == RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back(event.clone());
        }
        item
    }

    fn draw(&mut self, at: DateTime<Utc>) -> Item {
        let mut event_type = self.draw_type(true);
        if event_type == Some(EventType::CompteFerme) {
            if let Some(event) = self.close(at) {
                return Item::Event(event.into());
            }
            event_type = self.draw_type(false);
        }
        let event = match event_type {
            // Closings alone need accounts to close.
            None | Some(EventType::CompteOuvert) => None,
            Some(EventType::VirementEmis) => self.transfer(at),
            Some(event_type) => self.movement(event_type, at),
        };
        match event {
            Some(event) => Item::Event(event.into()),
            None => self.open(at, self.now + self.settling),
        }
    }

    fn draw_type(&mut self, closings: bool) -> Option<EventType> {
        let drawn = |t: EventType| closings || t != EventType::CompteFerme;
        let weights = EventType::ALL.map(|t| {
            if drawn(t) {
                self.weights[t.index()]
            } else {
                0.0
            }
        });
        let total: f64 = weights.iter().sum();
        let mut point = self.factory.fake.unit() * total;
        for (event_type, weight) in EventType::ALL.into_iter().zip(weights) {
            if point < weight {
                return Some(event_type);
            }
            point -= weight;
        }
        None
    }

    fn open(&mut self, at: DateTime<Utc>, due: u64) -> Item {
        let (compte_id, client_id) = (self.factory.fake.compte_id(), self.factory.fake.client_id());
        let (min, max) = self.scenario.amounts.ouverture.cents();
        let cents = self.factory.fake.montant_cents(min, max);
        let event = self.factory.compte_ouvert(compte_id, client_id, cents, at);
        if self.book.is_full() {
            return Item::Event(event.into());
        }
        Item::Opening(
            event.into(),
            self.book.open(compte_id, client_id, cents, due),
        )
    }

    /// A deposit, withdrawal or payment; `None` without accounts.
    fn movement(&mut self, event_type: EventType, at: DateTime<Utc>) -> Option<Event> {
        let bounds = match event_type {
            EventType::DepotEffectue => return self.deposit(at),
            EventType::PaiementPrimeEffectue => self.scenario.amounts.prime.cents(),
            _ => {
                if let Some(event) = self.next_to_empty(at) {
                    return Some(event);
                }
                self.scenario.amounts.retrait.cents()
            }
        };
        let Some(Payment { slot, cents, .. }) = self.payer(bounds) else {
            return self.deposit(at);
        };
        let compte_id = self.book.account(slot).compte_id;
        Some(match event_type {
            EventType::PaiementPrimeEffectue => self.factory.paiement_prime(compte_id, cents, at),
            _ => self.factory.retrait(compte_id, cents, at),
        })
    }

    fn deposit(&mut self, at: DateTime<Utc>) -> Option<Event> {
        let slot = self.any_account()?;
        let (min, max) = self.scenario.amounts.depot.cents();
        let cents = self.factory.fake.montant_cents(min, max);
        self.book.credit(slot, cents, self.now + self.settling);
        let compte_id = self.book.account(slot).compte_id;
        Some(self.factory.depot(compte_id, cents, at))
    }

    fn transfer(&mut self, at: DateTime<Utc>) -> Option<Event> {
        if self.book.active().len() < 2 {
            return None;
        }
        let bounds = self.scenario.amounts.virement.cents();
        let Some(Payment {
            slot: source,
            cents,
            covered,
        }) = self.payer(bounds)
        else {
            return self.deposit(at);
        };
        let destination = loop {
            let slot = self.any_account()?;
            if slot != source {
                break slot;
            }
        };
        let ids = [source, destination].map(|slot| self.book.account(slot).compte_id);
        // A refused transfer moves nothing. An accepted one takes two topics to arrive.
        if covered {
            self.book
                .credit(destination, cents, self.now + 2 * self.settling);
        }
        Some(self.factory.virement_emis(ids[0], ids[1], cents, at))
    }

    /// An account and what it pays, taken off its balance; sometimes more than it has, and then
    /// nothing is taken off. `None` when the accounts tried are all too poor.
    fn payer(&mut self, (min, max): (i64, i64)) -> Option<Payment> {
        let overdraws = self.factory.fake.chance(self.scenario.faults.overdraft);
        for _ in 0..TRIES {
            let slot = self.any_account()?;
            let solde = self.book.account(slot).solde;
            let cents = self.factory.fake.montant_cents(min, max);
            if overdraws {
                // More than what may still be under way to it, too.
                let (_, deposit) = self.scenario.amounts.depot.cents();
                return Some(Payment {
                    slot,
                    cents: solde + deposit + cents,
                    covered: false,
                });
            }
            if solde >= min {
                let cents = cents.min(solde);
                self.book.debit(slot, cents);
                return Some(Payment {
                    slot,
                    cents,
                    covered: true,
                });
            }
        }
        None
    }

    /// Closes an account that was emptied, else empties one that is to be closed; in any case
    /// chooses the next one to go. An account is left alone for a while before each step, because
    /// bancaire refuses to close one that money still arrives on.
    fn close(&mut self, at: DateTime<Utc>) -> Option<Event> {
        // Half of the initial accounts, and two for a transfer, always stay.
        let floor = (self.scenario.initial_accounts as usize / 2).max(2);
        if self.book.active().len() > floor
            && let Some(slot) = self.any_account()
        {
            self.book.retire(slot, self.now + 2 * self.settling);
        }
        if let Some(account) = self.book.next_to_close(self.now) {
            let (compte, client) = (account.compte_id, account.client_id);
            return Some(self.factory.compte_ferme(compte, client, at));
        }
        self.next_to_empty(at)
    }

    fn next_to_empty(&mut self, at: DateTime<Utc>) -> Option<Event> {
        loop {
            let slot = self.book.next_to_empty(self.now)?;
            let account = *self.book.account(slot);
            self.book.emptied(slot, self.now + self.settling);
            if account.solde > 0 {
                return Some(self.factory.retrait(account.compte_id, account.solde, at));
            }
        }
    }

    fn poison(&mut self, at: DateTime<Utc>) -> Item {
        let topic = self.draw_type(true).unwrap_or(EventType::CompteOuvert);
        let kind = self.factory.fake.pick(&self.scenario.faults.poison_kinds);
        Item::Poison {
            topic,
            kind,
            event: self.factory.stranger(kind.event_type(topic), at).into(),
            unit: self.factory.fake.unit(),
        }
    }

    fn any_account(&mut self) -> Option<Slot> {
        let active = self.book.active();
        (!active.is_empty()).then(|| active[self.factory.fake.index(active.len())])
    }
}

#[cfg(test)]
mod tests;
