//! `validate-mvp` that is interrupted: it says so, and leaves nothing behind. Its ten steps to their end
//! are a job of their own in CI.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tests::{Lab, interrupt, until};
use xtask::state::LabState;

#[test]
fn an_interrupted_validation_cleans_up() {
    let lab = Lab::prepare("validate");
    // Beside the user's lab, which is never started here.
    let own = PathBuf::from(format!("{}-mvp", lab.dir().display()));
    let validation = lab
        .command(&["validate-mvp", "--no-build", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("xtask can be run");
    until("its infrastructure starts", || {
        let state = LabState::load(&own).ok().flatten()?;
        (!state.components.is_empty()).then_some(())
    });
    interrupt(&validation);
    let output = validation.wait_with_output().expect("it ends");
    assert!(!output.status.success());
    let report: Value = serde_json::from_slice(&output.stdout).expect("it reports all the same");
    let steps = report["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 10, "{report}");
    assert_eq!(steps[8]["outcome"], "failed", "{report}");
    assert_eq!(steps[8]["detail"], "interrupted");
    assert_eq!(steps[9]["outcome"], "passed", "{report}");
    assert!(!own.exists(), "{} is left", own.display());
    assert_eq!(xtask::process::marked(&own), [], "processes are left");
}
