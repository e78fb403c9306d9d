//! The same scenarios on the light broker: no Java, and nothing is lost either. The broker takes a
//! quarter of an hour to build for the first time, so a machine that never did leaves them out.

use tests::Lab;

use crate::kill::survives_the_death_of;
use crate::walk::whole_walk;

const LIGHT: &[&str] = &["--broker", "light"];

/// Neither Java nor Docker is found, and nobody said which broker: `up` chooses this one, and the
/// whole walk works on it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs light"]
async fn up_simulate_watch_verify_down_without_java_and_docker() {
    let lab = Lab::prepare("walk-light")
        .on("auto")
        .env("PATH", "/nowhere")
        .env("JAVA_HOME", "")
        .env("KAFKA_HOME", "")
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let said = whole_walk(lab).await.text();
    for why in [
        "Backend: embedded, because no container daemon answers",
        "The broker is light: Java 17 or later was not found",
    ] {
        assert!(said.contains(why), "{why:?} in:\n{said}");
    }
}

/// What it takes, once it runs: far below the half gigabyte of a lab with a JVM.
#[test]
#[ignore = "needs light"]
fn a_lab_at_rest_is_small() {
    let lab = Lab::prepare("light-small");
    lab.xtask(&["up", "--detach", "--no-build", "--broker", "light"])
        .success();
    let status = lab.xtask(&["status", "--json"]).success().json();
    let held = status["pss_bytes"].as_u64().expect("a size") >> 20;
    assert!(held < 250, "the whole lab holds {held} MB: {status}");
    let parts = status["components"].as_array().expect("parts");
    let broker = parts.iter().find(|part| part["name"] == "kafka");
    let broker = broker.expect("it runs")["rss_bytes"].as_u64();
    let held = broker.expect("a size") >> 20;
    assert!(held < 40, "the light broker holds {held} MB: {status}");
    lab.xtask(&["down"]).success();
}

#[test]
#[ignore = "needs light"]
fn the_light_broker_killed() {
    survives_the_death_of("kafka", LIGHT);
}

#[test]
#[ignore = "needs light"]
fn bancaire_killed_on_the_light_broker() {
    survives_the_death_of("bancaire", LIGHT);
}

/// One broker's data is not mistaken for the other's.
#[test]
#[ignore = "needs light"]
fn a_labs_data_keeps_its_broker() {
    let lab = Lab::prepare("light-data");
    lab.xtask(&["infra", "up", "kafka", "--broker", "light"])
        .success();
    assert_eq!(lab.state().broker, "light");
    lab.xtask(&["down"]).success();
    let refused = lab.xtask(&["infra", "up", "kafka", "--broker", "kafka"]);
    assert!(!refused.ok, "{}", refused.text());
    let text = refused.text();
    assert!(
        text.contains("--broker light") && text.contains("cargo xtask clean"),
        "{text}"
    );
    // Without a wish it is the one that has the data.
    let again = lab.xtask(&["infra", "up", "kafka"]).success();
    assert!(
        again.text().contains("The broker is light"),
        "{}",
        again.text()
    );
    lab.xtask(&["down"]).success();
    lab.xtask(&["clean"]).success();
}
