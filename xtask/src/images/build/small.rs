//! The offline images that need no more than their files: PostgreSQL, Prometheus, Jaeger and this
//! workspace's own.

use std::path::Path;
use std::process::Stdio;

use anyhow::Context as _;
use serde_json::Value;
use tokio::process::Command;

use super::base::glibc_needed;
use super::context::BuildContext;
use super::{Builder, Built};
use crate::components::Part;
use crate::components::postgres::Binaries;
use crate::images::catalogue::ImageSpec;
use crate::images::inventory::folder;
use crate::output::Step;

const DEBIAN: &str = "this needs a Debian";
const GO: &str = "install Go 1.24 or later";

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
        run(
            Command::new("apt-get").args(["download", "prometheus"]),
            work.path(),
            DEBIAN,
        )
        .await?;
        let entries = std::fs::read_dir(work.path()).context("failed to read the cache")?;
        let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let deb = paths.find(|path| path.extension().is_some_and(|e| e == "deb"));
        let deb = deb.context("apt-get fetched no package of Prometheus")?;
        let deb = deb.to_str().context("the cache's path is not UTF-8")?;
        run(
            Command::new("dpkg-deb").args(["-x", deb, "unpacked"]),
            work.path(),
            DEBIAN,
        )
        .await?;
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
        let mut fetch = Command::new("go");
        fetch.args(["mod", "download", "-json", &format!("{module}@{version}")]);
        let fetched = run(&mut fetch, &folder(ctx), GO).await?;
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
        let mut build = Command::new("go");
        build.args([
            "build",
            "-trimpath",
            "-ldflags=-s -w",
            "-o",
            to,
            "./cmd/jaeger",
        ]);
        // No C: the program runs on any base.
        build.env("CGO_ENABLED", "0");
        run(&mut build, Path::new(source), GO).await?;
        std::fs::rename(&out, &program).context("failed to write to the cache")?;
    }
    let context = BuildContext::new(&home.join("Dockerfile")).file("jaeger", &program);
    builder.simple(spec, context, step).await
}

/// What a command said, once it has ended well; `remedy` is for when it cannot be started.
async fn run(command: &mut Command, dir: &Path, remedy: &str) -> anyhow::Result<String> {
    let program = command
        .as_std()
        .get_program()
        .to_string_lossy()
        .into_owned();
    let output = command
        .current_dir(dir)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("failed to start {program}; {remedy}"))?;
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
    let stripped = std::process::Command::new("strip")
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
