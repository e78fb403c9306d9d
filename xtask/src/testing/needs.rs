//! What some tests need beyond Rust, whether this machine has it, and how to get it.
//!
//! A test that needs more than a lab says so in its mark, `#[ignore = "needs docker"]`: where
//! Docker answers it is run all the same, elsewhere it is listed with the remedy. In CI
//! (`EDALAB_CI`) what can be built is built.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::Context;
use crate::components::docker::Daemon;
use crate::components::light::Light;
use crate::images::inventory::Wish;
use crate::images::{Catalogue, Inventory, build};
use crate::verbs::doctor;
use crate::{npm, page};

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
    Prometheus,
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
            "prometheus" => Some(Need::Prometheus),
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
            Need::Node => match page::folder(self.ctx) {
                Some(dir) => npm::check_node(&dir)
                    .await
                    .err()
                    .map(|e| (e.reason, e.remedy)),
                None => None,
            },
            Need::Prometheus => program("promtool", "Prometheus", "apt install prometheus").await,
            Need::Chromium => match page::chromium().await {
                Some(_) => None,
                None => missing(
                    "Chromium was not found",
                    "apt install chromium, or name yours in CHROMIUM",
                ),
            },
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
