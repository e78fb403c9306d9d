//! `images`: the Docker backend's images. Pinned ones come from a registry, a mirror or a bundle;
//! offline ones are made here and keep their contract.

use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::json;

use crate::Context;
use crate::components::docker::Daemon;
use crate::images::{Catalogue, ImageSpec, ImageUsed, Inventory, build, bundle, pull, verify};

#[derive(Debug, clap::Args)]
pub struct ImagesArgs {
    #[command(subcommand)]
    pub verb: ImagesVerb,
}

#[derive(Debug, clap::Subcommand)]
pub enum ImagesVerb {
    /// Show every image, what stands in for it, and which are here.
    List,
    /// Fetch the pinned images by digest (`EDALAB_IMAGE_MIRROR` names a mirror).
    Pull {
        #[command(flatten)]
        which: Which,
    },
    /// Compare what is here with what it should be. Non-zero when something differs.
    Verify {
        #[command(flatten)]
        which: Which,
        /// Also ask the registry what each pinned digest is, without pulling it.
        #[arg(long)]
        registry: bool,
    },
    /// Make offline images from Debian packages, Maven's jars and this workspace.
    Build {
        /// Make the base anew, with today's packages.
        #[arg(long)]
        fresh: bool,
        /// Take the binaries that are there (`EDALAB_BIN_DIR`, else beside xtask).
        #[arg(long)]
        no_build: bool,
        /// Compile Jaeger too, from its Go module: needs Go, and takes minutes once.
        #[arg(long)]
        jaeger: bool,
    },
    /// Write the images that `up` would run into one file.
    Save {
        file: PathBuf,
        #[command(flatten)]
        which: Which,
    },
    /// Load the images of such a file.
    Load { file: PathBuf },
}

#[derive(Debug, Clone, Default, clap::Args)]
pub struct Which {
    /// kafka, postgres, registry, …; without names, what `up` starts.
    pub names: Vec<String>,
    /// Every image, also those that no verb starts yet.
    #[arg(long)]
    pub all: bool,
}

impl Which {
    fn select(&self, catalogue: &Catalogue) -> anyhow::Result<Vec<(String, ImageSpec)>> {
        catalogue.select(&self.names, self.all)
    }
}

pub async fn run(ctx: &Context, args: &ImagesArgs) -> anyhow::Result<()> {
    let catalogue = Catalogue::load(ctx)?;
    let daemon = Daemon::connect().await?;
    match &args.verb {
        ImagesVerb::List => list(ctx, &daemon, &catalogue).await,
        ImagesVerb::Pull { which } => {
            pull::pull(ctx, &daemon, &which.select(&catalogue)?).await?;
            list(ctx, &daemon, &catalogue).await
        }
        ImagesVerb::Verify { which, registry } => {
            check(ctx, &daemon, &which.select(&catalogue)?, *registry).await
        }
        ImagesVerb::Build {
            fresh,
            no_build,
            jaeger,
        } => {
            let options = build::Options {
                fresh: *fresh,
                no_build: *no_build,
                jaeger: *jaeger,
            };
            build::build(ctx, &daemon, options).await?;
            list(ctx, &daemon, &catalogue).await
        }
        ImagesVerb::Save { file, which } => {
            save(ctx, &daemon, &which.select(&catalogue)?, file).await
        }
        ImagesVerb::Load { file } => load(ctx, &daemon, &catalogue, file).await,
    }
}

async fn list(ctx: &Context, daemon: &Daemon, catalogue: &Catalogue) -> anyhow::Result<()> {
    let inventory = Inventory::read(ctx, daemon).await?;
    let rows = verify::list(&inventory, &catalogue.select(&[], true)?);
    if ctx.json {
        return ctx.print_json(&rows);
    }
    println!("{} at {}\n", daemon.describe().await?, daemon.address);
    println!("{:11} {:38} {:34} OFFLINE", "PART", "IMAGE", "PINNED");
    for row in rows {
        let here = |image: &Option<ImageUsed>| match image {
            Some(image) => {
                format!("{} MB, {}", image.size_bytes >> 20, image.origin.describe())
            }
            None => "not here".to_owned(),
        };
        let offline = match &row.offline_image {
            Some(image) => format!("{image}: {}", here(&row.offline)),
            None => "-".to_owned(),
        };
        println!(
            "{:11} {:38} {:34} {offline}",
            row.name,
            row.image,
            here(&row.pinned)
        );
    }
    Ok(())
}

async fn check(
    ctx: &Context,
    daemon: &Daemon,
    specs: &[(String, ImageSpec)],
    registry: bool,
) -> anyhow::Result<()> {
    let inventory = Inventory::read(ctx, daemon).await?;
    let findings = verify::verify(daemon, &inventory, specs, registry).await?;
    if ctx.json {
        ctx.print_json(&findings)?;
    } else {
        for finding in &findings {
            println!(
                "{:8} {:11} {:42} {}",
                finding.verdict, finding.name, finding.image, finding.detail
            );
        }
    }
    let bad = |verdict: &str| findings.iter().filter(|f| f.verdict == verdict).count();
    anyhow::ensure!(bad("differs") == 0, "{} images differ", bad("differs"));
    anyhow::ensure!(
        bad("unknown") == 0,
        "the registry did not answer for {} images",
        bad("unknown")
    );
    anyhow::ensure!(bad("ok") > 0, "none of the images is here");
    Ok(())
}

async fn save(
    ctx: &Context,
    daemon: &Daemon,
    specs: &[(String, ImageSpec)],
    file: &PathBuf,
) -> anyhow::Result<()> {
    let step = ctx.out.step("bundle", "exports the images");
    let manifest = bundle::save(ctx, daemon, specs, file, &step).await?;
    let size = std::fs::metadata(file).map(|m| m.len()).unwrap_or(0);
    let text = format!("{} images, {} MB", manifest.images.len(), size >> 20);
    step.done(format_args!("{} holds {text}", file.display()));
    if ctx.json {
        return ctx.print_json(&manifest);
    }
    let file = std::path::absolute(file).context("failed to resolve the file")?;
    println!(
        "`cargo xtask images load {}` loads it elsewhere",
        file.display()
    );
    Ok(())
}

async fn load(
    ctx: &Context,
    daemon: &Daemon,
    catalogue: &Catalogue,
    file: &std::path::Path,
) -> anyhow::Result<()> {
    let step = ctx.out.step("bundle", "checks the bundle");
    let manifest = bundle::load(ctx, daemon, catalogue, file, &step).await?;
    let names: Vec<&str> = manifest
        .images
        .iter()
        .map(|image| image.name.as_str())
        .collect();
    step.done(format_args!("loaded {}", names.join(", ")));
    if ctx.json {
        return ctx.print_json(&json!({ "loaded": names }));
    }
    list(ctx, daemon, catalogue).await
}
