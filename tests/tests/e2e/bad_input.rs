//! Bad input gets a 4xx problem that says what was wrong, through the gateway as a user sends it.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tests::{Lab, http};

async fn refused(request: RequestBuilder, status: u16, words: &[&str]) {
    let response = request.send().await.expect("the gateway answers");
    let got = response.status().as_u16();
    let content_type = response.headers().get("content-type").cloned();
    let text = response.text().await.expect("a body");
    assert_eq!(got, status, "{text}");
    let content_type = content_type.expect("a content type");
    assert_eq!(content_type, "application/problem+json", "{text}");
    let problem: Value = serde_json::from_str(&text).expect("a problem is JSON");
    let detail = problem["detail"].as_str().expect("a detail");
    for word in words {
        assert!(detail.contains(word), "{word:?} is not in {detail:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_with_the_reason() {
    let lab = Lab::shared().await;
    let call =
        |method: Method, path: &str| http().request(method, format!("{}{path}", lab.gateway_url()));
    let start = |body: Value| call(Method::POST, "/api/v1/simulation/start").json(&body);
    refused(
        start(json!({"scenario": "nope", "rate": 1, "duration": 1})),
        400,
        &["nope", "default"],
    )
    .await;
    refused(start(json!({"rate": 0, "duration": 1})), 400, &["rate"]).await;
    refused(start(json!({"rate": -3, "duration": 1})), 400, &["rate"]).await;
    refused(
        start(json!({"rate": 10_000_000, "duration": 1})),
        400,
        &["rate", "50000"],
    )
    .await;
    refused(
        start(json!({"rate": 1, "duration": -1})),
        400,
        &["duration"],
    )
    .await;
    refused(
        start(json!({"rate": "fast", "duration": 1})),
        400,
        &["rate"],
    )
    .await;
    let json_type = ("content-type", "application/json");
    let raw = |content_type: (&str, &str), body: Vec<u8>| {
        let (name, value) = content_type;
        call(Method::POST, "/api/v1/simulation/start")
            .header(name, value)
            .body(body)
    };
    refused(raw(json_type, b"{\"rate\":".to_vec()), 400, &[]).await;
    refused(
        raw(("content-type", "text/plain"), b"{}".to_vec()),
        415,
        &[],
    )
    .await;
    refused(raw(json_type, vec![b' '; 70_000]), 413, &[]).await;
    refused(
        call(Method::GET, "/api/v1/nowhere"),
        404,
        &["/api/v1/nowhere"],
    )
    .await;
    refused(
        call(Method::GET, "/api/v1/bancaire/comptes/not-a-uuid"),
        400,
        &["not-a-uuid"],
    )
    .await;
    let unknown = tests::events::id();
    let path = format!("/api/v1/bancaire/comptes/{unknown}");
    refused(call(Method::GET, &path), 404, &[&unknown]).await;
    refused(
        call(Method::POST, "/api/v1/simulation/stop").json(&json!({})),
        409,
        &[],
    )
    .await;
    let produce = |body: Value| call(Method::POST, "/api/v1/events/produce").json(&body);
    refused(
        produce(json!({"event_type": "Nope", "count": 1})),
        400,
        &["Nope", "CompteOuvert"],
    )
    .await;
    refused(
        produce(json!({"event_type": "CompteOuvert", "count": 0})),
        400,
        &["count"],
    )
    .await;
}

/// The command line names what was wrong, on one line, and fails.
#[test]
fn the_command_line_says_what_was_wrong() {
    let lab = Lab::prepare("cli");
    for (args, word) in [
        (&["verify"][..], "up"),
        (&["simulate", "--rate", "1"][..], "up"),
        (&["up", "--broker", "nope"][..], "nope"),
        (&["up", "--backend", "nope"][..], "nope"),
        (&["services", "kill", "nobody"][..], "nobody"),
        (&["dlq", "replay", "k", "--event", "{"][..], "not JSON"),
        (&["topics", "list"][..], "up"),
        (&["schemas", "diff", "nope"][..], "nope"),
        (&["logs", "nobody"][..], "nobody"),
    ] {
        let ran = lab.xtask(args);
        assert!(!ran.ok, "{args:?} succeeded: {}", ran.text());
        assert!(
            ran.text().contains(word),
            "{word:?} is not in: {}",
            ran.text()
        );
    }
}
