//! What the tests of the Docker backend share.

use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tests::Lab;

/// A lab on the Docker backend, not started yet. The images are built by the first one.
pub fn lab(name: &str) -> Lab {
    static IMAGES: OnceLock<()> = OnceLock::new();
    let lab = Lab::prepare(name).on("docker");
    IMAGES.get_or_init(|| {
        lab.xtask(&["images", "build", "--no-build"]).success();
    });
    lab
}

/// What `docker` prints, without the line's end.
#[track_caller]
pub fn docker(args: &[&str]) -> String {
    let output = Command::new("docker")
        .args(args)
        .stdin(Stdio::null())
        .output();
    let output = output.expect("the docker client is there");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {args:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The lab's containers, networks and volumes, by name.
pub fn owned(lab: &Lab) -> Vec<String> {
    let label = format!("label=edalab.lab={}", lab.dir().display());
    let mut names = Vec::new();
    for args in [
        &["ps", "--all", "--format", "{{.Names}}"][..],
        &["network", "ls", "--format", "{{.Name}}"],
        &["volume", "ls", "--format", "{{.Name}}"],
    ] {
        let args = [args, &["--filter", &label]].concat();
        names.extend(
            docker(&args)
                .lines()
                .map(|name| format!("{} {name}", args[0])),
        );
    }
    names
}

/// The container of a component, as the lab's state has it.
pub fn container(lab: &Lab, name: &str) -> String {
    let state = lab.state();
    let component = state.component(name).expect("it was started");
    component.container.clone().expect("it runs in a container")
}

/// A part's line of `status --json`.
pub fn part(status: &Value, name: &str) -> Value {
    let mut parts = status["components"].as_array().expect("parts").iter();
    let found = parts.find(|part| part["name"] == name).cloned();
    found.unwrap_or_else(|| panic!("no {name} in {status}"))
}

/// `infra/images.toml` with a change.
pub fn changed_catalogue(from: &str, to: &str) -> String {
    const FILE: &str = include_str!("../../../infra/images.toml");
    assert!(FILE.contains(from), "{from}");
    FILE.replace(from, to)
}
