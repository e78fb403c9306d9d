//! Poison on the topics: one dead letter each, the flow goes on, a mended one is replayed.

use serde_json::{Value, json};
use tests::{Lab, http, until};

const KINDS: [&str; 5] = [
    "truncated",
    "bad_magic",
    "unknown_schema_id",
    "tombstone",
    "empty",
];

#[tokio::test(flavor = "multi_thread")]
async fn fifty_poison_messages_are_found_shown_and_one_is_replayed() {
    let lab = Lab::prepare("poison");
    lab.xtask(&["up", "--detach", "--no-build"]).success();
    let compte = tests::events::id();
    let produce = format!("{}/api/v1/events/produce", lab.simulator_url());
    let event = tests::events::compte_ouvert(&compte, "10.00");
    let body = json!({"event_type": "CompteOuvert", "count": 1, "event": event});
    let response = http().post(&produce).json(&body).send().await.unwrap();
    assert_eq!(response.status(), 200);

    for kind in KINDS {
        let url = format!("{}/api/v1/events/poison", lab.gateway_url());
        let body = json!({"topic": "bancaire.depot.effectue", "kind": kind, "count": 10});
        let response = http().post(url).json(&body).send().await.unwrap();
        assert_eq!(response.status(), 200, "{kind}");
    }
    // The flow goes on behind them.
    let event = tests::events::depot(&compte, "5.00");
    let body = json!({"event_type": "DepotEffectue", "count": 1, "event": event});
    let response = http().post(&produce).json(&body).send().await.unwrap();
    assert_eq!(response.status(), 200);

    let letters = until("fifty dead letters are there", || {
        let list = lab.xtask(&["dlq", "list", "--json"]).success().json();
        let letters = list.as_array().cloned().unwrap_or_default();
        (letters.len() >= 50).then_some(letters)
    });
    assert_eq!(letters.len(), 50);
    let mut kinds: Vec<&str> = letters
        .iter()
        .map(|l| l["kind"].as_str().unwrap())
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), 5, "{kinds:?}");
    let verdict = lab.xtask(&["verify"]);
    assert!(verdict.ok, "{}", verdict.text());

    // A truncated one is shown as far as it can be decoded, mended, and sent again.
    let truncated: &Value = letters
        .iter()
        .find(|l| l["kind"] == "undecodable")
        .expect("a truncated body is undecodable");
    let key = truncated["key"].as_str().expect("a key");
    let shown = lab.xtask(&["dlq", "show", key]).success().stdout;
    for word in ["undecodable", "bancaire.depot.effectue", "schema"] {
        assert!(shown.contains(word), "{word:?} is not in:\n{shown}");
    }
    let mended = tests::events::depot(&compte, "7.00");
    let mended = serde_json::to_string(&mended).unwrap();
    lab.xtask(&["dlq", "replay", key, "--event", &mended])
        .success();
    let url = format!("{}/api/v1/comptes/{compte}", lab.bancaire_url());
    tests::until_async("the mended event is applied", async || {
        let compte: Value = http().get(&url).send().await.ok()?.json().await.ok()?;
        (compte["solde"] == "22.00").then_some(())
    })
    .await;
    let verdict = lab.xtask(&["verify"]);
    assert!(verdict.ok, "{}", verdict.text());
    lab.xtask(&["down"]).success();
}
