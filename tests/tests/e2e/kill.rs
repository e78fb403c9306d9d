//! `kill -9` in mid-simulation, then `services up`: nothing lost, nothing doubled.

use std::process::Stdio;

use serde_json::Value;
use tests::{Lab, until};

fn events_produced(lab: &Lab) -> Option<u64> {
    let status = lab.xtask(&["simulate", "status", "--json"]);
    if !status.ok {
        return None;
    }
    status.json()["events_produced"].as_u64()
}

/// Runs a simulation, kills `component` in the middle of it, brings it back, and verifies. `broker`
/// is what `up` is told about its choice.
pub fn survives_the_death_of(component: &str, broker: &[&str]) {
    let kind = broker.last().unwrap_or(&"broker");
    let lab = Lab::prepare(&format!("kill-{component}-{kind}"));
    lab.xtask(&[&["up", "--detach", "--no-build"], broker].concat())
        .success();
    let simulation = lab
        .command(&["simulate", "--rate", "200", "--duration", "12", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("xtask can be run");
    until("the simulation is under way", || {
        events_produced(&lab).filter(|produced| *produced >= 400)
    });
    lab.xtask(&["services", "kill", component]).success();
    let status = lab.xtask(&["status", "--json"]).json();
    let dead = status["components"].as_array().expect("components").iter();
    let dead: Vec<&Value> = dead.filter(|c| c["healthy"] != true).collect();
    assert!(dead.iter().any(|c| c["name"] == component), "{status}");
    lab.xtask(&["services", "up"]).success();
    let output = simulation.wait_with_output().expect("the simulation ends");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let simulated: Value = serde_json::from_str(&text).expect("JSON");
    let produced = simulated["events_produced"].as_u64().expect("a count");
    assert!(produced >= 2000, "the simulation went on: {simulated}");
    let verdict = lab.xtask(&["verify", "--settle", "60s"]);
    assert!(verdict.ok, "{}", verdict.text());
    lab.xtask(&["down"]).success();
}

#[test]
fn bancaire_killed() {
    survives_the_death_of("bancaire", &[]);
}

#[test]
fn the_broker_killed() {
    survives_the_death_of("kafka", &[]);
}

#[test]
fn postgresql_killed() {
    survives_the_death_of("postgres", &[]);
}
