//! The service as a whole: by itself, and while something is away.

use std::collections::BTreeMap;

use schemas::{Event, EventType};
use serde_json::json;
use tests::{Lab, until_async};

use super::generate::opened_by;
use super::log::Log;
use super::{Own, config};

/// Ten seconds at five per second: fifty events, all readable, all about accounts that the
/// simulation itself opened.
///
/// Plan: TestSimulatorE2E
#[tokio::test(flavor = "multi_thread")]
async fn simulator_e2e() {
    let own = Own::start().await;
    let log = Log::from_now(own.lab).await;
    let started = own
        .start_simulation(json!({"rate": 5, "duration": 10}))
        .await;
    assert_eq!(own.status().await["status"], "running");
    let status = own.ended().await;
    assert_eq!(status["events_produced"], 50, "{status}");
    let elapsed = status["elapsed_seconds"].as_f64().expect("seconds");
    assert!((10.0..12.0).contains(&elapsed), "{status}");

    let records = log.records().await;
    let opened = opened_by(&records, &started["simulation_id"]);
    let mut found: BTreeMap<&str, u64> = EventType::ALL.iter().map(|t| (t.name(), 0)).collect();
    for record in &records {
        // Other tests may poison a topic meanwhile; that is not this simulation's.
        let Ok(event) = &record.event else { continue };
        if opened.contains(event.key()) && !matches!(event, Event::VirementRecu(_)) {
            event.check().expect("amounts fit");
            *found.get_mut(record.topic.name()).unwrap() += 1;
        }
    }
    assert_eq!(
        json!(found),
        status["by_type"],
        "each of them is in its log, once"
    );
}

/// Plan: TestSimulatorManualStop
#[tokio::test(flavor = "multi_thread")]
async fn simulator_manual_stop() {
    let own = Own::start().await;
    let log = Log::from_now(own.lab).await;
    let started = own
        .start_simulation(json!({"rate": 50, "duration": 0}))
        .await;
    let running = own.produced(150).await;
    assert_eq!(
        (&running["status"], &running["duration"]),
        (&json!("running"), &json!(0.0))
    );
    let stopped = own.stop_simulation().await;
    let records = log.records().await;
    let opened = opened_by(&records, &started["simulation_id"]);
    let events = records
        .iter()
        .filter_map(|record| record.event.as_ref().ok());
    let ours = events.filter(|event| {
        opened.contains(event.key()) && event.event_type() != EventType::VirementRecu
    });
    assert_eq!(
        stopped["events_produced"].as_u64(),
        Some(ours.count() as u64)
    );
}

/// Plan: TestSimulatorProduceSingle
#[tokio::test(flavor = "multi_thread")]
async fn simulator_produce_single() {
    let own = Own::start().await;
    let log = Log::from_now(own.lab).await;
    let compte = tests::events::id();
    let body = json!({"event_type": "CompteOuvert", "count": 1, "compte_id": compte});
    let opening = own.produce(body).await;
    let depot = tests::events::depot(&compte, "12.34");
    let given = own
        .produce(json!({"event_type": "DepotEffectue", "event": depot}))
        .await;
    assert_eq!(given, [depot.event_id()], "the id is the event's own");
    let records = log.of(&[opening, given].concat()).await;
    let [opening, given] = &records[..] else {
        panic!("{} records", records.len());
    };
    assert_eq!(
        (opening.topic, opening.key.as_str()),
        (EventType::CompteOuvert, compte.as_str())
    );
    assert_eq!(*given.event(), depot, "unchanged");
}

/// It listens at once, says what is missing, and works when it is there.
#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_a_registry_that_is_away() {
    let lab = Lab::shared().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("it has an address");
    drop(free);
    let mut config = config(lab);
    config.schema.url = format!("http://{address}");
    let own = Own::with(lab, config).await;
    assert_eq!(own.get("/health/live").await.0, 200);
    let (status, report) = own.get("/api/v1/health").await;
    assert_eq!(
        (status, &report["status"]),
        (200, &json!("degraded")),
        "{report}"
    );
    assert_eq!(report["schemas"], "waiting");
    assert_eq!(own.get("/health/ready").await.0, 503);
    let (status, problem) = own.post("/api/v1/simulation/start", json!({})).await;
    assert_eq!(status, 503, "{problem}");

    // The registry comes up where it was looked for.
    let registry = lab.registry_url();
    let registry = registry.trim_start_matches("http://").to_owned();
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .expect("it is still free");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = tokio::net::TcpStream::connect(&registry)
                .await
                .expect("it runs");
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    until_async("it is ready", async || {
        (own.get("/health/ready").await.0 == 200).then_some(())
    })
    .await;
    assert_eq!(
        own.produce(json!({"event_type": "CompteOuvert"}))
            .await
            .len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_scenarios_adds_to_the_built_in_ones() {
    let lab = Lab::shared().await;
    let folder = tempfile::tempdir().expect("a folder");
    let text = "name: calm\ndescription: {en: Calm., fr: Calme.}\nrate: 1\nduration: 5\n\
                initial_accounts: 1\nweights: {DepotEffectue: 1}\n";
    std::fs::write(folder.path().join("calm.yaml"), text).expect("it is writable");
    let with_folder = simulator::Config {
        scenarios_dir: Some(folder.path().to_owned()),
        max_rate: 100.0,
        ..config(lab)
    };
    let own = Own::with(lab, with_folder.clone()).await;
    let (_, body) = own.get("/api/v1/scenarios").await;
    let names = body["scenarios"].as_array().expect("scenarios").iter();
    let names: Vec<&str> = names.filter_map(|s| s["name"].as_str()).collect();
    assert!(
        names.contains(&"calm") && names.contains(&"default"),
        "{names:?}"
    );
    assert_eq!(body["max_rate"], 100.0);
    let (status, problem) = own
        .post("/api/v1/simulation/start", json!({"scenario": "burst"}))
        .await;
    assert_eq!(status, 400, "{problem}");
    let detail = problem["detail"].as_str().expect("a detail");
    assert!(
        detail.contains("1000") && detail.contains("100 "),
        "{detail}"
    );

    std::fs::write(folder.path().join("bad.yaml"), "name: bad\n").expect("it is writable");
    let error = simulator::run(with_folder, Default::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("bad.yaml"), "{error}");
}
