//! What the simulator makes, as it arrives in Kafka.

use std::collections::HashSet;

use reqwest::Method;
use rust_decimal::Decimal;
use schemas::{Event, EventType, wire};
use serde_json::{Value, json};

use super::log::{Log, Record};
use super::{Own, answer, ids};

/// The accounts that a simulation opened.
pub fn opened_by(records: &[Record], simulation_id: &Value) -> HashSet<String> {
    let id = simulation_id.as_str().expect("an id");
    let is_of = |event: &&Event| {
        let metadata = event.metadata();
        metadata
            .and_then(|m| m.get("simulation_id"))
            .is_some_and(|of| of == id)
    };
    let events = records
        .iter()
        .filter_map(|record| record.event.as_ref().ok());
    events
        .filter(is_of)
        .map(|event| event.key().to_owned())
        .collect()
}

/// Plan: TestGenerate_ProducesValidEvent
#[tokio::test(flavor = "multi_thread")]
async fn generate_produces_valid_event() {
    let own = Own::start().await;
    let log = Log::from_now(own.lab).await;
    for event_type in EventType::ALL {
        let ids = own
            .produce(json!({"event_type": event_type, "count": 3}))
            .await;
        let records = log.of(&ids).await;
        assert_eq!(records.len(), 3, "{event_type}");
        for record in records {
            let event = record.event();
            assert_eq!(event.event_type(), event_type);
            event.check().expect("amounts fit");
            for id in [event.event_id(), event.key()] {
                uuid::Uuid::try_parse(id).expect("a UUID");
            }
            if let Event::CompteOuvert(e) = event {
                assert_eq!(e.devise, "EUR");
                assert!(e.solde_initial >= Decimal::ZERO);
                let metadata = e.metadata.as_ref().expect("metadata");
                assert!(metadata["iban"].starts_with("FR"), "{metadata:?}");
                assert!(metadata["titulaire"].contains(' '), "{metadata:?}");
            }
        }
    }
}

/// On the right topic, keyed by its account, framed, with the caller's trace and the CloudEvents
/// attributes in its headers.
///
/// Plan: TestGenerate_EventInKafka
#[tokio::test(flavor = "multi_thread")]
async fn generate_event_in_kafka() {
    let own = Own::start().await;
    let log = Log::from_now(own.lab).await;
    let trace = uuid::Uuid::new_v4().simple().to_string();
    let request = own
        .request(Method::POST, "/api/v1/events/produce")
        .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))
        .json(&json!({"event_type": "CompteOuvert", "count": 1}));
    let (status, body) = answer(request).await;
    assert_eq!(status, 200, "{body}");
    let records = log.of(&ids(&body)).await;
    let [record] = &records[..] else {
        panic!("{} records", records.len());
    };
    assert_eq!(record.topic, EventType::CompteOuvert);
    let event = record.event();
    assert_eq!(record.key, event.key());
    let (schema_id, _) = wire::parse(record.value.as_deref().unwrap()).expect("it is framed");
    let subject = EventType::CompteOuvert.subject();
    let registry = chassis::registry::RegistryClient::new(&own.lab.registry_url());
    let registered = registry
        .lookup(&subject, EventType::CompteOuvert.schema_json())
        .await;
    assert_eq!(registered.expect("it is registered"), schema_id);
    let headers = &record.headers;
    assert!(headers["traceparent"].contains(&trace), "{headers:?}");
    assert_eq!(headers["ce_id"], event.event_id());
    assert_eq!(headers["ce_type"], EventType::CompteOuvert.full_name());
    assert_eq!(headers["ce_source"], "/edalab/simulator");
    assert_eq!(headers["ce_specversion"], "1.0");
}

/// Plan: TestGenerateBatch_ProducesAllEvents
#[tokio::test(flavor = "multi_thread")]
async fn generate_batch_produces_all_events() {
    let own = Own::start().await;
    let log = Log::from_now(own.lab).await;
    let body = json!({"event_type": "VirementEmis", "count": 500});
    let (status, body) = own.post("/api/v1/events/produce", body).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["events_produced"], 500);
    let ids = ids(&body);
    assert_eq!(
        ids.iter().collect::<HashSet<_>>().len(),
        500,
        "all different"
    );
    let records = log.of(&ids).await;
    assert_eq!(records.len(), 500);
    let opened = body["comptes_opened"]
        .as_array()
        .expect("there were no accounts before");
    let opened: HashSet<&str> = opened.iter().filter_map(Value::as_str).collect();
    let partitions: HashSet<i32> = records.iter().map(|record| record.partition).collect();
    assert!(partitions.len() > 1, "keys spread over partitions");
    for record in &records {
        let Event::VirementEmis(e) = record.event() else {
            panic!("another type");
        };
        for id in [&e.compte_source_id, &e.compte_destination_id] {
            assert!(opened.contains(id.as_str()), "{id} was opened");
        }
    }
}

/// Plan: TestGenerateBatch_RespectsInterval
#[tokio::test(flavor = "multi_thread")]
async fn generate_batch_respects_interval() {
    let own = Own::start().await;
    let log = Log::from_now(own.lab).await;
    let body = json!({"scenario": "ouvertures", "rate": 20, "duration": 2});
    let started = own.start_simulation(body).await;
    let status = own.ended().await;
    assert_eq!(status["events_produced"], 40, "{status}");
    let records = log.records().await;
    let opened = opened_by(&records, &started["simulation_id"]);
    assert_eq!(opened.len(), 40);
    let events = records
        .iter()
        .filter_map(|record| record.event.as_ref().ok());
    let ours = events.filter(|event| opened.contains(event.key()));
    let mut times: Vec<i64> = ours
        .map(|event| event.timestamp().timestamp_millis())
        .collect();
    times.sort_unstable();
    // Each has its own moment since the start: a late one is made up for, but none comes early.
    let start = status["started_at"].as_str().expect("a time");
    let start = chrono::DateTime::parse_from_rfc3339(start).expect("RFC 3339");
    for (n, time) in times.iter().enumerate() {
        let due = start.timestamp_millis() + 50 * n as i64;
        // The wall clock may be adjusted by a little meanwhile.
        assert!(*time >= due - 5, "event {n} came {} ms early", due - time);
    }
}

/// Plan: TestGenerateBatch_CancellableViaContext
#[tokio::test(flavor = "multi_thread")]
async fn generate_batch_cancellable_via_context() {
    let own = Own::start().await;
    let log = Log::from_now(own.lab).await;
    let body = json!({"scenario": "ouvertures", "rate": 100, "duration": 0});
    let started = own.start_simulation(body).await;
    own.produced(50).await;
    let stopped = own.stop_simulation().await;
    let records = log.records().await;
    let opened = opened_by(&records, &started["simulation_id"]);
    assert_eq!(
        stopped["events_produced"].as_u64(),
        Some(opened.len() as u64)
    );
    // Half a second's worth later there are no more.
    until_later(&own).await;
    let again = opened_by(&log.records().await, &started["simulation_id"]);
    assert_eq!(again.len(), opened.len());
    assert_eq!(
        own.status().await["events_produced"],
        stopped["events_produced"]
    );
}

/// Until another simulation has made a few events, which take half a second.
async fn until_later(own: &Own) {
    let body = json!({"scenario": "ouvertures", "rate": 10, "duration": 0.5});
    let lab = own.lab;
    let other = Own::with(lab, super::config(lab)).await;
    tests::until_async("the other is ready", async || {
        (other.get("/health/ready").await.0 == 200).then_some(())
    })
    .await;
    other.start_simulation(body).await;
    other.ended().await;
}
