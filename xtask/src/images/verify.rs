//! `images list` and `images verify`: what is here, and whether it is what it should be.

use anyhow::Context as _;
use futures_util::future::join_all;
use serde::Serialize;

use super::catalogue::{Group, ImageSpec};
use super::inventory::{ImageUsed, Inventory, Origin};
use super::pull;
use crate::components::docker::Daemon;

/// One line of `images list`.
#[derive(Debug, Serialize)]
pub struct Row {
    pub name: String,
    pub role: String,
    pub group: Group,
    pub image: String,
    pub digest: String,
    /// The pinned image, when the daemon has it.
    pub pinned: Option<ImageUsed>,
    pub offline_image: Option<String>,
    /// The offline one, when the daemon has it.
    pub offline: Option<ImageUsed>,
}

pub fn list(inventory: &Inventory, specs: &[(String, ImageSpec)]) -> Vec<Row> {
    let row = |(name, spec): &(String, ImageSpec)| Row {
        name: name.clone(),
        role: spec.role.clone(),
        group: spec.group,
        image: spec.image.clone(),
        digest: spec.digest.clone(),
        pinned: inventory.pinned(name, spec),
        offline_image: spec.offline.clone(),
        offline: inventory.offline(spec),
    };
    specs.iter().map(row).collect()
}

/// One finding of `images verify`.
#[derive(Debug, Serialize)]
pub struct Finding {
    pub name: String,
    pub image: String,
    /// `ok`, `differs`, `absent` or `unknown` (the registry does not answer).
    pub verdict: &'static str,
    pub detail: String,
}

/// Compares what is here with what it should be; with `ask`, also asks the registry what each
/// pinned digest is, without pulling it.
pub async fn verify(
    daemon: &Daemon,
    inventory: &Inventory,
    specs: &[(String, ImageSpec)],
    ask: bool,
) -> anyhow::Result<Vec<Finding>> {
    let version = daemon.version().await.context("failed to ask the daemon")?;
    let arch = version.arch.unwrap_or_default();
    let mut findings = Vec::new();
    for (name, spec) in specs {
        let finding = |verdict, image: &str, detail: String| Finding {
            name: name.clone(),
            image: image.to_owned(),
            verdict,
            detail,
        };
        match inventory.pinned(name, spec) {
            Some(image) => {
                let its = daemon.inspect_image(&image.id).await;
                let its = its.context("failed to look at an image")?;
                let its_arch = its.architecture.unwrap_or_default();
                let from = image.origin.describe();
                findings.push(if its_arch == arch {
                    finding("ok", &spec.image, format!("{} ({from})", spec.digest))
                } else {
                    finding(
                        "differs",
                        &spec.image,
                        format!("is for {its_arch}, not {arch}"),
                    )
                });
            }
            None if spec.image.is_empty() => {}
            None => findings.push(finding("absent", &spec.image, spec.digest.clone())),
        }
        if let Some(image) = inventory.offline(spec) {
            findings.push(match inventory.records().offline.get(name) {
                Some(record) if record.id == image.id => {
                    let how = if record.origin == Origin::Bundle {
                        "bundle"
                    } else {
                        "built here"
                    };
                    finding("ok", &image.reference, format!("{} ({how})", image.id))
                }
                Some(record) => finding(
                    "differs",
                    &image.reference,
                    format!("is {}, and {} was made", image.id, record.id),
                ),
                None => finding(
                    "differs",
                    &image.reference,
                    "was not made here; `cargo xtask images build` makes it anew".into(),
                ),
            });
        }
    }
    if ask {
        let asking = specs
            .iter()
            .filter(|(_, spec)| !spec.image.is_empty())
            .map(|(name, spec)| ask_registry(daemon, name, spec, &arch));
        findings.extend(join_all(asking).await);
    }
    Ok(findings)
}

/// Whether the pinned digest is there, and whether it is an index that has this architecture.
async fn ask_registry(daemon: &Daemon, name: &str, spec: &ImageSpec, arch: &str) -> Finding {
    let repository = match pull::mirror() {
        Some(mirror) => spec.mirrored(&mirror),
        None => spec.repository().to_owned(),
    };
    let reference = format!("{repository}@{}", spec.digest);
    let (verdict, detail) = match daemon.inspect_registry_image(&reference, None).await {
        Err(e) => ("unknown", format!("the registry does not say: {e}")),
        Ok(answer) => {
            let digest = answer.descriptor.digest.unwrap_or_default();
            let platforms: Vec<String> = answer
                .platforms
                .into_iter()
                .filter_map(|platform| platform.architecture)
                .collect();
            let kind = answer.descriptor.media_type.unwrap_or_default();
            let is_index = kind.contains("index") || kind.contains("manifest.list");
            let kind = if is_index {
                "multi-architecture index"
            } else {
                "single image"
            };
            if digest != spec.digest {
                ("differs", format!("the registry answers {digest}"))
            } else if platforms.iter().any(|platform| platform == arch) {
                ("ok", format!("{kind}: {}", platforms.join(", ")))
            } else {
                (
                    "differs",
                    format!("{kind} without {arch}: {}", platforms.join(", ")),
                )
            }
        }
    };
    Finding {
        name: name.to_owned(),
        image: reference,
        verdict,
        detail,
    }
}
