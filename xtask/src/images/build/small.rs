//! The offline images that need no more than their files: PostgreSQL and this workspace's own.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;

use super::base::glibc_needed;
use super::context::BuildContext;
use super::{Builder, Built};
use crate::components::Part;
use crate::components::postgres::Binaries;
use crate::images::catalogue::ImageSpec;
use crate::images::inventory::folder;
use crate::output::Step;

pub(super) async fn postgres(
    builder: &Builder<'_>,
    spec: &ImageSpec,
    step: &Step,
) -> anyhow::Result<Built> {
    let ctx = builder.ctx;
    let programs = Binaries::pinned(ctx, step).await?;
    let programs = programs
        .dir
        .parent()
        .context("the programs lie in a folder")?;
    let home = ctx.root.join("infra/images/postgres");
    let context = BuildContext::new(&home.join("Dockerfile"))
        .file("entrypoint.sh", &home.join("entrypoint.sh"))
        .folder("pgsql", programs);
    builder.simple(spec, context, step).await
}

/// Debian's package, fetched once by apt and unpacked, not installed.
pub(super) async fn prometheus(
    builder: &Builder<'_>,
    spec: &ImageSpec,
    step: &Step,
) -> anyhow::Result<Built> {
    let ctx = builder.ctx;
    let package = folder(ctx).join("prometheus-package");
    if !package.join("usr/bin/prometheus").is_file() {
        step.update("fetches Debian's package of Prometheus");
        let work = tempfile::tempdir_in(folder(ctx)).context("failed to write to the cache")?;
        run("apt-get", &["download", "prometheus"], work.path()).await?;
        let entries = std::fs::read_dir(work.path()).context("failed to read the cache")?;
        let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let deb = paths.find(|path| path.extension().is_some_and(|e| e == "deb"));
        let deb = deb.context("apt-get fetched no package of Prometheus")?;
        let deb = deb.to_str().context("the cache's path is not UTF-8")?;
        run("dpkg-deb", &["-x", deb, "unpacked"], work.path()).await?;
        std::fs::rename(work.path().join("unpacked"), &package)
            .context("failed to write to the cache")?;
    }
    let home = ctx.root.join("infra/images/prometheus");
    let context = BuildContext::new(&home.join("Dockerfile"))
        .folder("package/usr/bin", &package.join("usr/bin"))
        .folder(
            "package/usr/share/prometheus",
            &package.join("usr/share/prometheus"),
        );
    builder.simple(spec, context, step).await
}

async fn run(program: &str, args: &[&str], dir: &Path) -> anyhow::Result<()> {
    let output = tokio::process::Command::new(program)
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("failed to start {program}; this needs a Debian"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or_default();
    anyhow::ensure!(output.status.success(), "{program} failed: {last}");
    Ok(())
}

/// A program of this workspace, from the folder of its binary.
pub(super) async fn own(
    builder: &Builder<'_>,
    spec: &ImageSpec,
    part: Part,
    bin_dir: &Path,
    step: &Step,
) -> anyhow::Result<Built> {
    let ctx = builder.ctx;
    let work = tempfile::tempdir_in(folder(ctx)).context("failed to write to the cache")?;
    let program = work.path().join(part.name());
    strip(&bin_dir.join(part.name()), &program)?;
    let needed = glibc_needed(&program)?;
    let there = builder.base.glibc;
    anyhow::ensure!(
        needed <= there,
        "{}, as cargo built it here, needs glibc {}.{}, and the base image has {}.{}; build on the \
         base's own Debian, or choose a later one with EDALAB_DEBIAN_SUITE",
        part.name(),
        needed.0,
        needed.1,
        there.0,
        there.1
    );
    let home = ctx.root.join("infra/images/service");
    let context = BuildContext::new(&home.join("Dockerfile")).file("service", &program);
    builder.simple(spec, context, step).await
}

/// Debug information is most of what cargo writes; without binutils it stays.
fn strip(program: &Path, to: &Path) -> anyhow::Result<()> {
    let stripped = Command::new("strip")
        .arg("-o")
        .arg(to)
        .arg(program)
        .status();
    if stripped.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    std::fs::copy(program, to)
        .map(drop)
        .with_context(|| format!("failed to copy {}", program.display()))
}
