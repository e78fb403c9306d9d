//! What the API answers: simulations, single events, faults.

use reqwest::Method;
use schemas::EventType;
use serde_json::json;
use tests::until_async;

use super::log::Log;
use super::{Own, answer, ids};

/// Plan: TestStartSimulation_Success
#[tokio::test(flavor = "multi_thread")]
async fn start_simulation_success() {
    let own = Own::start().await;
    let body = json!({"scenario": "default", "rate": 50, "duration": 300, "seed": 7});
    let started = own.start_simulation(body).await;
    assert_eq!(
        (&started["status"], &started["seed"]),
        (&json!("running"), &json!(7))
    );
    let id = started["simulation_id"].as_str().expect("an id");
    uuid::Uuid::try_parse(id).expect("a UUID");
    own.produced(10).await;
    own.stop_simulation().await;
    // What is left out is as the scenario says; a rate may be a fraction.
    own.start_simulation(json!({"rate": 2.5})).await;
    let status = own.status().await;
    assert_eq!(
        (&status["scenario"], &status["rate_target"]),
        (&json!("default"), &json!(2.5))
    );
    assert_eq!(status["duration"], 60.0);
    own.stop_simulation().await;
}

/// Plan: TestStartSimulation_AlreadyRunning
#[tokio::test(flavor = "multi_thread")]
async fn start_simulation_already_running() {
    let own = Own::start().await;
    let body = json!({"rate": 1, "duration": 0});
    let started = own.start_simulation(body.clone()).await;
    let (status, problem) = own.post("/api/v1/simulation/start", body).await;
    assert_eq!(status, 409, "{problem}");
    assert_eq!(problem["simulation_id"], started["simulation_id"]);
    own.stop_simulation().await;
}

/// Plan: TestStopSimulation_Success
#[tokio::test(flavor = "multi_thread")]
async fn stop_simulation_success() {
    let own = Own::start().await;
    own.start_simulation(json!({"rate": 200, "duration": 0}))
        .await;
    own.produced(20).await;
    let stopped = own.stop_simulation().await;
    assert!(stopped["events_produced"].as_u64() >= Some(20), "{stopped}");
    let status = own.status().await;
    assert_eq!(status["status"], "stopped");
    assert_eq!(status["events_produced"], stopped["events_produced"]);
}

/// Plan: TestStopSimulation_NotRunning
#[tokio::test(flavor = "multi_thread")]
async fn stop_simulation_not_running() {
    let own = Own::start().await;
    let (status, problem) = own.post("/api/v1/simulation/stop", json!({})).await;
    assert_eq!(
        (status, &problem["status"]),
        (409, &json!(409)),
        "{problem}"
    );
}

/// Plan: TestGetStatus_Running
#[tokio::test(flavor = "multi_thread")]
async fn get_status_running() {
    let own = Own::start().await;
    let started = own
        .start_simulation(json!({"rate": 100, "duration": 0, "seed": 7}))
        .await;
    let status = own.produced(100).await;
    assert_eq!(status["status"], "running");
    assert_eq!(status["simulation_id"], started["simulation_id"]);
    assert_eq!(
        (&status["rate_target"], &status["seed"]),
        (&json!(100.0), &json!(7))
    );
    let actual = status["rate_actual"].as_f64().expect("a rate");
    assert!((50.0..150.0).contains(&actual), "{status}");
    let started_at = status["started_at"].as_str().expect("a time");
    chrono::DateTime::parse_from_rfc3339(started_at).expect("RFC 3339");
    let by_type = status["by_type"].as_object().expect("by_type");
    let sum: u64 = by_type.values().filter_map(serde_json::Value::as_u64).sum();
    assert!(by_type["CompteOuvert"].as_u64() >= Some(20), "{status}");
    assert!(sum >= 100, "{status}");
    own.stop_simulation().await;
}

/// Plan: TestGetStatus_Stopped
#[tokio::test(flavor = "multi_thread")]
async fn get_status_stopped() {
    let own = Own::start().await;
    let status = own.status().await;
    assert_eq!(
        (&status["status"], &status["events_produced"]),
        (&json!("stopped"), &json!(0))
    );
    assert!(status["simulation_id"].is_null(), "{status}");
    own.start_simulation(json!({"rate": 50, "duration": 1}))
        .await;
    let status = own.ended().await;
    assert_eq!(status["events_produced"], 50, "{status}");
    assert_eq!(
        (&status["failed"], &status["in_flight"]),
        (&json!(0), &json!(0))
    );
}

/// Plan: TestProduceEvents_Success
#[tokio::test(flavor = "multi_thread")]
async fn produce_events_success() {
    let own = Own::start().await;
    for (event_type, count) in [
        ("CompteOuvert", 5),
        ("DepotEffectue", 20),
        ("CompteFerme", 1),
    ] {
        let body = json!({"event_type": event_type, "count": count});
        let (status, body) = own.post("/api/v1/events/produce", body).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["events_produced"], count);
        assert_eq!(ids(&body).len(), count);
    }
    let (status, metrics) = {
        let response = own
            .request(Method::GET, "/metrics")
            .send()
            .await
            .expect("it answers");
        (response.status(), response.text().await.expect("a body"))
    };
    assert_eq!(status, 200);
    let counter = "edalab_messages_produced_total{service=\"simulator\",\
                   topic=\"bancaire.depot.effectue\"}";
    assert!(metrics.contains(counter), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_changes_while_it_runs() {
    let own = Own::start().await;
    let change = async |rate: f64| {
        let request = own.request(Method::PATCH, "/api/v1/simulation");
        answer(request.json(&json!({"rate": rate}))).await
    };
    assert_eq!(change(5.0).await.0, 409, "none runs");
    own.start_simulation(json!({"rate": 0.1, "duration": 0}))
        .await;
    let (status, body) = change(400.0).await;
    assert_eq!(
        (status, &body["rate_target"]),
        (200, &json!(400.0)),
        "{body}"
    );
    // At the old rate this would take an hour.
    own.produced(400).await;
    let (status, problem) = change(-1.0).await;
    assert_eq!(status, 400, "{problem}");
    assert_eq!(own.status().await["rate_target"], 400.0, "as it was");
    own.stop_simulation().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_events_are_published_again_unchanged() {
    let own = Own::start().await;
    let log = Log::from_now(own.lab).await;
    let none = own
        .post("/api/v1/events/duplicate", json!({"count": 2}))
        .await;
    assert_eq!(none.0, 409, "{}", none.1);
    let produced = own
        .produce(json!({"event_type": "CompteOuvert", "count": 3}))
        .await;
    let (status, body) = own
        .post("/api/v1/events/duplicate", json!({"count": 2}))
        .await;
    assert_eq!(
        (status, &body["records_produced"]),
        (200, &json!(2)),
        "{body}"
    );
    let mut repeated = ids(&body);
    repeated.sort();
    let records = log.of(&produced).await;
    assert_eq!(records.len(), 5);
    let mut twice: Vec<String> = records
        .windows(2)
        .filter(|pair| pair[0].event().event_id() == pair[1].event().event_id())
        .map(|pair| {
            assert_eq!(pair[0].value, pair[1].value, "byte by byte");
            assert_eq!(pair[0].partition, pair[1].partition);
            pair[0].event().event_id().to_owned()
        })
        .collect();
    twice.sort();
    assert_eq!(twice, repeated);
    let (_, body) = own
        .post("/api/v1/events/duplicate", json!({"count": 100}))
        .await;
    assert_eq!(body["records_produced"], 3, "all there are");
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_arrives_as_it_was_spoilt() {
    let own = Own::start().await;
    let log = Log::from_now(own.lab).await;
    let topic = EventType::RetraitEffectue.topic();
    for kind in simulator::poison::PoisonKind::ALL {
        let body = json!({"topic": topic, "kind": kind, "count": 4});
        let (status, body) = own.post("/api/v1/events/poison", body).await;
        assert_eq!(
            (status, &body["records_produced"]),
            (200, &json!(4)),
            "{body}"
        );
        assert_eq!(
            (&body["topic"], &body["kind"]),
            (&json!(topic), &json!(kind))
        );
    }
    // Others may have good events there meanwhile.
    let records = log.records().await;
    let bad = records
        .iter()
        .filter(|r| r.topic.topic() == topic && r.event.is_err());
    let mut kinds = std::collections::BTreeMap::new();
    for record in bad {
        let Err(chassis::kafka::Failure::Poison(poison)) = &record.event else {
            panic!("the registry answers");
        };
        *kinds.entry(poison.kind).or_insert(0) += 1;
        assert!(
            record.headers.contains_key("traceparent"),
            "{:?}",
            record.headers
        );
    }
    let expected = [
        ("bad_magic", 4),
        ("empty", 4),
        ("tombstone", 4),
        ("undecodable", 8),
        ("unknown_schema_id", 4),
        ("wrong_schema", 4),
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
}

/// A scenario's faults are counted apart, and what it sent is what it counted.
#[tokio::test(flavor = "multi_thread")]
async fn a_scenario_with_faults_counts_them() {
    let own = Own::start().await;
    let body = json!({"scenario": "duplicates", "rate": 500, "duration": 2, "seed": 7});
    own.start_simulation(body).await;
    let status = own.ended().await;
    assert_eq!(status["events_produced"], 1_000, "{status}");
    let duplicates = status["faults"]["duplicates"].as_u64().expect("a count");
    assert!((60..140).contains(&duplicates), "{status}");
    until_async("the books know of them", async || {
        let url = format!("{}/api/v1/ledger", own.lab.bancaire_url());
        let ledger: serde_json::Value = tests::http()
            .get(url)
            .send()
            .await
            .ok()?
            .json()
            .await
            .ok()?;
        (ledger["totals"]["duplicates"].as_u64()? >= duplicates).then_some(())
    })
    .await;
}
