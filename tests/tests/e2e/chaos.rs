//! `chaos`: the quick faults hold, the quick defects are seen, a wrong file is answered by its line,
//! and an interruption leaves nothing behind.

use std::path::PathBuf;
use std::process::{Child, Stdio};

use serde_json::Value;
use tests::{Lab, http, interrupt, until, until_async};
use xtask::state::LabState;

fn outcomes(lab: &Lab, args: &[&str]) -> Vec<Value> {
    let ran = lab.xtask(args);
    assert!(ran.ok, "{}", ran.text());
    ran.json().as_array().expect("a list").clone()
}

/// The folder of the first lab that a running `chaos` makes.
fn first_lab(chaos: &Child) -> PathBuf {
    std::env::temp_dir().join(format!("edalab-chaos-{}-1", chaos.id()))
}

#[test]
fn the_quick_faults_hold() {
    let lab = Lab::prepare("chaos");
    let outcomes = outcomes(&lab, &["chaos", "all", "--quick", "--json"]);
    assert!(outcomes.len() >= 8, "{outcomes:?}");
    for outcome in outcomes {
        assert_eq!(outcome["verdict"], "passed", "{outcome}");
        let findings = outcome["findings"].as_array().expect("findings");
        let judged = findings.iter().filter(|f| f["skipped"] == false).count();
        assert!(judged >= 15, "{outcome}");
    }
}

#[test]
fn the_quick_defects_are_seen() {
    let lab = Lab::prepare("mutants");
    let judged = outcomes(&lab, &["chaos", "mutants", "--quick", "--json"]);
    let killed = judged.iter().filter(|j| j["name"] != "none").count();
    assert!(killed >= 4, "{judged:?}");
    assert!(judged.iter().all(|j| j["killed"] == true), "{judged:?}");
}

#[test]
fn a_wrong_file_is_answered_by_field_and_line() {
    let lab = Lab::prepare("chaos-files");
    let list = lab.xtask(&["chaos", "list", "--json"]).success().json();
    let rows: std::collections::BTreeSet<i64> = list
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|fault| fault["row"].as_i64())
        .collect();
    assert_eq!(
        rows,
        (1..=30).collect(),
        "every row of the matrix has a fault"
    );
    let good = "name: own\nhypothesis: it holds\nsteps:\n  - kill: bancaire\n  - start: bancaire\n";
    let file = lab.dir().join("own.yaml");
    for (from, to, words) in [
        (
            "kill: bancaire",
            "kill: bank",
            ["there is no part \"bank\"", "line 4"],
        ),
        ("- kill:", "- kil:", ["kil", "line 4"]),
        ("name: own", "name: My own", ["My own", "line 1"]),
        ("steps:", "stps:", ["stps", "line 3"]),
        ("steps:", "recover_within: soon\nsteps:", ["soon", "line 3"]),
    ] {
        std::fs::write(&file, good.replacen(from, to, 1)).unwrap();
        let ran = lab.xtask(&["chaos", "run", file.to_str().unwrap()]);
        assert!(!ran.ok);
        for word in words.into_iter().chain(["own.yaml"]) {
            assert!(
                ran.stderr.contains(word),
                "{word:?} is not in {}",
                ran.stderr
            );
        }
    }
}

/// After an outage `verify` has new connections before bancaire has: that is no contradiction.
#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_waits_until_bancaire_reaches_the_broker_again() {
    let lab = Lab::prepare("verdict");
    let file = lab.dir().join("idle-cut.yaml");
    let scenario = "name: idle-cut\nhypothesis: a verdict is right while bancaire is cut off\n\
        load: {scenario: default, rate: 100, duration: 2s}\nsteps:\n  - until: flowing\n  - wait: 3s\n  \
        - until: caught_up\n  - wire: {to: kafka, is: cut}\n  - until: degraded\n  - wait: 5s\n  \
        - wire: {to: kafka, is: through}\n";
    std::fs::write(&file, scenario).unwrap();
    let mut chaos = lab
        .command(&["chaos", "run", file.to_str().unwrap(), "--no-build"])
        .stdout(Stdio::null())
        .spawn()
        .expect("xtask can be run");
    let folder = first_lab(&chaos);
    until_async("bancaire misses the broker", async || {
        let state = LabState::load(&folder).ok()??;
        let url = format!("{}/api/v1/ledger", state.bancaire_url());
        let ledger: Value = http().get(url).send().await.ok()?.json().await.ok()?;
        let totals = &ledger["totals"];
        (totals["in_flight"].is_null() && totals["applied"].as_i64() > Some(100)).then_some(())
    })
    .await;
    let mut verify = lab.command(&["verify"]);
    let verdict = verify.env("EDALAB_DIR", &folder).output().unwrap();
    let text = String::from_utf8_lossy(&verdict.stdout);
    assert!(verdict.status.success(), "{text}");
    assert!(text.contains("✓ X bancaire's own ledger"), "{text}");
    assert!(chaos.wait().expect("it ends").success());
}

#[test]
fn an_interruption_leaves_nothing_behind() {
    let lab = Lab::prepare("chaos-stop");
    let mut child = lab
        .command(&["chaos", "run", "kill-bancaire", "--no-build"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("xtask can be run");
    let folder = first_lab(&child);
    until("its lab is up", || {
        folder.join("state.json").is_file().then_some(())
    });
    interrupt(&child);
    let status = child.wait().expect("it ends");
    assert!(!status.success());
    assert!(!folder.exists(), "its folder is removed");
    let marker = format!("EDALAB_LAB={}", folder.display());
    let left = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| {
            let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            environ
                .split(|b| *b == 0)
                .any(|var| var == marker.as_bytes())
        });
    assert_eq!(left.count(), 0, "no process is left");
}
