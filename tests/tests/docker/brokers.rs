//! Three brokers: one may die, two make the lab wait, and nothing is lost either way.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{lab, owned};
use serde_json::Value;
use tests::{Lab, until};

/// Of the simulation that runs.
fn acknowledged(lab: &Lab) -> u64 {
    let status = lab.xtask(&["simulate", "status", "--json"]);
    status.json()["events_produced"].as_u64().unwrap_or(0)
}

#[test]
#[ignore = "needs docker"]
fn three_brokers_outlive_one_and_wait_for_the_second() {
    let lab = lab("docker-three");
    lab.xtask(&["up", "--detach", "--no-build", "--brokers", "3"])
        .success();
    lab.xtask(&["infra", "test"]).success();
    // A topic of the user's own has as many copies as the lab's.
    let made = lab.xtask(&["topics", "create", "test.copies", "--json"]);
    let made = made.success().json();
    for partition in made["partitions"].as_array().expect("partitions") {
        assert_eq!(partition["replicas"].as_array().map(Vec::len), Some(3));
    }
    let status: Value = lab.xtask(&["status", "--json"]).success().json();
    let parts = status["components"].as_array().expect("parts").iter();
    // Some watch the lab only where their images are here.
    let optional = ["grafana", "jaeger"].map(Value::from);
    let parts = parts.filter(|part| !optional.contains(&part["name"]));
    assert_eq!(parts.count(), 9, "{status}");

    let simulation = lab
        .command(&["simulate", "--rate", "40", "--duration", "45", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("xtask can be run");
    let seen = |least: u64| {
        until("events are acknowledged", || {
            (acknowledged(&lab) >= least).then_some(())
        })
    };
    seen(100);
    lab.xtask(&["services", "kill", "kafka-2"]).success();
    let before = acknowledged(&lab);
    seen(before + 150);
    lab.xtask(&["services", "kill", "kafka-3"]).success();
    // With one of three left nothing is acknowledged, and `verify` below would find a false word.
    let (mut count, mut since) = (acknowledged(&lab), Instant::now());
    until("nothing is acknowledged for three seconds", || {
        let now = acknowledged(&lab);
        if now != count {
            (count, since) = (now, Instant::now());
        }
        (since.elapsed() > Duration::from_secs(3)).then_some(())
    });
    let status = lab.xtask(&["status"]);
    assert!(
        !status.ok && status.text().contains("kafka-3"),
        "{}",
        status.text()
    );
    lab.xtask(&["services", "up", "kafka", "--no-build"])
        .success();
    let output = simulation.wait_with_output().expect("it ends");
    let output: Value = serde_json::from_slice(&output.stdout).expect("its result is JSON");
    assert!(output["events_produced"].as_u64() > Some(count), "{output}");
    assert_eq!(output["failed"].as_u64().unwrap_or(0), 0, "{output}");
    lab.xtask(&["verify"]).success();

    // The data belongs to three.
    lab.xtask(&["down"]).success();
    let refused = lab.xtask(&["up", "--detach", "--no-build", "--brokers", "1"]);
    assert!(
        refused.text().contains("made by 3 brokers"),
        "{}",
        refused.text()
    );
    lab.xtask(&["clean", "--stop"]).success();
    assert_eq!(owned(&lab), [""; 0]);
}
