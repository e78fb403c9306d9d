//! Registries in this process, each with a database of its own.

use std::time::{Duration, Instant};

use chassis::config::PostgresConfig;
use reqwest::StatusCode;
use serde_json::json;
use tests::Lab;
use tests::link::{Link, link_to};

use super::{Own, code, record};

#[tokio::test]
async fn settings_of_all_subjects_hold_for_those_without_their_own() {
    let lab = Lab::shared().await;
    let own = Own::start(lab.fresh_database("registry").await).await;
    let registry = &own.registry;
    assert_eq!(registry.get("/").await, (200, json!({})));
    assert_eq!(registry.get("/subjects").await, (200, json!([])));
    assert_eq!(
        registry.get("/config").await,
        (200, json!({ "compatibilityLevel": "BACKWARD" }))
    );
    let int = json!("int");
    registry.register("s", &int).await;
    assert_eq!(
        code(
            registry
                .post("/subjects/s/versions", &json!("string"))
                .await
        ),
        (409, 409)
    );
    registry
        .put("/config", json!({ "compatibility": "none" }))
        .await;
    assert_eq!(
        registry.get("/config").await.1["compatibilityLevel"],
        "NONE"
    );
    registry.register("s", &json!("string")).await;
    assert_eq!(
        registry.delete("/config").await.1["compatibilityLevel"],
        "NONE"
    );
    assert_eq!(
        registry.get("/config").await.1["compatibilityLevel"],
        "BACKWARD"
    );

    assert_eq!(
        registry.get("/mode").await,
        (200, json!({ "mode": "READWRITE" }))
    );
    let read_only = json!({ "mode": "READONLY" });
    assert_eq!(
        registry.put("/mode", read_only.clone()).await,
        (200, read_only.clone())
    );
    assert_eq!(
        registry.get("/mode/s?defaultToGlobal=true").await,
        (200, read_only)
    );
    assert_eq!(
        code(registry.post("/subjects/t/versions", &int).await),
        (422, 42205)
    );
    assert_eq!(code(registry.delete("/subjects/s").await), (422, 42205));
    assert_eq!(
        code(registry.post("/subjects/s/versions", &int).await),
        (200, 0)
    );
    // Nor may what holds for a subject be changed.
    let none = json!({ "compatibility": "NONE" });
    assert_eq!(code(registry.put("/config/s", none).await), (422, 42205));
    registry
        .put("/mode/t", json!({ "mode": "READWRITE" }))
        .await;
    registry.register("t", &int).await;
    assert_eq!(
        registry.delete("/mode/t").await,
        (200, json!({ "mode": "READWRITE" }))
    );
    // Unless the global mode says that it goes before all others.
    registry
        .put("/mode/t", json!({ "mode": "READWRITE" }))
        .await;
    registry
        .put("/mode", json!({ "mode": "readonly_override" }))
        .await;
    let long = json!("long");
    let refused = registry.post("/subjects/t/versions", &long).await;
    assert_eq!(code(refused), (422, 42205));
    assert_eq!(
        code(registry.put("/mode", json!({ "mode": "SLOW" })).await),
        (422, 42204)
    );
}

#[tokio::test]
async fn instances_at_once_agree_on_ids_and_versions() {
    const SUBJECTS: usize = 4;
    let lab = Lab::shared().await;
    let database = lab.fresh_database("registry").await;
    // Both migrate the empty database at the same time.
    let (a, b) = tokio::join!(Own::start(database.clone()), Own::start(database));
    a.registry
        .put("/config", json!({ "compatibility": "NONE" }))
        .await;
    let mut same = tokio::task::JoinSet::new();
    let mut different = tokio::task::JoinSet::new();
    let schema = record(json!([]));
    for n in 0..40 {
        let registry = if n % 2 == 0 { &a } else { &b }.registry.clone();
        let (other, schema) = (registry.clone(), schema.clone());
        same.spawn(async move {
            registry
                .register(&format!("s{}", n % SUBJECTS), &schema)
                .await
        });
        different.spawn(async move { other.register("many", &record(json!([]))).await });
    }
    let mut ids = same.join_all().await;
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    for n in 0..SUBJECTS {
        let versions = b.registry.get(&format!("/subjects/s{n}/versions")).await;
        assert_eq!(versions, (200, json!([1])));
    }
    let mut ids = different.join_all().await;
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 40);
    let numbers: Vec<i32> = (1..=40).collect();
    assert_eq!(
        a.registry.get("/subjects/many/versions").await,
        (200, json!(numbers))
    );
}

#[tokio::test]
async fn postgres_away_is_50001_in_time_and_mends_itself() {
    let lab = Lab::shared().await;
    let database = lab.fresh_database("registry").await;
    let (port, link) = link_to(database.port).await;
    let own = Own::start(PostgresConfig { port, ..database }).await;
    let registry = &own.registry;
    let id = registry.register("s", &json!("int")).await;
    let by_id = format!("/schemas/ids/{id}");
    assert_eq!(registry.get(&by_id).await.0, 200);
    for state in [Link::Cut, Link::Silent] {
        link.send_replace(state);
        let asked = Instant::now();
        assert_eq!(code(registry.get("/subjects").await), (500, 50001));
        let post = registry.post("/subjects/s/versions", &json!("long")).await;
        assert_eq!(code(post), (500, 50001));
        assert!(
            asked.elapsed() < Duration::from_secs(12),
            "{:?}",
            asked.elapsed()
        );
        assert_eq!(registry.get(&by_id).await.0, 200, "it is in memory");
        let ready = registry
            .http
            .get(format!("{}/health/ready", registry.url))
            .send()
            .await;
        assert_eq!(ready.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
        link.send_replace(Link::Through);
        own.wait_ready().await;
        assert_eq!(registry.get("/subjects").await, (200, json!(["s"])));
    }
    registry.register("s", &json!("long")).await;
}
