//! The fold's rules one by one; `reference.rs` compares it with a naive bank.

use rust_decimal::Decimal;
use schemas::{Event, EventType};

use super::*;
use crate::domain::compte::{Devise, Statut, TypeTransaction};
use crate::domain::samples::{
    depot, ferme, ouvert, poison, prime, record, recu, retrait, virement,
};

const A: &str = "compte-a";
const B: &str = "compte-b";

fn etat(solde: &str) -> Etat {
    Etat::ouvert(solde.parse().unwrap(), Devise::parse("EUR").unwrap())
}

/// The spans that the consumer would report for these records.
fn spans(records: &[Record]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for Origin {
        topic,
        partition,
        offset,
    } in records.iter().map(|r| r.origin)
    {
        match spans
            .iter_mut()
            .find(|s| s.topic == topic && s.partition == partition)
        {
            Some(span) => span.to = offset + 1,
            None => spans.push(Span {
                topic,
                partition,
                from: offset,
                to: offset + 1,
            }),
        }
    }
    spans
}

/// Folds events over accounts, checks what holds for every outcome, and hands it to `check`.
fn check(comptes: &[(&str, &str)], events: Vec<Event>, check: impl FnOnce(&Outcome<'_>)) {
    let mut next = [0; EventType::ALL.len()];
    let records: Vec<Record> = events
        .into_iter()
        .map(|event| {
            let offset = &mut next[event.event_type().index()];
            *offset += 1;
            record(*offset, event)
        })
        .collect();
    check_records(comptes, &records, check);
}

fn check_records(comptes: &[(&str, &str)], records: &[Record], check: impl FnOnce(&Outcome<'_>)) {
    let comptes: Vec<(String, Etat)> = comptes
        .iter()
        .map(|(id, solde)| ((*id).to_owned(), etat(solde)))
        .collect();
    let (spans, known) = (spans(records), Known::default());
    let outcome = fold(&Input {
        records,
        spans: &spans,
        comptes: &comptes,
        parked: &[],
        known: &known,
    });
    for flow in &outcome.flows {
        assert!(flow.balanced(), "{flow:?}");
    }
    check(&outcome);
}

fn money(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn accepted(solde_apres: &str, rang: i64) -> Verdict {
    Verdict::Accepted {
        solde_apres: money(solde_apres),
        rang,
    }
}

/// Plan: TestHandleCompteOuvert_Success
#[test]
fn handle_compte_ouvert_success() {
    check(&[], vec![ouvert("e1", A, "100.00")], |outcome| {
        assert_eq!(outcome.opened.len(), 1);
        assert_eq!(outcome.opened[0].id, A);
        assert_eq!(outcome.opened[0].etat, etat("100.00"));
        assert_eq!(outcome.ledger.len(), 1);
        assert_eq!(outcome.ledger[0].kind, TypeTransaction::Ouverture);
        assert_eq!(outcome.ledger[0].verdict, accepted("100.00", 1));
    });
    // An opening with nothing on it has its row too.
    check(&[], vec![ouvert("e1", A, "0.00")], |outcome| {
        assert_eq!(outcome.ledger[0].verdict, accepted("0.00", 1));
    });
}

/// Plan: TestHandleCompteOuvert_Idempotent
#[test]
fn handle_compte_ouvert_idempotent() {
    let twice = vec![ouvert("e1", A, "100.00"), ouvert("e1", A, "100.00")];
    check(&[], twice, |outcome| {
        assert_eq!((outcome.opened.len(), outcome.ledger.len()), (1, 1));
        assert_eq!(outcome.flows[0].duplicates, 1);
    });
    let other_event = vec![ouvert("e1", A, "100.00"), ouvert("e2", A, "5.00")];
    check(&[], other_event, |outcome| {
        assert_eq!(outcome.opened.len(), 1);
        assert_eq!(outcome.opened[0].etat.solde, money("100.00"));
        let verdict = outcome.ledger[1].verdict;
        assert_eq!(verdict, Verdict::Rejected(Motif::CompteExisteDeja));
    });
}

/// Plan: TestHandleDepotEffectue_Success
#[test]
fn handle_depot_effectue_success() {
    let events = vec![depot("e1", A, "10.50"), depot("e2", A, "0.01")];
    check(&[(A, "100.00")], events, |outcome| {
        assert_eq!(outcome.ledger[0].verdict, accepted("110.50", 2));
        assert_eq!(outcome.ledger[1].verdict, accepted("110.51", 3));
        // One row for the account, however many events it had.
        assert_eq!(outcome.updated.len(), 1);
        assert_eq!(outcome.updated[0].1.solde, money("110.51"));
        assert_eq!(outcome.flows[0].montant, money("10.51"));
    });
}

/// Plan: TestHandleDepotEffectue_CompteNotFound
#[test]
fn handle_depot_effectue_compte_not_found() {
    check(&[], vec![depot("e1", A, "10.00")], |outcome| {
        assert_eq!(outcome.parked.len(), 1);
        assert_eq!(outcome.flows[0].parked, 1);
        assert!(outcome.ledger.is_empty() && outcome.opened.is_empty());
    });
    // After the parking time it is refused.
    let parked = [Parked {
        event_id: "e1".into(),
        compte_id: A.into(),
        record: record(1, depot("e1", A, "10.00")),
    }];
    let known = Known::default();
    let outcome = expire(&parked, &known);
    let row = &outcome.ledger[0];
    assert_eq!(row.verdict, Verdict::Rejected(Motif::CompteInconnu));
    assert_eq!(row.compte_id, None);
    assert_eq!(outcome.unparked, ["e1"]);
    assert_eq!(
        (outcome.flows[0].parked, outcome.flows[0].rejected),
        (-1, 1)
    );
}

/// Plan: TestHandleVirementEmis_Success
#[test]
fn handle_virement_emis_success() {
    check(
        &[(A, "100.00")],
        vec![virement("e1", A, B, "40.00")],
        |outcome| {
            assert_eq!(outcome.ledger[0].verdict, accepted("60.00", 2));
            let recu = &outcome.emitted[0];
            assert_eq!(recu.event_id, virement::recu_id("e1"));
            assert_eq!(recu.virement_emis_id.as_deref(), Some("e1"));
            assert_eq!(recu.compte_destination_id, B);
            assert_eq!(recu.montant, money("40.00"));
        },
    );
}

/// Plan: TestHandleVirementEmis_SoldeInsuffisant
#[test]
fn handle_virement_emis_solde_insuffisant() {
    check(
        &[(A, "39.99")],
        vec![virement("e1", A, B, "40.00")],
        |outcome| {
            let verdict = outcome.ledger[0].verdict;
            assert_eq!(verdict, Verdict::Rejected(Motif::SoldeInsuffisant));
            assert!(outcome.updated.is_empty() && outcome.emitted.is_empty());
        },
    );
}

/// Plan: TestRoute_UnknownEvent
#[test]
fn route_unknown_event() {
    let records = [poison(7, EventType::DepotEffectue)];
    check_records(&[], &records, |outcome| {
        assert_eq!(outcome.dead_letters.len(), 1);
        assert_eq!(outcome.dead_letters[0].kind, "bad_magic");
        assert_eq!(outcome.dead_letters[0].headers.len(), 1);
        assert_eq!(outcome.flows[0].dead_lettered, 1);
    });
    assert_eq!(EventType::from_topic("bancaire.inconnu"), None);
}

#[test]
fn debits_need_funds_and_closing_needs_a_balance_of_zero() {
    let events = vec![
        retrait("e1", A, "60.00"),
        prime("e2", A, "60.00"),
        ferme("e3", A),
        prime("e4", A, "40.00"),
        ferme("e5", A),
        depot("e6", A, "1.00"),
    ];
    check(&[(A, "100.00")], events, |outcome| {
        let verdicts: Vec<Verdict> = outcome.ledger.iter().map(|row| row.verdict).collect();
        let expected = [
            accepted("40.00", 2),
            Verdict::Rejected(Motif::SoldeInsuffisant),
            Verdict::Rejected(Motif::SoldeNonNul),
            accepted("0.00", 3),
            accepted("0.00", 4),
            Verdict::Rejected(Motif::CompteFerme),
        ];
        assert_eq!(verdicts, expected);
        assert_eq!(outcome.updated[0].1.statut, Statut::Ferme);
    });
}

#[test]
fn what_came_before_its_account_is_settled_in_order_when_it_opens() {
    let events = vec![
        depot("e1", A, "10.00"),
        retrait("e2", A, "105.00"),
        ouvert("e3", A, "100.00"),
    ];
    check(&[], events, |outcome| {
        let ids: Vec<&str> = outcome.ledger.iter().map(|row| row.event_id).collect();
        assert_eq!(ids, ["e3", "e1", "e2"]);
        assert_eq!(outcome.opened[0].etat.solde, money("5.00"));
        assert!(outcome.parked.is_empty());
    });
}

#[test]
fn a_refused_credit_goes_back_to_its_source_once() {
    let credit = recu(&virement::recu_id("t1"), A, B, "40.00", Some("t1"));
    let parked = [Parked {
        event_id: credit.event_id().into(),
        compte_id: B.into(),
        record: record(1, credit),
    }];
    let known = Known::default();
    let outcome = expire(&parked, &known);
    assert_eq!(outcome.emitted.len(), 1);
    let back = outcome.emitted[0].clone();
    assert_eq!(back.compte_destination_id, A);
    check(&[(A, "0.00")], vec![Event::VirementRecu(back)], |outcome| {
        assert_eq!(outcome.ledger[0].verdict, accepted("40.00", 2));
        assert_eq!(outcome.ledger[0].cause_id, Some("t1"));
        assert!(outcome.emitted.is_empty());
    });
}

#[test]
fn the_same_id_with_other_content_is_a_dead_letter() {
    let events = vec![
        depot("e1", A, "10.00"),
        depot("e1", A, "11.00"),
        depot("e1", A, "10.00"),
    ];
    check(&[(A, "0.00")], events, |outcome| {
        assert_eq!(outcome.ledger.len(), 1);
        assert_eq!(outcome.dead_letters[0].kind, "conflicting_event_id");
        let flow = &outcome.flows[0];
        assert_eq!(
            (flow.applied, flow.dead_lettered, flow.duplicates),
            (1, 1, 1)
        );
    });
}

#[test]
fn offsets_without_a_record_are_counted_as_absent() {
    let records = [
        record(3, depot("e1", A, "1.00")),
        record(9, depot("e2", A, "1.00")),
    ];
    check_records(&[(A, "0.00")], &records, |outcome| {
        assert_eq!(outcome.flows[0].advance, Some((3, 10)));
        assert_eq!(outcome.flows[0].absent, 5);
    });
}

#[test]
fn a_balance_that_no_column_holds_and_another_currency_are_refused() {
    check(
        &[(A, "9999999999999999.99")],
        vec![depot("e1", A, "0.01")],
        |outcome| {
            let verdict = outcome.ledger[0].verdict;
            assert_eq!(verdict, Verdict::Rejected(Motif::SoldeHorsLimites));
        },
    );
    let Event::DepotEffectue(mut dollars) = depot("e1", A, "1.00") else {
        unreachable!()
    };
    dollars.devise = "USD".into();
    check(
        &[(A, "0.00")],
        vec![Event::DepotEffectue(dollars)],
        |outcome| {
            let verdict = outcome.ledger[0].verdict;
            assert_eq!(verdict, Verdict::Rejected(Motif::DeviseDifferente));
        },
    );
}
