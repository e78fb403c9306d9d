//! What is refused, and the document; without a broker or a registry.

use axum::body::Body;
use axum::http::{Method, Request, header};
use chassis::config::KafkaConfig;
use chassis::registry::SchemaIds;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

fn api() -> Api {
    // Nobody listens there.
    let kafka = KafkaConfig {
        bootstrap_servers: "127.0.0.1:1".into(),
        auto_offset_reset: "earliest".into(),
        security: Default::default(),
    };
    let publisher = Arc::new(Publisher::new(&kafka, None).unwrap());
    Api {
        manager: Arc::new(Manager::new(publisher.clone())),
        guichet: Arc::new(Mutex::new(Guichet::new(7))),
        scenarios: Arc::new(Scenarios::load(None).unwrap()),
        health: Arc::new(Health::new(publisher.clone())),
        publisher,
        max_rate: 50_000.0,
    }
}

async fn call(api: &Api, method: Method, path: &str, body: impl ToString) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    let response = router(api.clone()).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20)
        .await
        .unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

async fn refused(api: &Api, method: Method, path: &str, body: impl ToString, words: &[&str]) {
    let body = body.to_string();
    let (status, problem) = call(api, method, path, &body).await;
    assert_eq!(status, 400, "{body}: {problem}");
    let detail = problem["detail"].as_str().unwrap();
    for word in words {
        assert!(
            detail.contains(word),
            "{body}: {word:?} is not in {detail:?}"
        );
    }
}

#[tokio::test]
async fn a_bad_start_is_refused_with_the_reason() {
    let api = api();
    api.publisher.set_ids(SchemaIds::new([1; 7]));
    for (body, words) in [
        (
            json!({"scenario": "nope"}),
            &["\"nope\"", "default", "burst"][..],
        ),
        (json!({"rate": 0}), &["rate is 0", "0.01"]),
        (json!({"rate": -3.5}), &["rate is -3.5"]),
        (json!({"rate": 50_000.1}), &["rate is 50000.1", "50000"]),
        (json!({"rate": "fast"}), &["rate", "f64"]),
        (json!({"duration": -1}), &["duration is -1"]),
        (json!({"duration": 1e9}), &["duration is 1000000000"]),
        (json!({"seed": -1}), &["seed"]),
        (json!({"ratte": 5}), &["ratte", "rate"]),
        (json!([]), &[]),
    ] {
        refused(&api, Method::POST, "/api/v1/simulation/start", body, words).await;
    }
    for text in ["{\"rate\":", "{\"rate\": NaN}", "{\"rate\": 1e999}", ""] {
        refused(&api, Method::POST, "/api/v1/simulation/start", text, &[]).await;
    }
    for (body, words) in [
        (json!({"rate": 0}), &["rate is 0"][..]),
        (json!({"rate": 60_000}), &["rate is 60000"]),
        (json!({}), &["rate"]),
    ] {
        refused(&api, Method::PATCH, "/api/v1/simulation", body, words).await;
    }
    assert_eq!(api.manager.status().simulation_id, None, "none was started");
}

#[tokio::test]
async fn a_bad_event_is_refused_with_the_reason() {
    let api = api();
    api.publisher.set_ids(SchemaIds::new([1; 7]));
    let id = uuid::Uuid::new_v4();
    let depot = json!({"event_id": id, "timestamp": "2026-03-01T12:00:00Z", "compte_id": id,
        "montant": "1.00", "devise": "EUR", "reference": "R", "canal": "GUICHET"});
    let with = |field: &str, value: Value| {
        let mut depot = depot.clone();
        depot[field] = value;
        json!({"event_type": "DepotEffectue", "event": depot})
    };
    for (body, words) in [
        (
            json!({"event_type": "Nope", "count": 1}),
            &["Nope", "CompteOuvert"][..],
        ),
        (json!({"count": 1}), &["event_type"]),
        (
            json!({"event_type": "CompteOuvert", "count": 0}),
            &["count is 0"],
        ),
        (
            json!({"event_type": "CompteOuvert", "count": -1}),
            &["count is -1"],
        ),
        (
            json!({"event_type": "CompteOuvert", "count": 10_001}),
            &["count is 10001", "10000"],
        ),
        (
            json!({"event_type": "CompteOuvert", "count": 1.5}),
            &["count"],
        ),
        (
            json!({"event_type": "DepotEffectue", "compte_id": "x"}),
            &["compte_id \"x\""],
        ),
        (
            json!({"event_type": "CompteOuvert", "count": 2, "compte_id": id}),
            &["count is 2", "CompteOuvert"],
        ),
        (
            json!({"event_type": "DepotEffectue", "event": {}}),
            &["DepotEffectue", "missing"],
        ),
        (with("montant", json!("1.001")), &["1.001", "decimals"]),
        (with("event_id", json!("x")), &["event.event_id \"x\""]),
        (with("compte_id", json!("x")), &["event.compte_id \"x\""]),
        (with("canal", json!("FAX")), &["FAX"]),
        (
            json!({"event_type": "DepotEffectue", "count": 2, "event": depot}),
            &["count is 2"],
        ),
        (
            json!({"event_type": "DepotEffectue", "event": depot,
                "compte_id": uuid::Uuid::new_v4()}),
            &["compte_id is"],
        ),
    ] {
        refused(&api, Method::POST, "/api/v1/events/produce", body, words).await;
    }
    for (body, words) in [
        (
            json!({"topic": "nowhere", "kind": "empty"}),
            &["nowhere", "bancaire.depot.effectue"][..],
        ),
        (
            json!({"topic": "bancaire.depot.effectue", "kind": "rotten"}),
            &["rotten", "tombstone"],
        ),
        (
            json!({"topic": "bancaire.depot.effectue", "kind": "empty", "count": 0}),
            &["count is 0"],
        ),
    ] {
        refused(&api, Method::POST, "/api/v1/events/poison", body, words).await;
    }
    refused(
        &api,
        Method::POST,
        "/api/v1/events/duplicate",
        json!({"count": 0}),
        &["count is 0"],
    )
    .await;
}

#[tokio::test]
async fn what_cannot_be_done_now_says_why() {
    let api = api();
    let start = "/api/v1/simulation/start";
    let (status, problem) = call(&api, Method::POST, start, json!({})).await;
    assert_eq!(status, 503, "{problem}");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("not registered"),
        "{problem}"
    );
    let depot = json!({"event_type": "DepotEffectue"});
    assert_eq!(
        call(&api, Method::POST, "/api/v1/events/produce", depot)
            .await
            .0,
        503
    );
    api.publisher.set_ids(SchemaIds::new([1; 7]));
    let (status, problem) = call(&api, Method::POST, "/api/v1/events/duplicate", json!({})).await;
    assert_eq!(status, 409, "{problem}");
    for (method, path) in [
        (Method::POST, "/api/v1/simulation/stop"),
        (Method::PATCH, "/api/v1/simulation"),
    ] {
        let (status, problem) = call(&api, method, path, json!({"rate": 5})).await;
        assert_eq!(status, 409, "{problem}");
    }
}

/// Nothing is lost of what was asked for, and the request does not wait for ever.
#[tokio::test]
async fn without_a_broker_the_service_is_degraded_and_says_what_became_of_a_request() {
    let api = api();
    api.publisher.set_ids(SchemaIds::new([1; 7]));
    let (status, report) = call(&api, Method::GET, "/api/v1/health", "").await;
    assert_eq!(status, 200);
    assert_eq!(report["status"], "degraded");
    assert_eq!(report["kafka"], "disconnected");
    let (status, problem) = call(&api, Method::GET, "/health/ready", "").await;
    assert_eq!(status, 503, "{problem}");
    assert_eq!(call(&api, Method::GET, "/health/live", "").await.0, 200);
    let ouverture = json!({"event_type": "CompteOuvert"});
    let (status, problem) = call(&api, Method::POST, "/api/v1/events/produce", ouverture).await;
    assert_eq!(status, 503, "{problem}");
    assert_eq!(problem["events_produced"], 0);
    assert!(
        problem["detail"].as_str().unwrap().contains("no answer"),
        "{problem}"
    );
}

#[tokio::test]
async fn scenarios_and_the_status_before_any_run_are_shown() {
    let api = api();
    let (status, body) = call(&api, Method::GET, "/api/v1/scenarios", "").await;
    assert_eq!((status, &body["max_rate"]), (200, &json!(50_000.0)));
    let scenarios = body["scenarios"].as_array().unwrap();
    let burst = scenarios.iter().find(|s| s["name"] == "burst").unwrap();
    assert_eq!(
        (&burst["rate"], &burst["initial_accounts"]),
        (&json!(1_000.0), &json!(100))
    );
    assert!(burst["description"]["fr"].is_string() && burst["weights"].is_object());
    assert!(burst["faults"].is_object());

    let (status, body) = call(&api, Method::GET, "/api/v1/simulation/status", "").await;
    assert_eq!(status, 200);
    assert_eq!(
        (&body["status"], &body["simulation_id"]),
        (&json!("stopped"), &Value::Null)
    );
    for name in ["events_produced", "failed"] {
        assert_eq!(body[name], 0, "{name}");
    }
    for name in ["duration", "elapsed_seconds", "rate_target", "rate_actual"] {
        assert_eq!(body[name], 0.0, "{name}");
    }
    assert_eq!(body["by_type"].as_object().unwrap().len(), 7);
}

/// The committed document is what the code says; `UPDATE=1` rewrites it.
#[test]
fn the_committed_openapi_document_is_current() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/openapi/simulator.json"
    );
    let current = openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &current).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == current,
        "run UPDATE=1 cargo test -p simulator openapi"
    );
}
