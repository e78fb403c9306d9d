use rust_decimal::Decimal;
use schemas::EventType;
use serde_json::json;

use super::*;
use crate::verify::audit::{Audit, Repeat};
use crate::verify::books::{Flux, LedgerSums, OpenTransfer};
use crate::verify::lines::lines;

const OUVERT: Place = (EventType::CompteOuvert, 0);
const EMIS: Place = (EventType::VirementEmis, 0);

/// A small lab in good order: two openings (one sent twice), a transfer whose credit is still in
/// the outbox, and one poison message.
fn sound() -> Evidence {
    let flux = |next_offset, applied: i64, duplicates, dead_lettered, montant| Flux {
        next_offset,
        applied,
        duplicates,
        dead_lettered,
        montant: Decimal::new(montant, 2),
        cluster_id: "c".into(),
        ..Flux::default()
    };
    let sums = |accepted, montant| LedgerSums {
        accepted,
        montant: Decimal::new(montant, 2),
        offsets: accepted,
        ..LedgerSums::default()
    };
    let books = Books {
        flux: [
            (OUVERT, flux(4, 2, 1, 1, 10_000)),
            (EMIS, flux(1, 1, 0, 0, 2_500)),
        ]
        .into(),
        ledger: [(OUVERT, sums(2, 10_000)), (EMIS, sums(1, 2_500))].into(),
        rows: 3,
        distinct_ids: 3,
        comptes: 2,
        soldes: Decimal::new(7_500, 2),
        transfers_open: vec![OpenTransfer {
            id: "v".into(),
            arrived: 0,
            refused: 0,
            same_amount: true,
        }],
        ..Books::default()
    };
    let watermarks = Watermarks::from([
        ((OUVERT.0.topic().to_owned(), 0), (0, 4)),
        ((EMIS.0.topic().to_owned(), 0), (0, 1)),
    ]);
    let audit = |handled, applied| Audit {
        handled,
        applied,
        ..Audit::default()
    };
    let repeat = Repeat {
        offset: 2,
        event_id: "o".into(),
        empreinte: 1,
    };
    let opened = Audit {
        dead_lettered: 1,
        repeats: vec![repeat],
        ..audit(4, 2)
    };
    let lines = lines(&watermarks, &books);
    let partitions: Vec<Value> = lines.iter().map(|l| json!({
        "topic": l.topic, "partition": l.partition, "next_offset": l.next, "applied": l.applied,
        "rejected": l.rejected, "parked": l.parked, "dead_lettered": l.dead_lettered,
        "duplicates": l.duplicates, "in_flight": l.in_flight,
    })).collect();
    Evidence {
        quiet: Quiet::default(),
        lines,
        books,
        watermarks,
        cluster_id: Some("c".into()),
        letters: Letters::default(),
        dead: [(OUVERT, 1)].into(),
        dead_in_outbox: 0,
        read_back: Ok(ReadBack {
            audits: [(OUVERT, opened), (EMIS, audit(1, 1))].into(),
            wrong_repeats: Wrongs::default(),
        }),
        causes: ["v".to_owned()].into(),
        ledger: Ok(json!({ "partitions": partitions, "balanced": true })),
        acknowledged: [("CompteOuvert".to_owned(), 4)].into(),
    }
}

fn failed(evidence: &Evidence) -> Vec<&'static str> {
    let checks = judge(evidence).into_iter();
    checks
        .filter(|check| check.verdict == Verdict::Fail)
        .map(|check| check.name)
        .collect()
}

#[test]
fn a_lab_in_good_order_passes_everything() {
    let checks = judge(&sound());
    for check in &checks {
        assert_eq!(check.verdict, Verdict::Pass, "{check:?}");
        assert!(check.compared.chars().any(|c| c.is_ascii_digit()) || check.invariant == "O");
    }
    let letters: HashSet<&str> = checks.iter().map(|check| check.invariant).collect();
    assert_eq!(letters, HashSet::from(["L", "X", "C", "O", "D", "R"]));
}

/// A suite that passes a broken lab proves nothing: each defect is found by the check named.
#[test]
fn each_defect_is_found() {
    type Defect = fn(&mut Evidence);
    let cases: [(&str, Defect); 21] = [
        ("every offset is accounted for", |e| e.lines[0].applied -= 1),
        ("every offset is accounted for", |e| e.lines[0].high = 3),
        ("the offsets belong to this broker", |e| {
            e.cluster_id = Some("other".into())
        }),
        ("every record is found again, and says the same", |e| {
            e.read_back
                .as_mut()
                .unwrap()
                .wrong_repeats
                .push("lost".into());
        }),
        ("every record is found again, and says the same", |e| {
            let audits = &mut e.read_back.as_mut().unwrap().audits;
            audits.get_mut(&OUVERT).unwrap().repeats.clear();
        }),
        ("what was acknowledged is in the log", |e| {
            e.acknowledged.insert("CompteOuvert".into(), 5);
        }),
        ("one row per event", |e| e.books.distinct_ids -= 1),
        ("one row per event", |e| e.books.both.push("x".into())),
        ("one row per event", |e| {
            e.books.ledger.get_mut(&OUVERT).unwrap().offsets = 1
        }),
        ("every counter is the number of its rows", |e| {
            e.books.ledger.get_mut(&OUVERT).unwrap().rejected = 1;
        }),
        ("every counter is the number of its rows", |e| {
            e.books
                .ledger
                .insert((EventType::CompteFerme, 9), LedgerSums::default());
        }),
        ("bancaire's own ledger says the same", |e| {
            e.ledger.as_mut().unwrap()["partitions"][0]["applied"] = json!(1);
        }),
        (
            "balances are what was opened, plus credits, minus debits",
            |e| {
                e.books.soldes += Decimal::ONE;
            },
        ),
        (
            "balances are what was opened, plus credits, minus debits",
            |e| {
                e.books.wrong_soldes.push("a".into());
            },
        ),
        ("each partition's accepted amounts are its rows'", |e| {
            e.books.flux.get_mut(&EMIS).unwrap().montant = Decimal::ONE;
        }),
        ("money that leaves an account arrives", |e| e.causes.clear()),
        ("money that leaves an account arrives", |e| {
            e.books.transfers_open[0].arrived = 2
        }),
        ("each account's chain of balances is whole", |e| {
            e.books.wrong_ends.push("a".into());
        }),
        ("events were applied in the order of the log", |e| {
            e.books.wrong_orders.push("a".into());
        }),
        ("one dead letter per poison message", |e| {
            e.dead.clear();
        }),
        ("dead letters hold the original bytes", |e| {
            let audits = &mut e.read_back.as_mut().unwrap().audits;
            audits
                .get_mut(&OUVERT)
                .unwrap()
                .wrong_letters
                .push("a".into());
        }),
    ];
    for (name, defect) in cases {
        let mut evidence = sound();
        defect(&mut evidence);
        let failed = failed(&evidence);
        assert!(failed.contains(&name), "{name:?} is not in {failed:?}");
    }
}

#[test]
fn under_load_what_moves_is_said_and_not_judged() {
    let mut evidence = sound();
    evidence.quiet.simulation_running = true;
    evidence.quiet.in_flight = 7;
    evidence.ledger.as_mut().unwrap()["partitions"][0]["applied"] = json!(99);
    assert_eq!(failed(&evidence), Vec::<&str>::new());
    let checks = judge(&evidence);
    let quiet = checks.last().unwrap();
    assert_eq!(quiet.verdict, Verdict::Skipped);
    assert!(quiet.compared.contains("7 in flight"), "{}", quiet.compared);
    // So is one that began when everything had been found quiet.
    let mut begun = sound();
    begun.lines[0].high += 1;
    begun.lines[0].in_flight += 1;
    begun.ledger.as_mut().unwrap()["partitions"][0]["applied"] = json!(99);
    assert_eq!(failed(&begun), Vec::<&str>::new());
    // Without a simulation, lag that stays is a failure.
    evidence.quiet.simulation_running = false;
    assert_eq!(failed(&evidence), ["everything is read and relayed"]);
    // Parked events are not.
    evidence.quiet.in_flight = 0;
    evidence.quiet.parked = 2;
    assert_eq!(failed(&evidence), Vec::<&str>::new());
}

#[test]
fn what_could_not_be_asked_is_skipped_with_the_reason() {
    let mut evidence = sound();
    evidence.ledger = Err("bancaire does not answer".into());
    evidence.read_back = Err("the logs are too long".into());
    let skipped: Vec<Check> = judge(&evidence)
        .into_iter()
        .filter(|check| check.verdict != Verdict::Pass)
        .collect();
    assert_eq!(skipped.len(), 3, "{skipped:?}");
    for check in skipped {
        assert_eq!(check.verdict, Verdict::Skipped);
        assert!(!check.violations[0].is_empty());
    }
}

/// Right after an outage this program reaches the broker before bancaire does.
#[test]
fn an_end_that_bancaire_does_not_know_is_no_contradiction() {
    let mut evidence = sound();
    let own = &mut evidence.ledger.as_mut().unwrap()["partitions"];
    own[0]["in_flight"] = Value::Null;
    let ledger_check = |evidence: &Evidence| {
        let mut checks = judge(evidence).into_iter();
        checks
            .find(|check| check.name == "bancaire's own ledger says the same")
            .unwrap()
    };
    let unknown = ledger_check(&evidence);
    assert_eq!(unknown.verdict, Verdict::Skipped);
    assert!(
        unknown.violations[0].contains("1 of 2 partitions"),
        "{unknown:?}"
    );
    // What it does know is still compared.
    evidence.ledger.as_mut().unwrap()["partitions"][0]["applied"] = json!(1);
    let wrong = ledger_check(&evidence);
    assert_eq!(wrong.verdict, Verdict::Fail);
    assert_eq!(wrong.violations.len(), 1, "{wrong:?}");
    assert!(wrong.violations[0].contains("applied is 1"), "{wrong:?}");
}

#[test]
fn a_transfer_may_have_been_refused_by_both_accounts_but_not_vanish() {
    let mut evidence = sound();
    evidence.causes.clear();
    evidence.books.transfers_open[0].refused = 2;
    assert_eq!(failed(&evidence), Vec::<&str>::new());
    evidence.books.transfers_open[0].refused = 1;
    assert_eq!(failed(&evidence), ["money that leaves an account arrives"]);
}
