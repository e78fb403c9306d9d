//! What some tests need beyond Rust, whether this machine has it, and how to get it.
//!
//! A test that needs more than a lab says so in its mark, `#[ignore = "needs docker"]`: where
//! Docker answers it is run all the same, elsewhere it is listed with the remedy.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::Context;
use crate::verbs::doctor;
use crate::{npm, page};

/// A question that a daemon does not answer within this time has no answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// What a lab consists of: Java, Kafka's jars, PostgreSQL.
    Lab,
    Docker,
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
            "docker" => Some(Need::Docker),
            "node" => Some(Need::Node),
            "chromium" => Some(Need::Chromium),
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
        if let Some(dir) = page::folder(ctx)
            && let Err(e) = npm::check_node(&dir).await
        {
            missing.insert(Need::Node, (e.reason, e.remedy));
        }
        if page::chromium().await.is_none() {
            let reason = "Chromium was not found".to_owned();
            let remedy = "apt install chromium, or name yours in CHROMIUM".to_owned();
            missing.insert(Need::Chromium, (reason, remedy));
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
