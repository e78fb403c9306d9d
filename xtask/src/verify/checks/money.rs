//! C and O: money is conserved, and accounts saw their events in order.

use rust_decimal::Decimal;
use schemas::EventType;

use super::{Check, Evidence};
use crate::verify::books::sign;

pub(super) fn balances(evidence: &Evidence) -> Check {
    let books = &evidence.books;
    let sum_of = |wanted: i64, opening: bool| -> Decimal {
        books
            .ledger
            .iter()
            .filter(|((t, _), _)| sign(*t) == wanted && (*t == EventType::CompteOuvert) == opening)
            .map(|(_, sums)| sums.montant)
            .sum()
    };
    let (opening, credits, debits) = (sum_of(1, true), sum_of(1, false), sum_of(-1, false));
    let due = opening + credits - debits;
    let mut violations = books.wrong_soldes.clone();
    if books.soldes != due {
        violations.insert(
            0,
            format!("the balances sum to {}, due is {due}", books.soldes),
        );
    }
    let compared = format!(
        "{} = {opening} opening + {credits} credits - {debits} debits, and so for each of {} accounts",
        books.soldes, books.comptes
    );
    Check::new(
        "C",
        "balances are what was opened, plus credits, minus debits",
        compared,
    )
    .unless(violations)
}

pub(super) fn amounts_per_partition(evidence: &Evidence) -> Check {
    let books = &evidence.books;
    let mut violations = Vec::new();
    for (place, flux) in &books.flux {
        let montant = books
            .ledger
            .get(place)
            .map(|sums| sums.montant)
            .unwrap_or_default();
        if montant != flux.montant {
            violations.push(format!(
                "{} [{}]: rows of {montant}, counted {}",
                place.0.topic(),
                place.1,
                flux.montant
            ));
        }
    }
    let total: Decimal = books.flux.values().map(|flux| flux.montant).sum();
    let compared = format!("{total} accepted, in {} partitions", books.flux.len());
    Check::new(
        "C",
        "each partition's accepted amounts are its rows'",
        compared,
    )
    .unless(violations)
}

pub(super) fn transfers(evidence: &Evidence) -> Check {
    let books = &evidence.books;
    let emitted = books
        .ledger
        .iter()
        .filter(|((t, _), _)| *t == EventType::VirementEmis);
    let emitted: i64 = emitted.map(|(_, sums)| sums.accepted).sum();
    let (mut waiting, mut stranded) = (0, 0);
    let mut violations = Vec::new();
    for open in &books.transfers_open {
        let id = &open.id;
        if !open.same_amount {
            violations.push(format!("{id}: its credit has another amount"));
        } else if open.arrived > 1 {
            violations.push(format!("{id}: credited {} times", open.arrived));
        } else if open.arrived == 1 {
            violations.push(format!(
                "{id}: credited, and refused {} times",
                open.refused
            ));
        } else if evidence.causes.contains(id) {
            waiting += 1;
        } else if open.refused == 2 {
            // Refused by the destination, and by a source that was closed meanwhile.
            stranded += 1;
        } else {
            violations.push(format!("{id}: left its account and is nowhere"));
        }
    }
    let arrived = emitted - books.transfers_open.len() as i64;
    let compared = format!(
        "{emitted} accepted transfers = {arrived} credited once (or returned) + {waiting} in the outbox, parked or in flight + {stranded} refused by both accounts"
    );
    let check = Check::new("C", "money that leaves an account arrives", compared);
    let unseen = evidence.read_back.is_err() && evidence.quiet.in_flight > 0;
    if unseen && !violations.is_empty() {
        return check.skipped("what is in flight was not read back");
    }
    check.unless(violations)
}

pub(super) fn chains(evidence: &Evidence) -> Check {
    let books = &evidence.books;
    let violations = [books.wrong_chains.clone(), books.wrong_ends.clone()].concat();
    let accepted: i64 = books.ledger.values().map(|sums| sums.accepted).sum();
    let compared = format!(
        "{accepted} accepted rows of {} accounts: rang 1..n, each balance from the one before, the last one the account's",
        books.comptes
    );
    Check::new("O", "each account's chain of balances is whole", compared).unless(violations)
}

pub(super) fn orders(evidence: &Evidence) -> Check {
    let compared = "offsets rise with rang, per account, topic and partition".into();
    Check::new("O", "events were applied in the order of the log", compared)
        .unless(evidence.books.wrong_orders.clone())
}
