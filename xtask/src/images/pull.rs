//! `images pull`: by digest, from the registry that the image names or from a mirror. The daemon
//! keeps the layers that it has, so a pull that broke off goes on where it was.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bollard::query_parameters::CreateImageOptionsBuilder;
use chrono::Utc;
use futures_util::StreamExt;
use tokio::task::JoinSet;

use super::catalogue::ImageSpec;
use super::inventory::{Inventory, Origin, Record, Records};
use crate::Context;
use crate::components::docker::Daemon;
use crate::lab::Failures;
use crate::output::Step;

/// The mirror's address: `EDALAB_IMAGE_MIRROR`, such as `localhost:5000`.
pub fn mirror() -> Option<String> {
    std::env::var("EDALAB_IMAGE_MIRROR")
        .ok()
        .filter(|mirror| !mirror.is_empty())
}

/// Pulls what is missing, all at once.
///
/// # Errors
/// Every image that could not be had.
pub async fn pull(
    ctx: &Context,
    daemon: &Daemon,
    specs: &[(String, ImageSpec)],
) -> anyhow::Result<()> {
    let inventory = Inventory::read(ctx, daemon).await?;
    let mut pulling = JoinSet::new();
    for (name, spec) in specs.iter().filter(|(_, spec)| !spec.image.is_empty()) {
        let step = ctx.out.step(name, "asks the registry");
        if let Some(image) = inventory.pinned(name, spec) {
            step.done(format_args!("is here ({})", image.reference));
            continue;
        }
        let (daemon, name, spec, ctx) = (daemon.clone(), name.clone(), spec.clone(), ctx.clone());
        pulling.spawn(async move {
            match one(&ctx, &daemon, &name, &spec, &step).await {
                Ok(bytes) => {
                    step.done(format_args!("{} pulled, {} MB", spec.image, bytes >> 20));
                    Ok(())
                }
                Err(e) => {
                    step.fail("failed");
                    Err(e.context(format!("failed to pull {}", spec.image)))
                }
            }
        });
    }
    let failures = pulling.join_all().await.into_iter().filter_map(Result::err);
    Failures(failures.collect()).check()
}

async fn one(
    ctx: &Context,
    daemon: &Daemon,
    name: &str,
    spec: &ImageSpec,
    step: &Step,
) -> anyhow::Result<i64> {
    let mirror = mirror();
    let repository = match &mirror {
        Some(mirror) => spec.mirrored(mirror),
        None => spec.repository().to_owned(),
    };
    let reference = format!("{repository}@{}", spec.digest);
    let options = CreateImageOptionsBuilder::default()
        .from_image(&repository)
        .tag(&spec.digest);
    let mut progress = daemon
        .create_image(Some(options.build()), None, None)
        .boxed();
    let mut layers: HashMap<String, (i64, i64)> = HashMap::new();
    let mut said = Instant::now();
    while let Some(event) = progress.next().await {
        let event = event.map_err(|e| explain(&e, &repository))?;
        if let (Some(layer), Some(detail)) = (event.id, event.progress_detail)
            && event.status.as_deref() == Some("Downloading")
        {
            let now = (detail.current.unwrap_or(0), detail.total.unwrap_or(0));
            layers.insert(layer, now);
            let (here, total) = layers
                .values()
                .fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
            let message = format!(
                "{} of {} MB of {} layers, {:.1} MB/s",
                here >> 20,
                total >> 20,
                layers.len(),
                here as f64 / 1e6 / step.elapsed().as_secs_f64()
            );
            step.tick(&message);
            // In a log a line now and then says that it goes on.
            if said.elapsed() > Duration::from_secs(10) {
                step.update(message);
                said = Instant::now();
            }
        }
    }
    let image = daemon.inspect_image(&reference).await;
    let image = image.context("the daemon does not know what it pulled")?;
    let id = image.id.context("the daemon gave the image no id")?;
    let digests = image.repo_digests.unwrap_or_default();
    anyhow::ensure!(
        digests
            .iter()
            .any(|known| known.ends_with(&format!("@{}", spec.digest))),
        "the registry gave another image: {}",
        digests.join(", ")
    );
    super::bundle::keep(daemon, &id, name, spec).await?;
    let record = Record {
        reference,
        digest: spec.digest.clone(),
        id,
        origin: if mirror.is_some() {
            Origin::Mirror
        } else {
            Origin::Registry
        },
        at: Utc::now(),
    };
    Records::update(ctx, |records| {
        records.pinned.insert(name.to_owned(), record);
    })?;
    Ok(image.size.unwrap_or_default())
}

/// What a registry's refusal means for the user.
fn explain(error: &bollard::errors::Error, repository: &str) -> anyhow::Error {
    let text = match error {
        bollard::errors::Error::DockerResponseServerError { message, .. } => message.clone(),
        bollard::errors::Error::DockerStreamError { error } => error.clone(),
        other => other.to_string(),
    };
    let lower = text.to_lowercase();
    let way_out = if ["manifest unknown", "not found", "does not match"]
        .iter()
        .any(|w| lower.contains(w))
    {
        "the registry has no image of the pinned digest; see infra/images.toml"
    } else if [
        "no such host",
        "timeout",
        "refused",
        "unreachable",
        "tls",
        "lookup",
        "eof",
    ]
    .iter()
    .any(|word| lower.contains(word))
    {
        "the registry does not answer; set EDALAB_IMAGE_MIRROR, or use `images load` or `images build`"
    } else if lower.contains("no space left") {
        "the disk is full"
    } else {
        return anyhow::anyhow!("{repository}: {text}");
    };
    anyhow::anyhow!("{repository}: {way_out} ({text})")
}
