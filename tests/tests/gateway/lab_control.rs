//! Breaking and mending parts through the gateway, as the page does.

use serde_json::{Value, json};
use tests::{Lab, http, until_async};

use crate::socket::get;

async fn act(lab: &Lab, path: &str) -> (u16, Value) {
    let url = format!("{}/api/v1/lab/services/{path}", lab.gateway_url());
    let client = reqwest::Client::new();
    let response = client
        .post(url)
        .json(&json!({}))
        .send()
        .await
        .expect("the gateway answers");
    let status = response.status().as_u16();
    (status, response.json().await.expect("the answer is JSON"))
}

async fn part(lab: &Lab, name: &str) -> Value {
    let (status, report) = get(lab, "/api/v1/lab").await;
    assert_eq!(status, 200, "{report}");
    assert_eq!(report["available"], true);
    let parts = report["parts"].as_array().expect("parts");
    let found = parts.iter().find(|part| part["name"] == name);
    found
        .unwrap_or_else(|| panic!("{name} is not in {report}"))
        .clone()
}

async fn until_bancaire_is(lab: &Lab, status: &str) {
    until_async("bancaire's health is as it should be", async || {
        let (_, health) = get(lab, "/api/v1/health").await;
        (health["services"]["bancaire"]["status"] == status).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_is_killed_started_paused_and_resumed() {
    let lab = Lab::prepare("control");
    tokio::task::block_in_place(|| lab.xtask(&["up", "--detach", "--no-build"]).success());
    let bancaire = part(&lab, "bancaire").await;
    assert_eq!(
        (&bancaire["alive"], &bancaire["healthy"]),
        (&json!(true), &json!(true))
    );
    assert!(bancaire["pid"].is_u64() && bancaire["rss_bytes"].as_u64().unwrap() > 1 << 20);

    let (status, done) = act(&lab, "bancaire/kill").await;
    assert_eq!((status, &done["action"]), (200, &json!("kill")), "{done}");
    until_bancaire_is(&lab, "unhealthy").await;
    assert_eq!(part(&lab, "bancaire").await["alive"], false);
    let (status, done) = act(&lab, "bancaire/start").await;
    assert_eq!(status, 200, "{done}");
    until_bancaire_is(&lab, "healthy").await;

    let (status, done) = act(&lab, "bancaire/pause").await;
    assert_eq!(status, 200, "{done}");
    until_bancaire_is(&lab, "unhealthy").await;
    let (status, done) = act(&lab, "bancaire/resume").await;
    assert_eq!(status, 200, "{done}");
    until_bancaire_is(&lab, "healthy").await;

    let (status, logs) = get(&lab, "/api/v1/lab/logs/bancaire?lines=5").await;
    assert_eq!(status, 200, "{logs}");
    assert!(
        (1..=5).contains(&logs["lines"].as_array().unwrap().len()),
        "{logs}"
    );
    assert_eq!(act(&lab, "nobody/kill").await.0, 404);
    assert_eq!(act(&lab, "bancaire/explode").await.0, 400);
    let url = format!("{}/api/v1/lab/services/bancaire/kill", lab.gateway_url());
    assert_eq!(
        http().post(url).send().await.unwrap().status(),
        415,
        "a change is JSON"
    );

    // The gateway itself: it says goodbye first and comes back.
    let pid = part(&lab, "gateway").await["pid"].clone();
    let (status, done) = act(&lab, "gateway/restart").await;
    assert_eq!(status, 202, "{done}");
    until_async("another gateway answers", async || {
        let url = format!("{}/api/v1/lab", lab.gateway_url());
        let report: Value = http().get(url).send().await.ok()?.json().await.ok()?;
        let parts = report["parts"].as_array()?;
        let gateway = parts.iter().find(|part| part["name"] == "gateway")?;
        (gateway["pid"] != pid && gateway["healthy"] == true).then_some(())
    })
    .await;
    tokio::task::block_in_place(|| lab.xtask(&["down"]).success());
}
