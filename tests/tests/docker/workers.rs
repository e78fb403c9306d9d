//! Several workers of bancaire share the partitions, as containers and as processes.

use std::collections::BTreeSet;

use crate::support::{docker, lab, owned, part};
use tests::{Lab, until};

/// Who reads the partitions of one topic.
fn readers(lab: &Lab) -> BTreeSet<String> {
    let topic = lab.xtask(&["topics", "describe", "bancaire.depot.effectue", "--json"]);
    let topic = topic.success().json();
    let partitions = topic["partitions"].as_array().expect("partitions").iter();
    partitions
        .filter_map(|partition| {
            Some(
                partition["readers"]["bancaire"]["owner"]
                    .as_str()?
                    .to_owned(),
            )
        })
        .collect()
}

#[test]
#[ignore = "needs docker"]
fn services_run_in_containers_and_their_workers_share_the_work() {
    let lab = lab("docker-workers");
    lab.xtask(&["up", "--detach", "--no-build", "--services", "container"])
        .success();
    let status = lab.xtask(&["status", "--json"]).success().json();
    for name in ["simulator", "bancaire"] {
        assert!(part(&status, name)["container"].is_string(), "{status}");
    }
    assert!(part(&status, "gateway")["container"].is_null());
    lab.xtask(&["simulate", "--rate", "50", "--duration", "4"])
        .success();

    lab.xtask(&["services", "scale", "bancaire=3", "--no-build"])
        .success();
    until("three share one topic", || {
        (readers(&lab).len() == 3).then_some(())
    });
    lab.xtask(&["simulate", "--rate", "100", "--duration", "5"])
        .success();
    lab.xtask(&["services", "kill", "bancaire-2"]).success();
    lab.xtask(&["verify", "--settle", "60"]).success();

    // Back to processes: the same lab, the same data.
    lab.xtask(&["services", "scale", "bancaire=1", "--no-build"])
        .success();
    lab.xtask(&["up", "--detach", "--no-build", "--services", "process"])
        .success();
    let status = lab.xtask(&["status", "--json"]).success().json();
    assert!(part(&status, "bancaire")["container"].is_null(), "{status}");
    lab.xtask(&["services", "scale", "bancaire=2", "--no-build"])
        .success();
    until("two share one topic", || {
        (readers(&lab).len() == 2).then_some(())
    });
    lab.xtask(&["simulate", "--rate", "50", "--duration", "3"])
        .success();
    lab.xtask(&["verify"]).success();
    lab.xtask(&["clean", "--stop"]).success();
    assert_eq!(owned(&lab), [""; 0]);
    assert!(!docker(&["images", "--quiet", "edalab/bancaire:0.1.0"]).is_empty());
}
