use chrono::DateTime;
use schemas::{Canal, DepotEffectue, VirementRecu, wire};

use super::*;

fn depot(id: &str, montant: i64) -> Event {
    Event::DepotEffectue(DepotEffectue {
        event_id: id.into(),
        timestamp: DateTime::UNIX_EPOCH,
        compte_id: "a".into(),
        montant: Decimal::new(montant, 2),
        devise: "EUR".into(),
        reference: "r".into(),
        canal: Canal::Guichet,
        metadata: None,
    })
}

fn recu(id: &str, cause: &str) -> Event {
    Event::VirementRecu(VirementRecu {
        event_id: id.into(),
        timestamp: DateTime::UNIX_EPOCH,
        compte_source_id: "a".into(),
        compte_destination_id: "b".into(),
        montant: Decimal::ONE,
        devise: "EUR".into(),
        motif: "m".into(),
        reference: "r".into(),
        virement_emis_id: Some(cause.into()),
        metadata: None,
    })
}

fn row(offset: i64, event: &Event, accepted: bool) -> LedgerRow {
    LedgerRow {
        offset,
        id: event.event_id().into(),
        compte_id: Some(event.key().into()),
        montant: montant(event),
        empreinte: empreinte(&wire::frame(1, event)),
        cause_id: None,
        accepted,
    }
}

fn audit(low: i64, expected: Expected, log: &[(i64, Result<Event, &[u8]>)]) -> Audit {
    let mut auditor = Auditor::new("t [0]".into(), low, expected);
    for (offset, content) in log {
        let value = match content {
            Ok(event) => wire::frame(7, event),
            Err(bytes) => bytes.to_vec(),
        };
        auditor.take(&Seen {
            offset: *offset,
            key: Some(b"a"),
            value: Some(&value),
            event: content.clone().map_err(|_| "bad_magic".to_owned()),
        });
    }
    auditor.finish()
}

#[test]
fn every_record_is_found_in_its_one_place() {
    let (one, two, three, four) = (
        depot("1", 100),
        depot("2", 200),
        depot("3", 300),
        depot("4", 400),
    );
    let poison: &[u8] = b"\x09poison";
    let expected = Expected {
        next_offset: 7,
        ledger: vec![row(2, &one, true), row(3, &two, false)],
        parked: [(4, ("3".to_owned(), empreinte(&wire::frame(1, &three))))].into(),
        dead: [(
            5,
            Original {
                key: Some(b"a".to_vec()),
                value: Some(poison.to_vec()),
            },
        )]
        .into(),
    };
    let log = [
        (2, Ok(one.clone())),
        (3, Ok(two)),
        (4, Ok(three)),
        (5, Err(poison)),
        (6, Ok(one)),
        (7, Ok(four)),
        (8, Ok(recu("5", "transfer"))),
    ];
    let audit = audit(2, expected, &log);
    assert_eq!(audit.wrong, Wrongs::default());
    assert_eq!(audit.wrong_letters, Wrongs::default());
    assert_eq!((audit.handled, audit.in_flight), (5, 2));
    assert_eq!((audit.applied, audit.rejected), (1, 1));
    assert_eq!((audit.parked, audit.dead_lettered), (1, 1));
    assert_eq!(audit.causes_in_flight, ["transfer"]);
    let repeats: Vec<_> = audit
        .repeats
        .iter()
        .map(|r| (r.offset, r.event_id.as_str()))
        .collect();
    assert_eq!(repeats, [(6, "1")]);
}

/// What a broken bank would leave behind.
#[test]
fn each_contradiction_is_found() {
    let (one, two) = (depot("1", 100), depot("2", 200));
    let good = || row(0, &one, true);
    let with = |change: fn(&mut LedgerRow)| {
        let mut row = good();
        change(&mut row);
        vec![row]
    };
    let log = vec![(0, Ok(one.clone()))];
    let poison: Vec<(i64, Result<Event, &[u8]>)> = vec![(0, Err(&b"\x01"[..]))];
    let cases = [
        ("event_id", with(|r| r.id = "9".into()), &log),
        (
            "the account",
            with(|r| r.compte_id = Some("b".into())),
            &log,
        ),
        ("no account", with(|r| r.compte_id = None), &log),
        ("the amount", with(|r| r.montant = Decimal::TEN), &log),
        ("the cause", with(|r| r.cause_id = Some("x".into())), &log),
        ("fingerprint", with(|r| r.empreinte += 1), &log),
        (
            "no record of its own",
            vec![good(), row(0, &two, true)],
            &log,
        ),
        (
            "no record of its own",
            vec![good(), row(1, &two, true)],
            &log,
        ),
        ("but poison", vec![good()], &poison),
        ("without a dead letter", vec![], &poison),
    ];
    for (words, ledger, log) in cases {
        let expected = Expected {
            next_offset: 2,
            ledger,
            ..Expected::default()
        };
        let audit = audit(0, expected, log);
        assert_eq!(audit.wrong.count, 1, "{words}: {:?}", audit.wrong);
        assert!(audit.wrong.samples[0].contains(words), "{:?}", audit.wrong);
    }
}

#[test]
fn a_dead_letter_must_hold_the_original_bytes_of_a_record_that_exists() {
    let letter = |value: &[u8]| Original {
        key: Some(b"a".to_vec()),
        value: Some(value.to_vec()),
    };
    let expected = Expected {
        next_offset: 9,
        dead: [(0, letter(b"\x01x")), (5, letter(b"\x01"))].into(),
        ..Expected::default()
    };
    let audit = audit(0, expected, &[(0, Err(b"\x01y"))]);
    assert_eq!(audit.wrong_letters.count, 2);
    assert_eq!(audit.wrong.count, 0);
}

#[test]
fn what_retention_took_is_not_missed() {
    let (old, new) = (depot("1", 100), depot("2", 200));
    let expected = Expected {
        next_offset: 11,
        ledger: vec![row(3, &old, true), row(10, &new, true)],
        ..Expected::default()
    };
    let audit = audit(10, expected, &[(10, Ok(new))]);
    assert_eq!(audit.wrong.count, 0);
    assert_eq!(audit.applied, 1);
}

#[test]
fn of_many_violations_the_first_are_kept_and_all_counted() {
    let mut wrongs = Wrongs::default();
    for i in 0..25 {
        wrongs.push(i.to_string());
    }
    let mut sum = Wrongs::default();
    sum.push("first".into());
    sum.append(wrongs);
    assert_eq!(sum.count, 26);
    assert_eq!(sum.samples.len(), 10);
    assert_eq!(sum.samples[0], "first");
}
