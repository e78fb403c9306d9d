//! `images build`: offline images for machines that no registry answers. A Debian base by
//! debootstrap ([`base`]) under Kafka's jars from Maven ([`kafka`]), the pinned PostgreSQL binaries,
//! Debian's Prometheus, Jaeger's Go module and this workspace's own programs ([`small`]), put together
//! by the Dockerfiles in `infra/images/`.
//!
//! Each image carries the key of everything that went into it; what is current is left alone.

mod base;
mod context;
mod kafka;
mod small;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use bollard::body_try_stream;
use bollard::query_parameters::{
    BuildImageOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
};
use chrono::Utc;
use futures_util::StreamExt;

pub use base::Base;
pub use context::BuildContext;

use super::catalogue::{Catalogue, ImageSpec};
use super::inventory::{Inventory, Origin, Record, Records, folder};
use super::transfer;
use crate::Context;
use crate::components::docker::Daemon;
use crate::components::{Part, services};
use crate::lab::Failures;
use crate::output::Step;
use crate::state::Lock;

/// On every image that is built here: what it was built from.
pub const KEY_LABEL: &str = "edalab.key";

/// A first base takes minutes on a slow line.
const LOCK_PATIENCE: Duration = Duration::from_secs(30 * 60);

/// What the builds share.
struct Builder<'a> {
    ctx: &'a Context,
    daemon: &'a Daemon,
    base: Base,
    inventory: Inventory,
}

/// How to build.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Make the base anew, and with it everything.
    pub fresh: bool,
    /// Take the binaries that are there instead of building them.
    pub no_build: bool,
    /// Compile Jaeger too.
    pub jaeger: bool,
}

/// Builds what is not current.
///
/// # Errors
/// Every image that could not be built.
pub async fn build(ctx: &Context, daemon: &Daemon, options: Options) -> anyhow::Result<()> {
    let catalogue = Catalogue::load(ctx)?;
    let waiting = |pid: &str| {
        ctx.out.line(format_args!(
            "Another xtask (pid {pid}) builds images; waiting"
        ));
    };
    let _lock = Lock::take(&folder(ctx), LOCK_PATIENCE, waiting).await?;
    let step = ctx.out.step("base", "looks for the base image");
    let base = match base::ensure(ctx, daemon, options.fresh, &step).await {
        Ok((base, how)) => {
            step.done(how);
            base
        }
        Err(e) => {
            step.fail("failed");
            return Err(e.context("failed to build the base image"));
        }
    };
    let builder = Builder {
        ctx,
        daemon,
        base,
        inventory: Inventory::read(ctx, daemon).await?,
    };
    let (kafka, postgres, registry, prometheus, jaeger) = tokio::join!(
        builder.run("kafka", &catalogue, async |spec, step| kafka::build(
            &builder, spec, step
        )
        .await),
        builder.run("postgres", &catalogue, async |spec, step| {
            small::postgres(&builder, spec, step).await
        }),
        builder.run("registry", &catalogue, async |spec, step| {
            let bin_dir = match options.no_build {
                true => services::bin_dir()?,
                false => services::compile(ctx, &[Part::Registry], step).await?,
            };
            small::own(&builder, spec, Part::Registry, &bin_dir, step).await
        }),
        builder.run("prometheus", &catalogue, async |spec, step| {
            small::prometheus(&builder, spec, step).await
        }),
        async {
            match options.jaeger {
                true => {
                    let build = async |spec: &ImageSpec, step: &Step| {
                        small::jaeger(&builder, spec, step).await
                    };
                    builder.run("jaeger", &catalogue, build).await
                }
                false => Ok(()),
            }
        },
    );
    let failures = [kafka, postgres, registry, prometheus, jaeger]
        .into_iter()
        .filter_map(Result::err);
    Failures(failures.collect()).check()
}

/// Builds the images of `parts` from the binaries in `bin_dir`, where they are not current.
///
/// # Errors
/// The first that could not be built.
pub async fn services(
    ctx: &Context,
    daemon: &Daemon,
    parts: &[Part],
    bin_dir: &Path,
) -> anyhow::Result<()> {
    let catalogue = Catalogue::load(ctx)?;
    let _lock = Lock::take(&folder(ctx), LOCK_PATIENCE, |_| ()).await?;
    let step = ctx.out.step("base", "looks for the base image");
    let (base, how) = base::ensure(ctx, daemon, false, &step).await?;
    step.done(how);
    let builder = Builder {
        ctx,
        daemon,
        base,
        inventory: Inventory::read(ctx, daemon).await?,
    };
    for part in parts {
        let built = builder.run(part.name(), &catalogue, async |spec, step| {
            small::own(&builder, spec, *part, bin_dir, step).await
        });
        built.await?;
    }
    Ok(())
}

/// How one image came to be there.
struct Built {
    id: String,
    key: String,
    /// False when it was current.
    anew: bool,
}

impl Builder<'_> {
    async fn run(
        &self,
        name: &str,
        catalogue: &Catalogue,
        work: impl AsyncFnOnce(&ImageSpec, &Step) -> anyhow::Result<Built>,
    ) -> anyhow::Result<()> {
        let step = self.ctx.out.step(name, "gathers what goes into it");
        let result = async {
            let spec = catalogue.get(name)?;
            let built = work(spec, &step).await?;
            self.note(name, spec, &built)?;
            Ok::<_, anyhow::Error>((spec, built))
        };
        match result.await {
            Ok((spec, built)) => {
                let reference = spec.offline.as_deref().unwrap_or_default();
                let how = if built.anew { "built" } else { "is current" };
                step.done(format_args!("{reference} {how}"));
                Ok(())
            }
            Err(e) => {
                step.fail("failed");
                Err(e.context(format!("failed to build the image of {name}")))
            }
        }
    }

    fn note(&self, name: &str, spec: &ImageSpec, built: &Built) -> anyhow::Result<()> {
        let record = Record {
            reference: spec.offline.clone().unwrap_or_default(),
            digest: format!("key:{}", built.key),
            id: built.id.clone(),
            origin: Origin::Built,
            at: Utc::now(),
        };
        Records::update(self.ctx, |records| {
            // Looking at it again is no news.
            let old = records.offline.get(name);
            if old.is_none_or(|old| (&old.id, &old.digest) != (&record.id, &record.digest)) {
                records.offline.insert(name.to_owned(), record);
            }
        })
    }

    /// The image of this reference, when it was built from this key.
    fn current(&self, reference: &str, key: &str) -> Option<Built> {
        let image = self.inventory.tagged(reference)?;
        (image.labels.get(KEY_LABEL).map(String::as_str) == Some(key)).then(|| Built {
            id: image.id.clone(),
            key: key.to_owned(),
            anew: false,
        })
    }

    /// Sends the context and follows what the daemon makes of it; returns the image's id.
    async fn assemble(
        &self,
        context: BuildContext,
        base: &str,
        key: &str,
        step: &Step,
    ) -> anyhow::Result<String> {
        let (stream, writing) = transfer::from_writer(move |sink| context.write(sink));
        let labels = HashMap::from([(KEY_LABEL, key), ("edalab.image", "offline")]);
        let options = BuildImageOptionsBuilder::default()
            .dockerfile("Dockerfile")
            .buildargs(&HashMap::from([("BASE", base)]))
            .labels(&labels)
            // Nothing is fetched while it is put together.
            .networkmode("none")
            .rm(true)
            .forcerm(true)
            .build();
        let body = body_try_stream(stream);
        let mut progress = self.daemon.build_image(options, None, Some(body)).boxed();
        let mut id = None;
        let mut said = String::new();
        while let Some(event) = progress.next().await {
            let event = event.context("failed to build")?;
            if let Some(text) = event.stream {
                if text.starts_with("Step ") {
                    step.tick(text.trim());
                }
                said.push_str(&text);
            }
            if let Some(error) = event.error_detail.and_then(|detail| detail.message) {
                let tail: Vec<&str> = said.lines().rev().take(8).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                anyhow::bail!("{error}; it said:\n{}", tail.join("\n"));
            }
            id = event.aux.and_then(|aux| aux.id).or(id);
        }
        writing.await.context("failed to wait for the context")??;
        id.context("the daemon built no image")
    }

    /// Names the new image, and removes the one that had the name.
    async fn tag(&self, id: &str, reference: &str) -> anyhow::Result<()> {
        let (repository, tag) = reference
            .rsplit_once(':')
            .with_context(|| format!("{reference:?} has no tag"))?;
        let options = TagImageOptionsBuilder::default().repo(repository).tag(tag);
        self.daemon
            .tag_image(id, Some(options.build()))
            .await
            .with_context(|| format!("failed to tag {reference}"))?;
        if let Some(old) = self.inventory.tagged(reference)
            && old.id != id
        {
            // A container may still run it; then it goes with a later build.
            let options = RemoveImageOptionsBuilder::default().build();
            let _ = self.daemon.remove_image(&old.id, Some(options), None).await;
        }
        Ok(())
    }

    /// Builds `context` under the offline reference of `spec`, unless that is current.
    async fn simple(
        &self,
        spec: &ImageSpec,
        context: BuildContext,
        step: &Step,
    ) -> anyhow::Result<Built> {
        let reference = spec.offline.as_deref().context("it has no offline image")?;
        let (context, key) = keyed(context, &self.base.id).await?;
        if let Some(current) = self.current(reference, &key) {
            return Ok(current);
        }
        step.update(format_args!("builds {reference}"));
        let id = self.assemble(context, &self.base.id, &key, step).await?;
        self.tag(&id, reference).await?;
        Ok(Built {
            id,
            key,
            anew: true,
        })
    }
}

/// Hashing what goes in takes a moment, and is done beside the others'.
async fn keyed(context: BuildContext, base: &str) -> anyhow::Result<(BuildContext, String)> {
    let base = base.to_owned();
    tokio::task::spawn_blocking(move || {
        let key = context.key(&base)?;
        Ok((context, key))
    })
    .await
    .context("failed to wait for hashing")?
}
