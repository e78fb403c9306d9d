//! What can be seen of the contract without a database, and the drift of the OpenAPI document.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tower::ServiceExt;

use super::*;

/// A registry whose PostgreSQL is away.
fn without_postgres() -> Router {
    let options = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(1);
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(100));
    router(Store::new(pool.connect_lazy_with(options)))
}

async fn answer(request: Request<Body>) -> (u16, String, Value) {
    let response = without_postgres().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let content_type = content_type
        .map_or("", |value| value.to_str().unwrap())
        .to_owned();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20)
        .await
        .unwrap();
    (
        status,
        content_type,
        serde_json::from_slice(&body).unwrap_or(Value::Null),
    )
}

fn post(path: &str, content_type: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(path).header(header::CONTENT_TYPE, content_type);
    request.body(body.into()).unwrap()
}

#[tokio::test]
async fn bad_requests_have_the_contracts_form() {
    let path = "/subjects/s/versions";
    let json = "application/json";
    let schema = |text: &str| json!({ "schema": text }).to_string();
    let protobuf = json!({ "schema": "syntax = \"proto3\";", "schemaType": "PROTOBUF" });
    let reference = json!({ "schema": "\"int\"", "references": [{ "name": "x" }] });
    for (request, status, code) in [
        (
            Request::get("/nowhere").body(Body::empty()).unwrap(),
            404,
            404,
        ),
        (
            Request::get("/schemas/ids/x").body(Body::empty()).unwrap(),
            404,
            404,
        ),
        (Request::patch(path).body(Body::empty()).unwrap(), 405, 405),
        (post(path, "text/plain", schema("\"int\"")), 415, 415),
        (post(path, json, "{"), 400, 400),
        (post(path, json, ""), 400, 400),
        (post(path, json, "[1]"), 422, 422),
        (post(path, json, vec![b' '; BODY_LIMIT + 1]), 413, 413),
        (post(path, json, "{}"), 422, 42201),
        (post(path, json, schema("{\"type\":\"strin\"}")), 422, 42201),
        (post(path, json, protobuf.to_string()), 422, 42201),
        (post(path, json, reference.to_string()), 422, 42201),
        (
            Request::put("/config")
                .body(Body::from(json!({ "alias": "t" }).to_string()))
                .unwrap(),
            422,
            422,
        ),
        (
            Request::get("/schemas?offset=x")
                .body(Body::empty())
                .unwrap(),
            400,
            400,
        ),
        (
            Request::get("/subjects/:.other:s/versions")
                .body(Body::empty())
                .unwrap(),
            422,
            42208,
        ),
        (
            post("/subjects/a%0Ab/versions", json, schema("\"int\"")),
            422,
            42208,
        ),
        (
            Request::get("/subjects/s/versions/0")
                .body(Body::empty())
                .unwrap(),
            422,
            42202,
        ),
        (
            Request::get("/subjects/%FF/versions")
                .body(Body::empty())
                .unwrap(),
            404,
            404,
        ),
        (
            Request::put("/config")
                .body(Body::from(
                    json!({ "compatibility": "SIDEWAYS" }).to_string(),
                ))
                .unwrap(),
            422,
            42203,
        ),
        (
            Request::put("/mode")
                .body(Body::from(json!({ "mode": "SLOW" }).to_string()))
                .unwrap(),
            422,
            42204,
        ),
    ] {
        let what = format!("{} {}", request.method(), request.uri());
        let (got, content_type, body) = answer(request).await;
        assert_eq!(
            (got, &body["error_code"]),
            (status, &json!(code)),
            "{what}: {body}"
        );
        assert_eq!(content_type, wire::CONTENT_TYPE, "{what}");
        assert!(!body["message"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn without_postgres_the_registry_says_so() {
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let (status, _, body) = answer(get("/subjects")).await;
    assert_eq!((status, &body["error_code"]), (500, &json!(50001)));
    let (status, _, body) = answer(get("/health/ready")).await;
    assert_eq!((status, &body["postgres"]), (503, &json!("unavailable")));
    for path in [
        "/health/live",
        "/",
        "/schemas/types",
        "/contexts",
        "/v1/metadata/id",
        "/v1/metadata/version",
        "/metrics",
        "/api/v1/openapi.json",
    ] {
        assert_eq!(answer(get(path)).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn the_answer_has_the_content_type_that_was_asked_for() {
    let request = Request::get("/schemas/types").header(header::ACCEPT, "application/json");
    let (_, content_type, body) = answer(request.body(Body::empty()).unwrap()).await;
    assert_eq!(
        (content_type.as_str(), body),
        ("application/json", json!(["AVRO"]))
    );
}

/// The committed document is what the code says; `UPDATE=1` rewrites it.
#[test]
fn the_openapi_document_is_up_to_date() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/openapi/registry.json"
    );
    let text = openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
        std::fs::write(path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == text,
        "run the tests of this crate with UPDATE=1"
    );
}

/// Every `$ref` of the document has something to refer to.
#[test]
fn the_openapi_document_has_what_it_refers_to() {
    fn check(document: &Value, value: &Value) {
        match value {
            Value::Object(object) => {
                if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
                    let found = document.pointer(reference.trim_start_matches('#'));
                    assert!(found.is_some(), "{reference}");
                }
                object.values().for_each(|value| check(document, value));
            }
            Value::Array(values) => values.iter().for_each(|value| check(document, value)),
            _ => {}
        }
    }
    let document = serde_json::to_value(openapi()).unwrap();
    check(&document, &document);
    assert!(document["components"]["schemas"]["ErrorBody"].is_object());
}
