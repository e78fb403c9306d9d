//! The offline images that need no more than their files: PostgreSQL, Prometheus, Jaeger and this
//! workspace's own.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::Value;

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

/// Compiled from its Go module, which Go fetches and checks; once, then kept in the cache.
pub(super) async fn jaeger(
    builder: &Builder<'_>,
    spec: &ImageSpec,
    step: &Step,
) -> anyhow::Result<Built> {
    let ctx = builder.ctx;
    let home = ctx.root.join("infra/images/jaeger");
    let pinned = home.join("module.sum");
    let text = std::fs::read_to_string(&pinned);
    let text = text.with_context(|| format!("failed to read {}", pinned.display()))?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let &[module, version, sum] = words.as_slice() else {
        anyhow::bail!(
            "{} is not a module, its version and its sum",
            pinned.display()
        );
    };
    let program = folder(ctx).join(format!("jaeger-{version}"));
    if !program.is_file() {
        step.update(format_args!("fetches {module} {version}"));
        let fetch = ["mod", "download", "-json", &format!("{module}@{version}")];
        let fetched = run("go", &fetch, &folder(ctx)).await?;
        let fetched: Value =
            serde_json::from_str(&fetched).context("go answers something else than JSON")?;
        let found = fetched["Sum"].as_str().unwrap_or_default();
        anyhow::ensure!(
            found == sum,
            "{module} {version} has the sum {found}, and {} says {sum}",
            pinned.display()
        );
        let source = fetched["Dir"].as_str().context("go says no folder")?;
        step.update("compiles Jaeger: minutes, and about 2 GB of Go's own cache");
        let work = tempfile::tempdir_in(folder(ctx)).context("failed to write to the cache")?;
        let out = work.path().join("jaeger");
        let to = out.to_str().context("the cache's path is not UTF-8")?;
        let build = [
            "build",
            "-trimpath",
            "-ldflags=-s -w",
            "-o",
            to,
            "./cmd/jaeger",
        ];
        run("go", &build, Path::new(source)).await?;
        std::fs::rename(&out, &program).context("failed to write to the cache")?;
    }
    let context = BuildContext::new(&home.join("Dockerfile")).file("jaeger", &program);
    builder.simple(spec, context, step).await
}

/// What it said, once it has ended well.
async fn run(program: &str, args: &[&str], dir: &Path) -> anyhow::Result<String> {
    let output = tokio::process::Command::new(program)
        .args(args)
        .current_dir(dir)
        // No C: the program runs on any base.
        .env("CGO_ENABLED", "0")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| match program {
            "go" => "failed to start go; install Go 1.24 or later".to_owned(),
            _ => format!("failed to start {program}; this needs a Debian"),
        })?;
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or_default();
    anyhow::ensure!(output.status.success(), "{program} failed: {last}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
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
