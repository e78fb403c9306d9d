//! What some tests need beyond Rust, whether this machine has it, and how to get it.
//!
//! A test that needs more than a lab says so in its mark, `#[ignore = "needs docker"]`: where
//! Docker answers it is run all the same, elsewhere it is listed with the remedy.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::report::{NotRun, Report};
use super::suites::Group;
use crate::Context;
use crate::junit::{Case, Outcome, Suite};
use crate::verbs::doctor;

/// A question that a daemon does not answer within this time has no answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// What a lab consists of: Java, Kafka's jars, PostgreSQL.
    Lab,
    Docker,
    Node,
    Chromium,
    Prometheus,
}

impl Need {
    /// What the reason of `#[ignore = "needs docker …"]` names.
    pub fn of(reason: &str) -> Option<Self> {
        let mut words = reason
            .strip_prefix("needs ")?
            .split(|c: char| !c.is_alphanumeric());
        match words.next()? {
            "docker" => Some(Need::Docker),
            "node" => Some(Need::Node),
            "chromium" => Some(Need::Chromium),
            "prometheus" => Some(Need::Prometheus),
            _ => None,
        }
    }
}

/// What is missing: the reason and the remedy.
#[derive(Debug)]
pub struct Needs(BTreeMap<Need, (String, String)>);

impl Needs {
    /// Looks at this machine.
    pub async fn find(ctx: &Context) -> Self {
        let mut missing = BTreeMap::new();
        if let Some(found) = doctor::missing_for_a_lab(ctx).await {
            missing.insert(Need::Lab, found);
        }
        let docker = ["version", "--format", "{{.Server.Version}}"];
        if !answers("docker", &docker).await {
            let reason = "no Docker daemon answers".to_owned();
            missing.insert(
                Need::Docker,
                (reason, "install and start Docker".to_owned()),
            );
        }
        if !answers("node", &["--version"]).await {
            let reason = "Node was not found".to_owned();
            missing.insert(Need::Node, (reason, "apt install nodejs npm".to_owned()));
        }
        if !answers("chromium", &["--version"]).await {
            let reason = "Chromium was not found".to_owned();
            missing.insert(Need::Chromium, (reason, "apt install chromium".to_owned()));
        }
        if !answers("promtool", &["--version"]).await {
            let reason = "Prometheus was not found".to_owned();
            missing.insert(
                Need::Prometheus,
                (reason, "apt install prometheus".to_owned()),
            );
        }
        Self(missing)
    }

    /// The reason and the remedy; `None` when it is there.
    pub fn missing(&self, need: Need) -> Option<(&str, &str)> {
        let found = self.0.get(&need)?;
        Some((&found.0, &found.1))
    }
}

async fn answers(program: &str, args: &[&str]) -> bool {
    let run = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status();
    matches!(tokio::time::timeout(PATIENCE, run).await, Ok(Ok(status)) if status.success())
}

/// The web page's own tests, where there is a page.
///
/// # Errors
/// When npm cannot be started, or at an interruption.
pub async fn run_ui(
    ctx: &Context,
    report: &mut Report,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let dir = ctx.root.join("web-ui");
    if !dir.join("package.json").is_file() {
        ctx.out
            .line("ui: this tree has no web page yet, so there is nothing to test");
        return Ok(());
    }
    if !answers("node", &["--version"]).await || !answers("npm", &["--version"]).await {
        let remedy = "apt install nodejs npm";
        report
            .not_run
            .push(NotRun::new("web-ui", "Node or npm was not found", remedy));
        return Ok(());
    }
    let began = Instant::now();
    let mut cases = Vec::new();
    for args in [&["ci"][..], &["test"]] {
        let name = format!("npm {}", args.join(" "));
        let step = ctx.out.step("ui", format_args!("runs {name}"));
        let started = Instant::now();
        let output = Command::new("npm")
            .args(args)
            .current_dir(&dir)
            .env("CI", "true")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::select! {
            output = output => output.with_context(|| format!("failed to run {name}"))?,
            () = stop.cancelled() => anyhow::bail!("interrupted"),
        };
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        std::fs::write(report.log(&name), &text).context("failed to write npm's output")?;
        let passed = output.status.success();
        cases.push(Case {
            name: name.clone(),
            took: Some(started.elapsed()),
            outcome: if passed {
                Outcome::Passed
            } else {
                Outcome::Failed(text)
            },
        });
        if passed {
            step.done(format_args!("{name} passed"));
        } else {
            step.fail(format_args!("{name} FAILED"));
            break;
        }
    }
    let suite = Suite {
        name: "web-ui".into(),
        cases,
    };
    report.add(Group::Ui, suite, began.elapsed());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_need_is_named_by_its_mark() {
        assert_eq!(Need::of("needs docker"), Some(Need::Docker));
        assert_eq!(Need::of("needs docker: pulls an image"), Some(Need::Docker));
        assert_eq!(Need::of("needs chromium"), Some(Need::Chromium));
        assert_eq!(Need::of("slow"), None);
        assert_eq!(Need::of("needs luck"), None);
    }
}
