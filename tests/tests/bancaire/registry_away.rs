//! The registry goes away: what is known goes on, what is not waits, and nothing is skipped.

use chassis::kafka::RawRecord;
use chassis::registry::RegistryClient;
use schemas::EventType;
use serde_json::Value;
use tests::events::{self, id};
use tests::link::{Link, link_to};
use tests::until_async;

use super::bank::{self, Bank};
use super::log::{Log, lab};

/// The schema of premiums with one more field that has a default, and its id.
async fn newer_schema() -> u32 {
    let mut schema: Value =
        serde_json::from_str(EventType::PaiementPrimeEffectue.schema_json()).expect("it is JSON");
    let field = serde_json::json!({ "name": "agence", "type": "string", "default": "" });
    schema["fields"]
        .as_array_mut()
        .expect("a record")
        .push(field);
    let registry = RegistryClient::new(&lab().await.registry_url());
    let subject = EventType::PaiementPrimeEffectue.subject();
    registry
        .register(&subject, &schema.to_string())
        .await
        .expect("it is compatible")
}

/// No other test writes to this partition, and none writes poison to these topics.
const PARTITION: i32 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn only_what_needs_an_unknown_schema_waits_for_the_registry() {
    let log = Log::open().await;
    let (port, link) = link_to(lab().await.port("registry")).await;
    let mut config = bank::config("registry").await;
    config.common.schema.url = format!("http://127.0.0.1:{port}");
    let bank = Bank::start(config).await;
    bank.consumes().await;
    let account = id();
    bank.passes(log.send(&events::compte_ouvert(&account, "10.00")).await)
        .await;
    // One of each type that follows, so that its schema is known.
    bank.passes(
        log.send_to(PARTITION, &events::prime(&account, "1.00"))
            .await,
    )
    .await;
    bank.passes(log.send(&events::retrait(&account, "1.00")).await)
        .await;

    let schema_id = newer_schema().await;
    link.send_replace(Link::Cut);
    let newer = events::prime(&account, "2.00");
    let mut record = log.record(&newer);
    let value = record.value.as_mut().expect("it has one");
    value[1..5].copy_from_slice(&schema_id.to_be_bytes());
    value.push(0); // an empty text
    let unknown = log
        .send_raw(RawRecord {
            partition: Some(PARTITION),
            ..record
        })
        .await;
    let behind = events::prime(&account, "1.00");
    let behind_it = log.send_to(PARTITION, &behind).await;
    let (status, report) = until_async("the registry is missed", async || {
        let (status, report) = bank.get("/api/v1/health").await;
        (report["status"] == "degraded").then_some((status, report))
    })
    .await;
    assert_eq!(status, 200);
    assert!(
        report["reason"].as_str().unwrap().contains("registry"),
        "{report}"
    );

    // What is known goes on, again and again.
    for n in 1..=3 {
        bank.passes(log.send(&events::retrait(&account, "1.00")).await)
            .await;
        assert_eq!(
            bank.next_offset(unknown).await,
            Some(unknown.offset),
            "round {n}"
        );
    }
    assert_eq!(bank.get("/api/v1/health").await.1["status"], "degraded");
    assert_eq!(
        bank.row(behind.event_id()).await,
        None,
        "the order within a partition is kept"
    );

    link.send_replace(Link::Through);
    bank.passes(behind_it).await;
    assert_eq!(bank.decides(newer.event_id()).await.motif_rejet, None);
    assert_eq!(bank.solde(&account).await, "2.00");
    until_async("health is good again", async || {
        (bank.get("/api/v1/health").await.1["status"] == "healthy").then_some(())
    })
    .await;
    bank.close().await;
}
