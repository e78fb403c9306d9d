//! Schemas that use types of other subjects.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Registry, code, subject};

/// A record `tests.NAME` and its name, which occurs nowhere else.
fn money() -> (String, Value) {
    let name = format!("Money{}", tests::events::id().replace('-', ""));
    let fields = json!([{ "name": "amount", "type": "long" }]);
    (format!("tests.{name}"), super::named(&name, fields))
}

fn order(of: &str) -> Value {
    super::record(json!([{ "name": "total", "type": of }]))
}

fn body(schema: &Value, references: &Value) -> Option<Value> {
    Some(json!({ "schema": schema.to_string(), "references": references }))
}

#[tokio::test]
async fn a_schema_finds_the_types_that_it_refers_to() {
    let registry = Registry::shared().await;
    let (money_subject, order_subject) = (subject("money"), subject("order"));
    let (name, money) = money();
    let money_id = registry.register(&money_subject, &money).await;
    let order = order(&name);
    let versions = format!("/subjects/{order_subject}/versions");
    // Without the reference its name is unknown, with a wrong one, too.
    assert_eq!(code(registry.post(&versions, &order).await), (422, 42201));
    for wrong in [
        json!([{ "name": name, "subject": subject("none"), "version": 1 }]),
        json!([{ "name": name, "subject": money_subject, "version": 2 }]),
        json!([{ "name": name, "subject": money_subject }]),
    ] {
        let refused = registry
            .call(Method::POST, &versions, body(&order, &wrong))
            .await;
        assert_eq!(code(refused), (422, 42201), "{wrong}");
    }
    // The latest is stored as a number: what it means does not change later.
    let latest = json!([{ "name": name, "subject": money_subject, "version": -1 }]);
    let (status, answer) = registry
        .call(Method::POST, &versions, body(&order, &latest))
        .await;
    assert_eq!(status, 200, "{answer}");
    let id = answer["id"].as_i64().unwrap();
    let references = json!([{ "name": name, "subject": money_subject, "version": 1 }]);
    let again = registry
        .call(Method::POST, &versions, body(&order, &references))
        .await;
    assert_eq!(again, (200, json!({ "id": id })));
    assert_eq!(registry.get(&versions).await, (200, json!([1])));

    let (_, version) = registry.get(&format!("{versions}/1")).await;
    assert_eq!(version["references"], references);
    let by_id = format!("/schemas/ids/{id}");
    let (_, found) = registry.get(&by_id).await;
    assert_eq!(found["references"], references);
    assert_eq!(found["schema"], version["schema"]);
    let (_, plain) = registry.get(&format!("/schemas/ids/{money_id}")).await;
    assert!(plain.get("references").is_none(), "{plain}");
    let (_, resolved) = registry
        .get(&format!("{by_id}/schema?format=resolved"))
        .await;
    assert_eq!(resolved["fields"][0]["type"]["fields"][0]["name"], "amount");
    let (_, with_max) = registry.get(&format!("{by_id}?fetchMaxId=true")).await;
    assert!(with_max["maxId"].as_i64().unwrap() >= id);

    // A client that resolved it itself means the same version.
    let (_, lookup) = registry
        .post(&format!("/subjects/{order_subject}"), &resolved)
        .await;
    assert_eq!(lookup["id"], id);
    assert_eq!(registry.post(&versions, &resolved).await.1["id"], id);
}

#[tokio::test]
async fn what_others_refer_to_stays() {
    let registry = Registry::shared().await;
    let (money_subject, order_subject) = (subject("money"), subject("order"));
    let (name, money) = money();
    registry.register(&money_subject, &money).await;
    let references = json!([{ "name": name, "subject": money_subject, "version": 1 }]);
    let versions = format!("/subjects/{order_subject}/versions");
    let answer = registry
        .call(Method::POST, &versions, body(&order(&name), &references))
        .await;
    let path = format!("/subjects/{money_subject}");
    let who = format!("{path}/versions/latest/referencedby");
    assert_eq!(registry.get(&who).await, (200, json!([answer.1["id"]])));
    for path in [&path, &format!("{path}/versions/1")] {
        let refused = registry.delete(path).await;
        let expected = format!(
            "One or more references exist to the schema \
             {{magic=1,keytype=SCHEMA,subject={money_subject},version=1}}."
        );
        assert_eq!(
            refused,
            (422, json!({ "error_code": 42206, "message": expected }))
        );
    }
    // Once the other one is deleted, if only softly, it may go.
    registry.delete(&format!("/subjects/{order_subject}")).await;
    assert_eq!(registry.get(&who).await, (200, json!([])));
    assert_eq!(registry.delete(&path).await, (200, json!([1])));
}

#[tokio::test]
async fn compatibility_follows_references() {
    let registry = Registry::shared().await;
    let (money_subject, order_subject) = (subject("money"), subject("order"));
    let (name, money) = money();
    let mut wider = money.clone();
    wider["fields"][0]["type"] = json!("string");
    registry.register(&money_subject, &money).await;
    registry
        .put(
            &format!("/config/{money_subject}"),
            json!({ "compatibility": "NONE" }),
        )
        .await;
    registry.register(&money_subject, &wider).await;
    let order = order(&name);
    let versions = format!("/subjects/{order_subject}/versions");
    let of = |version: i32| {
        let references = json!([{ "name": name, "subject": money_subject, "version": version }]);
        body(&order, &references)
    };
    let first = registry.call(Method::POST, &versions, of(1)).await;
    assert_eq!(first.0, 200, "{first:?}");
    // The text is the same; what its names stand for is not.
    let (status, refused) = registry.call(Method::POST, &versions, of(2)).await;
    assert_eq!(status, 409, "{refused}");
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.contains("/fields/0/type/fields/0/type"),
        "{message}"
    );
    let check = format!("/compatibility{versions}/latest?verbose=true");
    let (_, verdict) = registry.call(Method::POST, &check, of(2)).await;
    assert_eq!(verdict["is_compatible"], false);
    assert!(
        verdict["messages"][0]
            .as_str()
            .unwrap()
            .contains("TYPE_MISMATCH"),
        "{verdict}"
    );
}
