//! What some tests need beyond Rust, whether this machine has it, and how to get it.
//!
//! A test that needs more than a lab says so in its mark, `#[ignore = "needs docker"]`: where
//! Docker answers it is run all the same, elsewhere it is listed with the remedy. In CI
//! (`EDALAB_CI`) what can be built is built.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::report::{NotRun, Report};
use super::suites::Group;
use crate::Context;
use crate::components::docker::Daemon;
use crate::components::light::Light;
use crate::images::inventory::Wish;
use crate::images::{Catalogue, Inventory, build};
use crate::junit::{Case, Outcome, Suite};
use crate::verbs::doctor;

/// A question that a daemon does not answer within this time has no answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// What a lab consists of: a broker and PostgreSQL.
    Lab,
    /// Java and Kafka's jars.
    Java,
    /// The light broker, built.
    Light,
    /// A daemon and the offline images.
    Docker,
    /// The same, and a registry to push to and pull from.
    Registry,
    Node,
    Chromium,
}

impl Need {
    /// What the reason of `#[ignore = "needs docker …"]` names.
    pub fn of(reason: &str) -> Option<Self> {
        let mut words = reason
            .strip_prefix("needs ")?
            .split(|c: char| !c.is_alphanumeric());
        match words.next()? {
            "java" => Some(Need::Java),
            "light" => Some(Need::Light),
            "docker" => Some(Need::Docker),
            "registry" => Some(Need::Registry),
            "node" => Some(Need::Node),
            "chromium" => Some(Need::Chromium),
            _ => None,
        }
    }
}

/// What is missing: the reason and the remedy.
type Missing = Option<(String, String)>;

fn missing(reason: impl Into<String>, remedy: &str) -> Missing {
    Some((reason.into(), remedy.to_owned()))
}

/// What was looked for on this machine so far; nothing is looked for that no test needs.
#[derive(Debug)]
pub struct Needs<'a> {
    ctx: &'a Context,
    /// Build what can be built, however long it takes.
    build: bool,
    known: BTreeMap<Need, Missing>,
}

impl<'a> Needs<'a> {
    pub fn new(ctx: &'a Context, build: bool) -> Self {
        Self {
            ctx,
            build,
            known: BTreeMap::new(),
        }
    }

    /// The reason and the remedy; `None` when it is there.
    pub async fn missing(&mut self, need: Need) -> Missing {
        if let Some(known) = self.known.get(&need) {
            return known.clone();
        }
        let found = match need {
            Need::Lab => self.lab().await,
            Need::Java => doctor::missing_for_kafka(self.ctx).await,
            Need::Light => self.light().await,
            Need::Docker => self.docker().await,
            Need::Registry => match Box::pin(self.missing(Need::Docker)).await {
                None => {
                    program(
                        "docker-registry",
                        "a registry",
                        "apt install docker-registry",
                    )
                    .await
                }
                missing => missing,
            },
            Need::Node => program("node", "Node", "apt install nodejs npm").await,
            Need::Chromium => program("chromium", "Chromium", "apt install chromium").await,
        };
        self.known.insert(need, found.clone());
        found
    }

    async fn lab(&self) -> Missing {
        if let Some(missing) = doctor::missing_for_a_lab(self.ctx) {
            return Some(missing);
        }
        let (reason, remedy) = doctor::missing_for_kafka(self.ctx).await?;
        if Light::find(self.ctx).is_ok_and(|light| light.is_some()) {
            return None;
        }
        Some((reason, format!("{remedy}; or {LIGHT_REMEDY}")))
    }

    async fn light(&self) -> Missing {
        if self.build {
            let step = self.ctx.out.step("light", "builds the light broker");
            return match Light::prepare(self.ctx, &step).await {
                Ok(_) => {
                    step.done("the light broker is built");
                    None
                }
                Err(e) => {
                    step.fail("the light broker does not build");
                    missing(format!("{e:#}"), LIGHT_REMEDY)
                }
            };
        }
        match Light::find(self.ctx) {
            Ok(Some(_)) => None,
            Ok(None) => missing("the light broker is not built", LIGHT_REMEDY),
            Err(e) => missing(format!("{e:#}"), LIGHT_REMEDY),
        }
    }

    async fn docker(&self) -> Missing {
        let client = ["version", "--format", "{{.Server.Version}}"];
        if !answers("docker", &client).await {
            return missing(
                "no Docker daemon answers",
                "install and start Docker (apt install docker.io)",
            );
        }
        let images = async {
            let daemon = Daemon::connect().await?;
            if self.build {
                // The services were built before the first suite.
                let options = build::Options {
                    no_build: true,
                    ..build::Options::default()
                };
                return build::build(self.ctx, &daemon, options).await;
            }
            let specs = Catalogue::load(self.ctx)?.select(&[], false)?;
            let inventory = Inventory::read(self.ctx, &daemon).await?;
            inventory.choose(&specs, Some(Wish::Offline)).map(drop)
        };
        match images.await {
            Ok(()) => None,
            Err(e) => missing(format!("{e:#}"), "cargo xtask images build"),
        }
    }
}

const LIGHT_REMEDY: &str = "`cargo xtask infra up kafka --broker light` builds the light broker \
                            (once, about a quarter of an hour)";

async fn program(program: &str, name: &str, remedy: &str) -> Missing {
    if answers(program, &["--version"]).await {
        return None;
    }
    missing(format!("{name} ({program}) was not found"), remedy)
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
        assert_eq!(Need::of("needs light"), Some(Need::Light));
        assert_eq!(Need::of("needs registry"), Some(Need::Registry));
        assert_eq!(Need::of("slow"), None);
        assert_eq!(Need::of("needs luck"), None);
    }
}
