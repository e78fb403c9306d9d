//! From a topic to a WebSocket.

use std::collections::HashSet;

use serde_json::{Value, json};
use tests::{Lab, until_async};

use crate::socket::{Socket, get, produce};

const OUVERT: &str = "bancaire.compte.ouvert";

/// Plan: TestWebSocket_ReceivesKafkaEvents
#[tokio::test(flavor = "multi_thread")]
async fn websocket_receives_kafka_events() {
    let lab = Lab::shared().await;
    let mut socket = Socket::watch(&lab.ws_url(), &[OUVERT]).await;
    let ids = produce(lab, "CompteOuvert", 1).await;
    let message = socket.event(&ids[0]).await;
    assert_eq!(message["topic"], OUVERT);
    let payload = &message["payload"];
    assert_eq!(payload["event_type"], "CompteOuvert");
    assert_eq!(payload["key"], payload["event"]["compte_id"]);
    assert!(
        payload["event"]["solde_initial"].is_string(),
        "amounts are strings: {payload}"
    );
    assert!((0..3).contains(&payload["partition"].as_i64().unwrap()));
    assert!(payload["latency_ms"].as_i64().unwrap() < 60_000);
    assert_eq!(payload["trace_id"].as_str().expect("a trace").len(), 32);
    let stats = socket.hear_of("stats").await;
    let topic = &stats["payload"]["topics"][OUVERT];
    assert!(topic["count"].as_u64().unwrap() >= 1, "{stats}");
    assert_eq!(topic["sampled_out"], 0);
}

/// Plan: TestWebSocket_MultipleClients
#[tokio::test(flavor = "multi_thread")]
async fn websocket_multiple_clients() {
    let lab = Lab::shared().await;
    let mut sockets = Vec::new();
    for _ in 0..3 {
        sockets.push(Socket::watch(&lab.ws_url(), &["*"]).await);
    }
    // One that asked for something else.
    let mut other = Socket::watch(&lab.ws_url(), &["bancaire.compte.ferme"]).await;
    let ids = produce(lab, "CompteOuvert", 5).await;
    for socket in &mut sockets {
        let mut seen = HashSet::new();
        while !ids.iter().all(|id| seen.contains(id)) {
            let message = socket.hear_of("event").await;
            if let Some(id) = message["payload"]["event"]["event_id"].as_str() {
                assert!(seen.insert(id.to_owned()), "{id} came twice");
            }
        }
    }
    other
        .say(json!({"action": "unsubscribe", "topics": ["*"]}))
        .await;
    loop {
        let message = other.hear().await;
        assert_ne!(message["topic"], OUVERT, "it was not asked for");
        if message["type"] == "status" && message["payload"]["topics"] == json!([]) {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn above_its_rate_a_client_gets_samples_and_the_count() {
    let lab = Lab::shared().await;
    let mut socket = Socket::open(&lab.ws_url()).await;
    socket
        .say(json!({"action": "subscribe", "topics": [OUVERT], "max_rate": 5}))
        .await;
    while socket.hear_of("status").await["payload"]["topics"] == json!([]) {}
    produce(lab, "CompteOuvert", 500).await;
    let mut events = 0;
    let sampled_out = loop {
        let message = socket.hear().await;
        if message["type"] == "event" {
            events += 1;
        }
        let topic = &message["payload"]["topics"][OUVERT];
        if let Some(sampled_out) = topic["sampled_out"].as_u64()
            && sampled_out + events >= 500
        {
            break sampled_out;
        }
    };
    assert!(
        sampled_out >= 400 && events >= 5,
        "{events} events, {sampled_out} left out"
    );
}

/// A record that cannot be decoded is shown as what it is, and so is its dead letter.
#[tokio::test(flavor = "multi_thread")]
async fn poison_is_seen_twice_as_itself_and_as_a_dead_letter() {
    let lab = Lab::shared().await;
    let mut socket = Socket::watch(&lab.ws_url(), &["*"]).await;
    let body = json!({"topic": "bancaire.depot.effectue", "kind": "bad_magic", "count": 1});
    let url = format!("{}/api/v1/events/poison", lab.gateway_url());
    let response = tests::http().post(url).json(&body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let is_poison = |message: &Value| message["payload"]["error"]["kind"] == "bad_magic";
    let mut poison = socket.hear_of("event").await;
    while !is_poison(&poison) {
        poison = socket.hear_of("event").await;
    }
    assert_eq!(poison["payload"]["event"], Value::Null);
    loop {
        let letter = socket.hear_of("event").await;
        let event = &letter["payload"]["event"];
        if letter["topic"] == "system.dlq" && event["offset"] == poison["payload"]["offset"] {
            assert_eq!(event["error"]["type"], "bad_magic");
            assert_eq!(event["original_topic"], "bancaire.depot.effectue");
            break;
        }
    }
}

/// The stream goes on where it stopped: nothing is missing, nothing comes twice.
#[tokio::test(flavor = "multi_thread")]
async fn the_stream_survives_the_death_of_the_broker() {
    let lab = Lab::prepare("stream");
    tokio::task::block_in_place(|| lab.xtask(&["up", "--detach", "--no-build"]).success());
    let mut socket = Socket::watch(&lab.ws_url(), &["*"]).await;
    let before = produce(&lab, "CompteOuvert", 3).await;
    tokio::task::block_in_place(|| lab.xtask(&["services", "kill", "kafka"]).success());
    until_async("Kafka is reported as away", async || {
        let (status, health) = get(&lab, "/api/v1/health").await;
        assert_eq!(status, 200);
        (health["services"]["kafka"]["status"] == "unhealthy").then_some(())
    })
    .await;
    tokio::task::block_in_place(|| lab.xtask(&["services", "up"]).success());
    let after = produce(&lab, "CompteOuvert", 3).await;
    let mut seen: Vec<String> = Vec::new();
    let mut connected = vec![true];
    while seen.len() < before.len() + after.len() || connected.last() != Some(&true) {
        let message = socket.hear().await;
        match message["type"].as_str().unwrap() {
            "status" => connected.push(message["payload"]["connected"] == true),
            "event" => {
                let id = message["payload"]["event"]["event_id"]
                    .as_str()
                    .expect("an event");
                seen.push(id.to_owned());
            }
            _ => {}
        }
    }
    connected.dedup();
    assert_eq!(connected, [true, false, true], "the client was told");
    let sorted = |ids: Vec<String>| {
        let mut ids = ids;
        ids.sort();
        ids
    };
    assert_eq!(sorted(seen), sorted([before, after].concat()));
    tokio::task::block_in_place(|| lab.xtask(&["down"]).success());
}
