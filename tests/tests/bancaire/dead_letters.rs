//! Records that nothing can be made of: one dead letter each, and the flow goes on.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chassis::kafka::RawRecord;
use schemas::{DeadLetter, Event, wire};
use tests::events::{self, id};

use super::bank::{self, Bank};
use super::log::{Log, Place};

fn bytes(base64: &Option<String>) -> Option<Vec<u8>> {
    let decode = |text: &String| BASE64_STANDARD.decode(text).expect("it is base64");
    base64.as_ref().map(decode)
}

/// Everything of the record is in its dead letter.
fn check(letter: &DeadLetter, record: &RawRecord, place: Place, group: &str) {
    assert_eq!(letter.original_topic, record.topic);
    assert_eq!(
        (letter.partition, letter.offset),
        (place.partition, place.offset)
    );
    assert_eq!(bytes(&letter.key), record.key);
    assert_eq!(bytes(&letter.value), record.value);
    assert_eq!(letter.error.attempt_count, 1);
    assert!(!letter.error.message.is_empty());
    assert_eq!(letter.metadata.service, "bancaire");
    assert_eq!(letter.metadata.consumer_group, group);
}

/// Records of every kind of poison, with the kind of error that they are.
fn every_kind(log: &Log, account: &str) -> Vec<(RawRecord, &'static str)> {
    let good = || log.record(&events::depot(account, "1.00"));
    let with = |value: Option<Vec<u8>>| RawRecord { value, ..good() };
    let frame = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut value = good().value.expect("it has one");
        change(&mut value);
        with(Some(value))
    };
    let invalid = |event: &dyn Fn(&mut schemas::DepotEffectue)| {
        let Event::DepotEffectue(mut depot) = events::depot(account, "1.00") else {
            unreachable!()
        };
        event(&mut depot);
        log.record(&depot.into())
    };
    let stranger = events::compte_ouvert(account, "1.00");
    let mut of_another_topic = log.record(&stranger);
    of_another_topic.topic = "bancaire.depot.effectue".into();
    vec![
        (with(None), "tombstone"),
        (with(Some(Vec::new())), "empty"),
        (with(Some(vec![0, 0, 0])), "too_short"),
        (frame(&|value| value[0] = b'{'), "bad_magic"),
        (frame(&|value| value[1..5].fill(0x7f)), "unknown_schema_id"),
        (frame(&|value| value.truncate(20)), "undecodable"),
        // A text of a terabyte, says its length.
        (
            frame(&|value| {
                value.truncate(wire::HEADER_LEN);
                value.extend_from_slice(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x40, b'x']);
            }),
            "undecodable",
        ),
        // The length of the first text says 36, and its bytes are not UTF-8.
        (frame(&|value| value[6..42].fill(0xff)), "undecodable"),
        (of_another_topic, "wrong_schema"),
        (
            invalid(&|depot| depot.montant = "-1.00".parse().unwrap()),
            "invalid_field",
        ),
        (
            invalid(&|depot| depot.devise = "euro".into()),
            "invalid_field",
        ),
        (
            invalid(&|depot| depot.event_id = String::new()),
            "invalid_field",
        ),
        (
            invalid(&|depot| depot.reference = "x".repeat(101)),
            "invalid_field",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_poison_is_one_dead_letter_and_the_flow_goes_on() {
    let log = Log::open().await;
    let account = id();
    log.send(&events::compte_ouvert(&account, "0.00")).await;
    let mut poison = every_kind(log, &account);
    let mut places = Vec::new();
    for (record, kind) in &mut poison {
        record.headers = vec![("x-kind".into(), kind.as_bytes().to_vec())];
        places.push(log.send_raw(record.clone()).await);
        log.send(&events::depot(&account, "1.00")).await;
    }
    let end = log.send(&events::depot(&account, "1.00")).await;
    let bank = Bank::open("poison").await;
    bank.passes(end).await;
    let letters = bank.dead_letters(&places).await;
    for ((letter, (record, kind)), place) in letters.iter().zip(&poison).zip(places) {
        check(letter, record, place, &bank.config.group);
        assert_eq!(letter.error.kind, *kind, "{}", letter.error.message);
        let header = BTreeMap::from([("x-kind".to_owned(), (*kind).to_owned())]);
        assert_eq!(letter.headers, header);
    }
    let good = poison.len() + 1;
    assert_eq!(bank.solde(&account).await, format!("{good}.00"));
    bank.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_cut_at_any_length_is_a_dead_letter() {
    let (log, bank) = (Log::open().await, Bank::open("cuts").await);
    let account = id();
    let whole = log.record(&events::virement(&account, &id(), "12.34"));
    let value = whole.value.clone().expect("it has one");
    let cuts: Vec<RawRecord> = (0..value.len())
        .map(|length| RawRecord {
            value: Some(value[..length].to_vec()),
            ..whole.clone()
        })
        .collect();
    let sends = cuts.iter().map(|record| log.send_raw(record.clone()));
    let places = futures_util::future::join_all(sends).await;
    let letters = bank.dead_letters(&places).await;
    for ((letter, record), place) in letters.iter().zip(&cuts).zip(places) {
        check(letter, record, place, &bank.config.group);
    }
    bank.close().await;
}

/// U+0000 is valid Avro and no text to PostgreSQL: everything around it is applied.
#[tokio::test(flavor = "multi_thread")]
async fn a_zero_character_is_a_dead_letter_and_its_batch_survives() {
    let log = Log::open().await;
    let account = id();
    let mut stream = vec![events::compte_ouvert(&account, "0.00")];
    for n in 0..10 {
        let Event::DepotEffectue(mut depot) = events::depot(&account, "1.00") else {
            unreachable!()
        };
        if n == 5 {
            depot.reference = "a\0b".into();
        }
        stream.push(depot.into());
    }
    let bad = stream[6].clone();
    // All there before the bank begins, so that they come in one batch.
    let places = log.send_at_once(&stream).await;
    let bank = Bank::open("zero").await;
    let letters = bank.dead_letters(&places[6..7]).await;
    check(
        &letters[0],
        &log.record(&bad),
        places[6],
        &bank.config.group,
    );
    assert_eq!(letters[0].error.kind, "invalid_field");
    assert!(
        letters[0].error.message.contains("U+0000"),
        "{}",
        letters[0].error.message
    );
    bank.passes_all(places).await;
    assert_eq!(bank.solde(&account).await, "9.00");
    bank.close().await;
}

/// The same event_id with other content: whether it comes in the same batch or later, the first
/// one counts and the other is a dead letter.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_with_other_content_is_a_dead_letter() {
    let log = Log::open().await;
    for batch_max in [1, 5_000] {
        let account = id();
        let Event::DepotEffectue(first) = events::depot(&account, "10.00") else {
            unreachable!()
        };
        let mut other = first.clone();
        other.montant = "99.00".parse().unwrap();
        // Of another type, too.
        let Event::RetraitEffectue(mut third) = events::retrait(&account, "5.00") else {
            unreachable!()
        };
        third.event_id.clone_from(&first.event_id);
        let (first, other, third) = (Event::from(first), Event::from(other), Event::from(third));
        let begin = [events::compte_ouvert(&account, "0.00"), first.clone()];
        let begin = log.send_at_once(&begin).await;
        let within = log.send(&other).await;
        let mut config = bank::config("conflict").await;
        config.batch_max = batch_max;
        let bank = Bank::start(config).await;
        bank.passes_all(begin).await;
        bank.passes(within).await;
        let across = log.send(&third).await;
        let letters = bank.dead_letters(&[within, across]).await;
        for (letter, (event, place)) in letters.iter().zip([(&other, within), (&third, across)]) {
            check(letter, &log.record(event), place, &bank.config.group);
            assert_eq!(letter.error.kind, "conflicting_event_id");
            assert!(letter.error.message.contains(first.event_id()));
        }
        assert_eq!(bank.solde(&account).await, "10.00");
        assert_eq!(bank.rows(&account).await, 2);
        bank.close().await;
    }
}

/// While an event waits for its account, its id is used by another one: one of them counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_parked_event_whose_id_is_taken_meanwhile_is_a_dead_letter() {
    let (log, bank) = (Log::open().await, Bank::open("taken").await);
    let (late, account) = (id(), id());
    let parked = events::depot(&late, "10.00");
    let parked_at = log.send(&parked).await;
    bank.passes(parked_at).await;
    bank.passes(log.send(&events::compte_ouvert(&account, "1.00")).await)
        .await;
    let Event::DepotEffectue(mut usurper) = events::depot(&account, "2.00") else {
        unreachable!()
    };
    usurper.event_id = parked.event_id().to_owned();
    bank.passes(log.send(&usurper.into()).await).await;
    bank.passes(log.send(&events::compte_ouvert(&late, "5.00")).await)
        .await;
    assert_eq!(bank.solde(&account).await, "3.00");
    assert_eq!(bank.solde(&late).await, "5.00");
    let letters = bank.dead_letters(&[parked_at]).await;
    check(
        &letters[0],
        &log.record(&parked),
        parked_at,
        &bank.config.group,
    );
    assert_eq!(letters[0].error.kind, "conflicting_event_id");
    bank.close().await;
}

/// In base64 it is larger than what a topic takes by default: it must not block the outbox.
#[tokio::test(flavor = "multi_thread")]
async fn the_largest_record_of_all_has_its_dead_letter() {
    let (log, bank) = (Log::open().await, Bank::open("large").await);
    let record = RawRecord {
        topic: "bancaire.compte.ferme".into(),
        key: Some(b"k".to_vec()),
        value: Some(vec![b'{'; 1_040_000]),
        ..RawRecord::default()
    };
    let place = log.send_raw(record.clone()).await;
    let letters = bank.dead_letters(&[place]).await;
    check(&letters[0], &record, place, &bank.config.group);
    bank.close().await;
}
