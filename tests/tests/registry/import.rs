//! IMPORT mode: schemas that come from another registry, with the ids that records carry.

use reqwest::Method;
use serde_json::{Value, json};
use tests::Lab;

use super::{Own, code, named};

fn with(schema: &Value, id: i64, version: i64) -> Option<Value> {
    Some(json!({ "schema": schema.to_string(), "id": id, "version": version }))
}

#[tokio::test]
async fn schemas_keep_their_ids_and_versions() {
    let lab = Lab::shared().await;
    let own = Own::start(lab.fresh_database("import").await).await;
    let registry = &own.registry;
    let import = json!({ "mode": "IMPORT" });
    let schema = named("A", json!([{ "name": "a", "type": "int" }]));
    let other = named("B", json!([{ "name": "b", "type": "int" }]));
    let post = async |subject: &str, body| {
        let path = format!("/subjects/{subject}/versions");
        registry.call(Method::POST, &path, body).await
    };

    // An id of its own may be brought in IMPORT mode only, and then must be.
    assert_eq!(code(post("s", with(&schema, 500, 3)).await), (422, 42205));
    let native = registry.register("native", &json!("int")).await;
    let refused = registry.put("/mode", import.clone()).await;
    assert_eq!(code(refused), (422, 42205), "there is something already");
    assert_eq!(
        registry.put("/mode/s", import.clone()).await,
        (200, import.clone())
    );
    let without = registry.post("/subjects/s/versions", &schema).await;
    assert_eq!(code(without), (422, 42205));

    assert_eq!(
        post("s", with(&schema, 500, 3)).await,
        (200, json!({ "id": 500 }))
    );
    assert_eq!(
        post("s", with(&schema, 500, 3)).await,
        (200, json!({ "id": 500 }))
    );
    // Not even compatible: what is imported was accepted elsewhere.
    assert_eq!(
        post("s", with(&other, 400, 7)).await,
        (200, json!({ "id": 400 }))
    );
    assert_eq!(
        registry.get("/subjects/s/versions").await,
        (200, json!([3, 7]))
    );
    assert_eq!(
        registry.get("/schemas/ids/400/schema").await,
        (200, other.clone())
    );
    // An id stands for one schema.
    let third = named("C", json!([]));
    assert_eq!(code(post("s", with(&third, 500, 8)).await), (422, 42205));
    assert_eq!(code(post("s", with(&third, native, 8)).await), (422, 42205));
    assert_eq!(
        code(post("s", with(&third, 2_147_483_647, 8)).await),
        (422, 42205)
    );
    // A version that is there is replaced.
    assert_eq!(
        post("s", with(&third, 600, 7)).await,
        (200, json!({ "id": 600 }))
    );
    assert_eq!(registry.get("/subjects/s/versions/7").await.1["id"], 600);

    // Afterwards life goes on, and new ids come after the imported ones.
    assert_eq!(registry.delete("/mode/s").await, (200, import.clone()));
    assert_eq!(registry.register("s", &third).await, 600);
    registry
        .put("/config/s", json!({ "compatibility": "NONE" }))
        .await;
    let next = named("D", json!([]));
    assert_eq!(registry.register("s", &next).await, 601);
    assert_eq!(
        registry.get("/subjects/s/versions").await,
        (200, json!([3, 7, 8]))
    );
    let wrong = json!({ "schema": json!("string").to_string(), "version": 20 });
    assert_eq!(code(post("s", Some(wrong)).await), (422, 42201));
    // The same schema elsewhere has the id that it was imported with.
    assert_eq!(registry.register("t", &schema).await, 500);

    // With force, a registry that is in use takes imports, too; what was deleted stays.
    registry.delete("/subjects/t").await;
    assert_eq!(
        code(registry.put("/mode?force=true", import.clone()).await),
        (200, 0)
    );
    let deleted = registry.get("/subjects/t/versions?deleted=true").await;
    assert_eq!(deleted, (200, json!([1])));
    // Without force and with nothing live, it is forgotten: its versions are free.
    registry.put("/mode", json!({ "mode": "READWRITE" })).await;
    assert_eq!(code(registry.put("/mode/t", import).await), (200, 0));
    let forgotten = registry.get("/subjects/t/versions?deleted=true").await;
    assert_eq!(code(forgotten), (404, 40401));
}
