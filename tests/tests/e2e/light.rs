//! The same scenarios on the light broker: no Java, and nothing is lost either.

use tests::Lab;

use crate::kill::survives_the_death_of;
use crate::walk::whole_walk;

const LIGHT: &[&str] = &["--broker", "light"];

#[tokio::test(flavor = "multi_thread")]
async fn up_simulate_watch_verify_down_without_java() {
    whole_walk("walk-light", LIGHT).await;
}

#[test]
fn the_light_broker_killed() {
    survives_the_death_of("kafka", LIGHT);
}

#[test]
fn bancaire_killed_on_the_light_broker() {
    survives_the_death_of("bancaire", LIGHT);
}

/// One broker's data is not mistaken for the other's.
#[test]
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
