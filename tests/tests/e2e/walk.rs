//! The walk of a new user: up, simulate, watch, verify, down.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tests::{Lab, Ran, until};
use tokio_tungstenite::tungstenite::Message;

/// Processes that carry this lab's marker in their environment.
fn processes(lab: &Lab) -> Vec<u32> {
    let marker = format!("EDALAB_LAB={}", lab.dir().display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")
        .expect("Linux has /proc")
        .flatten()
    {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environ
            .split(|b| *b == 0)
            .any(|var| var == marker.as_bytes())
        {
            found.push(pid);
        }
    }
    found
}

/// Collects the ids of all events that a WebSocket client subscribed to `*` receives, until told.
async fn watch(
    lab: &Lab,
    subscribed: tokio::sync::oneshot::Sender<()>,
    mut stop: tokio::sync::watch::Receiver<bool>,
) -> HashSet<String> {
    let (mut socket, _) = tokio_tungstenite::connect_async(lab.ws_url())
        .await
        .expect("it connects");
    let subscribe = r#"{"action":"subscribe","topics":["*"]}"#;
    socket
        .send(Message::text(subscribe))
        .await
        .expect("it subscribes");
    let mut subscribed = Some(subscribed);
    let mut seen = HashSet::new();
    loop {
        let message = tokio::select! {
            message = socket.next() => message.expect("the socket stays open").expect("no error"),
            _ = stop.changed() => return seen,
        };
        let Message::Text(text) = message else {
            continue;
        };
        let message: Value = serde_json::from_str(&text).expect("each frame is JSON");
        match message["type"].as_str().expect("each message has a type") {
            "status" => {
                if let Some(subscribed) = subscribed.take() {
                    subscribed.send(()).expect("the test waits");
                }
            }
            "event" if message["topic"] != "system.dlq" => {
                let id = message["payload"]["event"]["event_id"]
                    .as_str()
                    .expect("an id");
                assert!(seen.insert(id.to_owned()), "{id} came twice");
            }
            "lagged" | "error" => panic!("{message}"),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn up_simulate_watch_verify_down() {
    whole_walk(Lab::prepare("walk")).await;
}

/// In a lab that was not started yet. Returns what the first `up` said.
pub async fn whole_walk(lab: Lab) -> Ran {
    let first = lab.xtask(&["up", "--detach", "--no-build"]).success();

    let again = lab.xtask(&["up", "--detach", "--no-build"]).success();
    assert!(
        again.text().contains("already"),
        "the second says so: {}",
        again.text()
    );

    let status = lab.xtask(&["status", "--json"]).success().json();
    let components = status["components"].as_array().expect("components");
    assert_eq!(components.len(), 6, "{status}");
    for component in components {
        assert_eq!(component["healthy"], true, "{component}");
    }

    let (subscribed_tx, subscribed) = tokio::sync::oneshot::channel();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let (seen, simulated) = tokio::join!(watch(&lab, subscribed_tx, stopped), async {
        subscribed.await.expect("the client is subscribed");
        let simulated = tokio::task::block_in_place(|| {
            let args = ["simulate", "--rate", "100", "--duration", "10", "--json"];
            let simulated = lab.xtask(&args).success().json();
            let verdict = lab.xtask(&["verify"]);
            assert!(verdict.ok, "{}", verdict.text());
            simulated
        });
        // Nothing is in flight any more; what the client has not by now is late by seconds.
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.send(true).expect("the client still watches");
        simulated
    });
    let produced = simulated["events_produced"].as_u64().expect("a count");
    assert!((990..=1010).contains(&produced), "{simulated}");
    // Transfers bring a VirementRecu each, which bancaire publishes.
    assert!(
        seen.len() as u64 >= produced,
        "{} of {produced} seen",
        seen.len()
    );

    lab.xtask(&["down"]).success();
    until("no process is left", || {
        processes(&lab).is_empty().then_some(())
    });
    assert_eq!(lab.listening(), Vec::<&str>::new(), "no port is left");

    // What was written is still there after a restart, and still in balance.
    lab.xtask(&["up", "--detach", "--no-build"]).success();
    let verdict = lab.xtask(&["verify"]);
    assert!(verdict.ok, "{}", verdict.text());
    lab.xtask(&["down"]).success();
    lab.xtask(&["clean"]).success();
    let left: Vec<_> = std::fs::read_dir(lab.dir())
        .map(|entries| entries.flatten().map(|e| e.file_name()).collect())
        .unwrap_or_default();
    assert!(left.is_empty(), "clean leaves nothing: {left:?}");
    first
}
