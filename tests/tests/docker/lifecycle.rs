//! The life of a lab in containers, from the first `up` to `clean`.

use crate::support::{changed_catalogue, container, docker, lab, owned, part};
use serde_json::Value;
use tests::Lab;

/// Somebody else's container, which has to survive everything that the lab does.
struct Stranger(String);

impl Stranger {
    fn new() -> Self {
        let name = format!("edalab-stranger-{}", std::process::id());
        let label = "edalab.lab=/somebody/else";
        docker(&[
            "create",
            "--name",
            &name,
            "--label",
            label,
            "edalab/registry:0.1.0",
        ]);
        Self(name)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        docker(&["rm", "--force", &self.0]);
    }
}

#[track_caller]
fn verified(lab: &Lab) {
    lab.xtask(&["verify"]).success();
}

#[track_caller]
fn infra_holds(lab: &Lab) -> Value {
    let checks = lab.xtask(&["infra", "test", "--json"]);
    assert!(checks.ok, "{}", checks.text());
    checks.json()
}

/// Holds the infrastructure tests of the plan's phase 0 (Kafka, registry and PostgreSQL connections).
#[test]
#[ignore = "needs docker"]
fn a_lab_in_containers_lives_is_broken_mended_and_leaves_nothing() {
    let lab = lab("docker-life");
    let stranger = Stranger::new();
    lab.xtask(&["up", "--detach", "--no-build"]).success();
    let status = lab.xtask(&["status", "--json"]).success().json();
    assert_eq!(status["backend"], "docker");
    assert_eq!(status["images"]["kafka"]["reference"], "edalab/kafka:3.9.2");
    for name in ["kafka", "postgres", "registry"] {
        let part = part(&status, name);
        assert!(
            part["healthy"] == true && part["container"].is_string(),
            "{part}"
        );
    }
    assert!(part(&status, "bancaire")["container"].is_null());
    let checks = infra_holds(&lab);
    for name in [
        "kafka", "topics", "registry", "postgres", "files", "targets", "series",
    ] {
        let names = checks.as_array().expect("checks").iter();
        assert!(
            names.into_iter().any(|check| check["name"] == name),
            "{name}"
        );
    }

    // What is published is published on loopback.
    let kafka = container(&lab, "kafka");
    let ports = docker(&["port", &kafka]);
    assert!(
        ports.lines().all(|line| line.contains("127.0.0.1:")),
        "{ports}"
    );

    lab.xtask(&["simulate", "--rate", "100", "--duration", "5"])
        .success();
    verified(&lab);

    let told = lab.xtask(&["doctor"]);
    assert!(
        told.stdout.contains("this lab's peaked at"),
        "{}",
        told.text()
    );

    // A second `up` says what runs and leaves it alone.
    let again = lab.xtask(&["up", "--detach", "--no-build"]).success();
    assert!(again.text().contains("already up"), "{}", again.text());
    assert_eq!(container(&lab, "kafka"), kafka);

    // A changed definition makes that container anew, and no other.
    let file = lab.dir().join("images.toml");
    std::fs::write(
        &file,
        changed_catalogue("memory_mb = 768", "memory_mb = 800"),
    )
    .unwrap();
    let postgres = container(&lab, "postgres");
    let changed = lab
        .command(&["infra", "up", "--no-build"])
        .env("EDALAB_IMAGES_FILE", &file)
        .output()
        .expect("xtask can be run");
    assert!(
        changed.status.success(),
        "{}",
        String::from_utf8_lossy(&changed.stderr)
    );
    std::fs::remove_file(&file).unwrap();
    assert_ne!(container(&lab, "kafka"), kafka);
    assert_eq!(container(&lab, "postgres"), postgres);
    // That was for this test; the file of the tree puts it back.
    lab.xtask(&["infra", "up", "--no-build"]).success();

    // Killed without warning, seen, and started again on its data.
    for name in ["kafka", "postgres"] {
        let before = container(&lab, name);
        lab.xtask(&["services", "kill", name]).success();
        let status = lab.xtask(&["status", "--json"]);
        assert!(!status.ok);
        assert_eq!(part(&status.json(), name)["state"], "dead");
        lab.xtask(&["services", "up", name, "--no-build"]).success();
        assert_ne!(container(&lab, name), before);
    }
    verified(&lab);
    let log = lab.xtask(&["logs", "kafka"]).success();
    assert!(
        log.stdout.contains("Kafka Server started"),
        "{}",
        log.stdout
    );

    // Down keeps the data, and only that.
    lab.xtask(&["down"]).success();
    let left = owned(&lab);
    // Kafka's, PostgreSQL's and Prometheus'.
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(
        left.iter().all(|name| name.starts_with("volume ")),
        "{left:?}"
    );
    lab.xtask(&["up", "--detach", "--no-build"]).success();
    verified(&lab);

    let refused = lab.xtask(&["clean"]);
    assert!(
        !refused.ok && refused.text().contains("the lab is up"),
        "{}",
        refused.text()
    );
    let refused = lab.xtask(&["up", "--detach", "--no-build", "--backend", "embedded"]);
    assert!(
        refused.text().contains("up with the docker backend"),
        "{}",
        refused.text()
    );
    lab.xtask(&["clean", "--stop"]).success();
    assert_eq!(owned(&lab), [""; 0]);
    assert!(docker(&["ps", "--all", "--format", "{{.Names}}"]).contains(&stranger.0));
}
