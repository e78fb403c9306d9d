//! What is drawn, and from what; the broker acknowledges everything unless a test says otherwise.

use std::collections::{BTreeMap, HashSet};

use rust_decimal::Decimal;

use super::*;
use crate::scenario::{Faults, Scenarios};

fn scenario(name: &str) -> Scenario {
    Scenarios::load(None).unwrap().get(name).unwrap().clone()
}

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_772_368_496_789).unwrap()
}

fn items(scenario: Scenario, seed: u64, count: usize) -> Vec<Item> {
    let mut generator = Generator::new(scenario, seed, Uuid::new_v4());
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        assert!(!generator.waits(), "everything was answered");
        let item = generator.next(at());
        if let Item::Opening(_, number) = &item {
            generator.answered(*number, true);
        }
        items.push(item);
    }
    items
}

/// The event's fields without what differs from run to run.
fn content(item: &Item) -> String {
    let event = match item {
        Item::Event(event) | Item::Opening(event, _) | Item::Duplicate(event) => event,
        Item::Poison { event, .. } => event,
    };
    let mut json = serde_json::to_value(event).unwrap();
    json.as_object_mut().unwrap().remove("event_id");
    if let Some(metadata) = json["metadata"].as_object_mut() {
        metadata.remove("simulation_id");
    }
    json.to_string()
}

#[test]
fn the_same_seed_draws_the_same() {
    let draw = |seed| -> Vec<String> {
        items(scenario("default"), seed, 2_000)
            .iter()
            .map(content)
            .collect()
    };
    assert_eq!(draw(42), draw(42));
    assert_ne!(draw(42), draw(43));
    let ids = |seed| -> HashSet<String> {
        let items = items(scenario("default"), seed, 500);
        items
            .iter()
            .filter_map(|item| item.event_id().map(str::to_owned))
            .collect()
    };
    let (first, second) = (ids(42), ids(42));
    assert_eq!(first.len(), 500);
    assert!(
        first.is_disjoint(&second),
        "another run's events are other events"
    );
}

/// Replays what was drawn as a bank would, in the order of drawing.
#[test]
fn only_open_accounts_are_acted_on_and_few_events_are_refused() {
    let mut scenario = scenario("default");
    scenario.weights.insert("CompteFerme".into(), 10.0);
    let initial = scenario.initial_accounts as usize;
    let mut soldes: BTreeMap<String, Decimal> = BTreeMap::new();
    let (mut refused, mut closed, mut not_empty) = (0, 0, 0);
    let items = items(scenario, 7, 20_000);
    for (n, item) in items.iter().enumerate() {
        let event = match item {
            Item::Event(event) | Item::Opening(event, _) => event,
            other => panic!("the scenario has no such fault: {other:?}"),
        };
        event.check().unwrap();
        if n < initial {
            assert!(matches!(item, Item::Opening(..)), "accounts first");
        }
        if let Event::CompteOuvert(e) = &**event {
            assert!(
                soldes
                    .insert(e.compte_id.clone(), e.solde_initial)
                    .is_none()
            );
            continue;
        }
        let solde = *soldes.get(event.key()).expect("the account is open");
        let mut debit = |montant: Decimal| {
            let accepted = montant <= solde;
            if accepted {
                *soldes.get_mut(event.key()).unwrap() -= montant;
            } else {
                refused += 1;
            }
            accepted
        };
        match &**event {
            Event::DepotEffectue(e) => *soldes.get_mut(&e.compte_id).unwrap() += e.montant,
            Event::RetraitEffectue(e) => _ = debit(e.montant),
            Event::PaiementPrimeEffectue(e) => _ = debit(e.montant),
            Event::VirementEmis(e) => {
                assert_ne!(e.compte_source_id, e.compte_destination_id);
                if debit(e.montant) {
                    let to = soldes.get_mut(&e.compte_destination_id);
                    *to.expect("the destination is open") += e.montant;
                }
            }
            Event::CompteFerme(e) if solde == Decimal::ZERO => {
                soldes.remove(&e.compte_id);
                closed += 1;
            }
            // An overdraft may have been covered by a credit that the generator did not count yet.
            Event::CompteFerme(_) => not_empty += 1,
            other => panic!("never drawn: {other:?}"),
        }
    }
    assert!(closed > 100, "{closed} accounts were closed");
    assert!(
        not_empty * 20 < closed,
        "{not_empty} of {closed} accounts were not empty"
    );
    // The scenario overdraws on purpose in 2 % of the debits.
    assert!((50..800).contains(&refused), "{refused} were refused");
}

#[test]
fn types_are_drawn_by_their_weights() {
    let items = items(scenario("virements"), 7, 10_000);
    let count = |wanted| {
        items
            .iter()
            .filter(|item| item.event_type() == wanted)
            .count()
    };
    // 85 of 100, after the openings; some who are too poor to pay get a deposit instead.
    let transfers = count(EventType::VirementEmis);
    assert!((7_500..8_700).contains(&transfers), "{transfers}");
    assert_eq!(count(EventType::CompteOuvert), 50);
    assert_eq!(count(EventType::RetraitEffectue), 0);
}

#[test]
fn nothing_is_drawn_until_the_initial_openings_are_answered() {
    let mut generator = Generator::new(scenario("default"), 7, Uuid::new_v4());
    let openings: Vec<u64> = (0..20)
        .map(|_| match generator.next(at()) {
            Item::Opening(_, number) => number,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(generator.waits());
    for number in &openings[1..] {
        generator.answered(*number, true);
    }
    assert!(generator.waits());
    generator.answered(openings[0], false);
    assert!(!generator.waits());
    // From then on an unanswered opening holds nothing up.
    for _ in 0..500 {
        generator.next(at());
        assert!(!generator.waits());
    }
}

#[test]
fn when_every_opening_fails_accounts_are_opened_again() {
    let mut generator = Generator::new(scenario("default"), 7, Uuid::new_v4());
    for _ in 0..200 {
        let Item::Opening(_, number) = generator.next(at()) else {
            panic!("there is no account to act on");
        };
        generator.answered(number, false);
    }
    assert_eq!(generator.book.active().len(), 0);
}

#[test]
fn faults_come_as_often_as_the_scenario_says() {
    let scenario = Scenario {
        faults: Faults {
            duplicates: 0.1,
            poison: 0.05,
            ..Faults::default()
        },
        ..scenario("default")
    };
    let items = items(scenario, 7, 20_000);
    let mut seen = HashSet::new();
    let (mut duplicates, mut kinds) = (0, BTreeMap::new());
    for item in &items {
        match item {
            Item::Event(event) | Item::Opening(event, _) => {
                assert!(seen.insert(event.event_id().to_owned()), "drawn once");
            }
            Item::Duplicate(event) => {
                duplicates += 1;
                assert!(seen.contains(event.event_id()), "published before");
            }
            Item::Poison {
                topic,
                kind,
                event,
                unit,
            } => {
                *kinds.entry(format!("{kind:?}")).or_insert(0) += 1;
                assert_eq!(event.event_type(), kind.event_type(*topic));
                assert!((0.0..1.0).contains(unit));
            }
        }
    }
    assert!((1_700..2_300).contains(&duplicates), "{duplicates}");
    assert_eq!(kinds.len(), PoisonKind::IN_SCENARIOS.len(), "{kinds:?}");
    let poison: u32 = kinds.values().sum();
    assert!((700..1_200).contains(&poison), "{kinds:?}");
}

#[test]
fn a_simulation_without_end_does_not_grow_without_end() {
    let mut generator = Generator::new(scenario("ouvertures"), 7, Uuid::new_v4());
    let mut beyond = 0;
    for _ in 0..crate::book::CAPACITY + 1_000 {
        match generator.next(at()) {
            Item::Opening(_, number) => generator.answered(number, true),
            Item::Event(event) if event.event_type() == EventType::CompteOuvert => beyond += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(beyond, 1_000);
    assert_eq!(generator.book.count(), crate::book::CAPACITY);
}
