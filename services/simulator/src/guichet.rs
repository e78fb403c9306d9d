//! The counter of the bank: single events on request, for an account that is named or for one that
//! was opened here.
//!
//! A pure state machine like the [`generator`](crate::generator): it plans, and is told what was
//! acknowledged. What it plans goes to [`publish`](crate::publish).

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use schemas::{Event, EventType};
use uuid::Uuid;

use crate::factory::Factory;
use crate::generator::Item;
use crate::poison::PoisonKind;
use crate::scenario::{Amounts, Bounds};

/// Accounts that are remembered; the oldest is forgotten, and lives on in bancaire.
const CAPACITY: usize = 1_000;
/// How often another account is tried when one is too poor.
const TRIES: usize = 4;
/// From an account whose balance is not known no more than so many times the least amount is taken.
const MODEST: i64 = 10;

/// An account that was opened here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Compte {
    compte_id: Uuid,
    client_id: Uuid,
    /// In cents. Credits do not count: bancaire may read a withdrawal before them.
    solde: i64,
}

/// What has to be published for one request.
#[derive(Debug, Default)]
pub struct Plan {
    /// Openings of the accounts that the events need, to be acknowledged before them.
    pub openings: Vec<Event>,
    /// What was asked for.
    pub events: Vec<Event>,
    /// Accounts that can be used once the events were acknowledged.
    opened: Vec<Compte>,
}

/// See the module's text.
pub struct Guichet {
    factory: Factory,
    amounts: Amounts,
    comptes: VecDeque<Compte>,
}

impl Guichet {
    /// Not for reproducing anything: with the same seed, the same accounts would be opened again.
    pub fn new(seed: u64) -> Self {
        Self {
            factory: Factory::new(seed, Uuid::new_v4(), false),
            amounts: Amounts::default(),
            comptes: VecDeque::new(),
        }
    }

    /// `count` events of a type, about `compte_id` or about accounts that were opened here; opens
    /// what is missing.
    pub fn plan(
        &mut self,
        event_type: EventType,
        count: usize,
        compte_id: Option<Uuid>,
        at: DateTime<Utc>,
    ) -> Plan {
        let mut plan = Plan::default();
        for _ in 0..count {
            let event = self.one(&mut plan, event_type, compte_id, at);
            plan.events.push(event);
        }
        plan
    }

    /// The plan's openings are in the log: others may act on those accounts.
    pub fn opened(&mut self, plan: &Plan) {
        for compte in &plan.opened {
            if self.comptes.len() == CAPACITY {
                self.comptes.pop_front();
            }
            self.comptes.push_back(*compte);
        }
    }

    /// Malformed records for a topic.
    pub fn poison(
        &mut self,
        topic: EventType,
        kind: PoisonKind,
        count: usize,
        at: DateTime<Utc>,
    ) -> Vec<Item> {
        let one = |_| Item::Poison {
            topic,
            kind,
            event: self.factory.stranger(kind.event_type(topic), at).into(),
            unit: self.factory.fake.unit(),
        };
        (0..count).map(one).collect()
    }

    fn one(
        &mut self,
        plan: &mut Plan,
        event_type: EventType,
        compte_id: Option<Uuid>,
        at: DateTime<Utc>,
    ) -> Event {
        let amounts = &self.amounts;
        let (depot, retrait) = (amounts.depot, amounts.retrait);
        let (virement, prime) = (amounts.virement, amounts.prime);
        match event_type {
            EventType::CompteOuvert => {
                let (compte, event) = self.open(compte_id, self.amounts.ouverture, at);
                plan.opened.push(compte);
                event
            }
            EventType::CompteFerme => {
                // Only an empty account is closed, so one is opened for it.
                let (compte_id, client_id) = match compte_id {
                    Some(compte_id) => (compte_id, self.client_of(compte_id)),
                    None => {
                        let (compte, event) = self.open(None, Bounds { min: 0.0, max: 0.0 }, at);
                        plan.openings.push(event);
                        (compte.compte_id, compte.client_id)
                    }
                };
                self.comptes.retain(|compte| compte.compte_id != compte_id);
                self.factory.compte_ferme(compte_id, client_id, at)
            }
            EventType::DepotEffectue => {
                let compte = compte_id.unwrap_or_else(|| self.any(plan, None, at));
                let cents = self.montant(depot);
                self.factory.depot(compte, cents, at)
            }
            EventType::VirementRecu => {
                let compte = compte_id.unwrap_or_else(|| self.any(plan, None, at));
                let (elsewhere, cents) = (self.factory.fake.compte_id(), self.montant(virement));
                self.factory.virement_recu(elsewhere, compte, cents, at)
            }
            EventType::RetraitEffectue => {
                let (compte, cents) = self.payer(plan, compte_id, retrait, at);
                self.factory.retrait(compte, cents, at)
            }
            EventType::PaiementPrimeEffectue => {
                let (compte, cents) = self.payer(plan, compte_id, prime, at);
                self.factory.paiement_prime(compte, cents, at)
            }
            EventType::VirementEmis => {
                let (source, cents) = self.payer(plan, compte_id, virement, at);
                let destination = self.any(plan, Some(source), at);
                self.factory.virement_emis(source, destination, cents, at)
            }
        }
    }

    fn open(
        &mut self,
        compte_id: Option<Uuid>,
        solde: Bounds,
        at: DateTime<Utc>,
    ) -> (Compte, Event) {
        let compte = Compte {
            compte_id: compte_id.unwrap_or_else(|| self.factory.fake.compte_id()),
            client_id: self.factory.fake.client_id(),
            solde: self.montant(solde),
        };
        let Compte {
            compte_id,
            client_id,
            solde,
        } = compte;
        (
            compte,
            self.factory.compte_ouvert(compte_id, client_id, solde, at),
        )
    }

    /// An account of here other than `not`; opens one when there is none.
    fn any(&mut self, plan: &mut Plan, not: Option<Uuid>, at: DateTime<Utc>) -> Uuid {
        for _ in 0..TRIES {
            if let Some(compte) = self.draw(plan)
                && Some(compte.compte_id) != not
            {
                return compte.compte_id;
            }
        }
        self.open_for(plan, at).compte_id
    }

    /// An account and what it pays.
    fn payer(
        &mut self,
        plan: &mut Plan,
        compte_id: Option<Uuid>,
        bounds: Bounds,
        at: DateTime<Utc>,
    ) -> (Uuid, i64) {
        let (min, _) = bounds.cents();
        let cents = self.montant(bounds);
        if let Some(compte_id) = compte_id {
            let known = self.comptes.iter_mut().find(|c| c.compte_id == compte_id);
            let cents = match known.filter(|compte| compte.solde >= min) {
                Some(compte) => compte.pay(cents),
                // It may be refused: whoever names an account knows what is on it.
                None => cents.min(min * MODEST),
            };
            return (compte_id, cents);
        }
        for _ in 0..TRIES {
            if let Some(compte) = self.draw(plan)
                && compte.solde >= min
            {
                return (compte.compte_id, compte.pay(cents));
            }
        }
        let compte = self.open_for(plan, at);
        (compte.compte_id, compte.pay(cents))
    }

    /// One of the accounts of before and of this plan.
    fn draw<'a>(&'a mut self, plan: &'a mut Plan) -> Option<&'a mut Compte> {
        let (before, all) = (self.comptes.len(), self.comptes.len() + plan.opened.len());
        if all == 0 {
            return None;
        }
        let index = self.factory.fake.index(all);
        match index.checked_sub(before) {
            None => self.comptes.get_mut(index),
            Some(index) => plan.opened.get_mut(index),
        }
    }

    fn open_for<'a>(&mut self, plan: &'a mut Plan, at: DateTime<Utc>) -> &'a mut Compte {
        let (compte, event) = self.open(None, self.amounts.ouverture, at);
        plan.openings.push(event);
        plan.opened.push(compte);
        plan.opened.last_mut().expect("it was just pushed")
    }

    fn client_of(&mut self, compte_id: Uuid) -> Uuid {
        let known = self.comptes.iter().find(|c| c.compte_id == compte_id);
        known.map_or_else(|| self.factory.fake.client_id(), |compte| compte.client_id)
    }

    fn montant(&mut self, bounds: Bounds) -> i64 {
        let (min, max) = bounds.cents();
        self.factory.fake.montant_cents(min, max)
    }
}

impl Compte {
    fn pay(&mut self, cents: i64) -> i64 {
        let cents = cents.min(self.solde);
        self.solde -= cents;
        cents
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use rust_decimal::Decimal;

    use super::*;

    fn plan(guichet: &mut Guichet, event_type: EventType, count: usize) -> Plan {
        let plan = guichet.plan(event_type, count, None, Utc::now());
        assert_eq!(plan.events.len(), count);
        assert!(
            plan.events
                .iter()
                .all(|event| event.event_type() == event_type)
        );
        guichet.opened(&plan);
        plan
    }

    #[test]
    fn events_concern_accounts_that_were_opened_and_none_is_overdrawn() {
        let mut guichet = Guichet::new(7);
        let mut soldes: HashMap<String, Decimal> = HashMap::new();
        for round in 0..3 {
            for event_type in EventType::ALL {
                let plan = plan(&mut guichet, event_type, 100);
                for event in plan.openings.iter().chain(&plan.events) {
                    event.check().unwrap();
                    let solde = soldes.get_mut(event.key());
                    match event {
                        Event::CompteOuvert(e) => {
                            assert!(solde.is_none(), "opened once");
                            soldes.insert(e.compte_id.clone(), e.solde_initial);
                        }
                        Event::CompteFerme(_) => assert_eq!(*solde.unwrap(), Decimal::ZERO),
                        Event::DepotEffectue(_) | Event::VirementRecu(_) => {
                            assert!(solde.is_some())
                        }
                        Event::RetraitEffectue(e) => *solde.unwrap() -= e.montant,
                        Event::PaiementPrimeEffectue(e) => *solde.unwrap() -= e.montant,
                        Event::VirementEmis(e) => {
                            *solde.unwrap() -= e.montant;
                            assert_ne!(e.compte_source_id, e.compte_destination_id);
                            assert!(soldes.contains_key(&e.compte_destination_id));
                        }
                    }
                }
                if event_type == EventType::DepotEffectue && round > 0 {
                    assert!(plan.openings.is_empty(), "there are accounts enough");
                }
            }
        }
        assert!(soldes.values().all(|solde| *solde >= Decimal::ZERO));
        assert_eq!(guichet.comptes.len().min(CAPACITY), guichet.comptes.len());
    }

    #[test]
    fn a_named_account_is_the_one_concerned() {
        let mut guichet = Guichet::new(7);
        for event_type in EventType::ALL {
            let compte_id = Uuid::new_v4();
            let plan = guichet.plan(event_type, 1, Some(compte_id), Utc::now());
            assert_eq!(plan.events[0].key(), compte_id.to_string());
            let for_destination = usize::from(event_type == EventType::VirementEmis);
            assert!(plan.openings.len() <= for_destination, "{event_type}");
        }
    }

    #[test]
    fn an_account_is_not_used_by_others_before_it_is_opened() {
        let mut guichet = Guichet::new(7);
        let first = guichet.plan(EventType::CompteOuvert, 1, None, Utc::now());
        let second = guichet.plan(EventType::DepotEffectue, 1, None, Utc::now());
        assert_eq!(second.openings.len(), 1);
        assert_ne!(first.events[0].key(), second.events[0].key());
        guichet.opened(&first);
        let third = guichet.plan(EventType::DepotEffectue, 1, None, Utc::now());
        assert_eq!(third.events[0].key(), first.events[0].key());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut guichet = Guichet::new(7);
        plan(&mut guichet, EventType::CompteOuvert, CAPACITY + 10);
        assert_eq!(guichet.comptes.len(), CAPACITY);
    }

    #[test]
    fn poison_differs_from_record_to_record() {
        let mut guichet = Guichet::new(7);
        let items = guichet.poison(
            EventType::DepotEffectue,
            PoisonKind::Truncated,
            10,
            Utc::now(),
        );
        let keys: HashSet<String> = items
            .iter()
            .map(|item| match item {
                Item::Poison { event, .. } => event.key().to_owned(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(keys.len(), 10);
    }
}
