//! The light broker: `services/broker`, a package outside the workspace, built once into the
//! user's cache and started as one child process.
//!
//! Its dependencies are many and want another toolchain's leave, so it is not built with the
//! services: the cache keeps one binary per state of its sources, for every clone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use sha2::{Digest, Sha256};

use super::kafka::jars::hex;
use super::{Part, Site};
use crate::output::Step;
use crate::process::Launch;
use crate::state::{ComponentState, Lock};
use crate::{Context, cargo};

/// On two idle cores the first build takes a quarter of an hour.
const BUILD_PATIENCE: Duration = Duration::from_secs(3600);

/// Decides with the sources which binary it is.
const TOOLCHAIN: &str = include_str!("../../../rust-toolchain.toml");

/// A light broker that can be started here.
#[derive(Debug)]
pub struct Light {
    program: PathBuf,
}

impl Light {
    /// Finds its binary: in `EDALAB_BIN_DIR`, else in the cache, else by building it.
    ///
    /// # Errors
    /// With the compiler's own words.
    pub async fn prepare(ctx: &Context, step: &Step) -> anyhow::Result<Self> {
        if let Some(found) = Self::find(ctx)? {
            return Ok(found);
        }
        let sources = sources(ctx);
        let program = cached(ctx)?;
        let cache = cache(ctx);
        let waiting = |pid: &str| step.update(format_args!("waits for pid {pid}, which builds it"));
        let _lock = Lock::take(&cache, BUILD_PATIENCE, waiting).await?;
        if !program.is_file() {
            let built = build(ctx, &sources, &cache.join("target"), step).await?;
            keep(&built, &program)?;
        }
        Ok(Self { program })
    }

    /// The same without building.
    ///
    /// # Errors
    /// When its sources cannot be read.
    pub fn find(ctx: &Context) -> anyhow::Result<Option<Self>> {
        if let Some(dir) = std::env::var_os("EDALAB_BIN_DIR").filter(|dir| !dir.is_empty()) {
            let program = std::path::absolute(Path::new(&dir).join("broker"))
                .context("failed to resolve EDALAB_BIN_DIR")?;
            if program.is_file() {
                return Ok(Some(Self { program }));
            }
        }
        let program = cached(ctx)?;
        Ok(program.is_file().then_some(Self { program }))
    }

    /// Starts it on the lab's data.
    ///
    /// # Errors
    /// When it is gone at once.
    pub fn start(&self, site: &Site) -> anyhow::Result<ComponentState> {
        let launch = Launch {
            program: self.program.clone(),
            args: vec![data(&site.ctx).into()],
            env: vec![
                ("BROKER_PORT".into(), site.lab.port("kafka").to_string()),
                ("LOG_LEVEL".into(), "info".into()),
            ],
            dir: site.ctx.lab_dir.clone(),
            log: site.log(Part::Kafka),
            user: None,
        };
        let identity = launch.spawn(&site.ctx.lab_dir)?;
        Ok(site.record(Part::Kafka, &identity, site.lab.kafka_bootstrap()))
    }
}

fn sources(ctx: &Context) -> PathBuf {
    ctx.root.join("services/broker")
}

fn cache(ctx: &Context) -> PathBuf {
    ctx.cache_dir.join("broker")
}

/// Where the binary of these sources is, once it was built.
fn cached(ctx: &Context) -> anyhow::Result<PathBuf> {
    Ok(cache(ctx).join(format!("broker-{}", &key(&sources(ctx))?[..12])))
}

fn data(ctx: &Context) -> PathBuf {
    ctx.lab_dir.join("broker")
}

/// True when this lab has records in a light broker.
pub fn has_data(ctx: &Context) -> bool {
    data(ctx).join("cluster.id").is_file()
}

/// A digest of everything that the binary is made from.
fn key(sources: &Path) -> anyhow::Result<String> {
    let mut files = vec![sources.join("Cargo.toml"), sources.join("Cargo.lock")];
    let mut folders = vec![sources.join("src")];
    while let Some(folder) = folders.pop() {
        let failed = || format!("failed to read {}", folder.display());
        for entry in std::fs::read_dir(&folder).with_context(failed)? {
            let path = entry.with_context(failed)?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    let mut hash = Sha256::new();
    for part in [TOOLCHAIN, std::env::consts::OS, std::env::consts::ARCH] {
        hash.update(part);
        hash.update([0]);
    }
    for file in files {
        let name = file.strip_prefix(sources).unwrap_or(&file);
        let text =
            std::fs::read(&file).with_context(|| format!("failed to read {}", file.display()))?;
        hash.update(name.as_os_str().as_encoded_bytes());
        hash.update([0]);
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(&text);
    }
    Ok(hex(&hash.finalize()))
}

async fn build(
    ctx: &Context,
    sources: &Path,
    target: &Path,
    step: &Step,
) -> anyhow::Result<PathBuf> {
    let (manifest, target) = (sources.join("Cargo.toml"), target.display().to_string());
    let manifest = manifest.display().to_string();
    let args = [
        "build",
        "--locked",
        // One dependency asks for a later compiler than it needs.
        "--ignore-rust-version",
        "--manifest-path",
        &manifest,
        "--target-dir",
        &target,
    ];
    let what = "the light broker's crates (once, some 430)";
    let artifacts = cargo::build(ctx, &args, what, step).await?;
    let binary = artifacts
        .into_iter()
        .rev()
        .find_map(|artifact| artifact.executable);
    binary.context("cargo built no binary")
}

/// Copies beside the place and renames, so that nobody starts half a file.
fn keep(built: &Path, program: &Path) -> anyhow::Result<()> {
    let beside = program.with_extension("new");
    std::fs::copy(built, &beside)
        .and_then(|_| std::fs::rename(&beside, program))
        .with_context(|| format!("failed to write {}", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_source_is_another_binary() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        std::fs::create_dir(dir.path().join("src")).unwrap();
        write("Cargo.toml", "a");
        write("Cargo.lock", "b");
        write("src/main.rs", "c");
        let first = key(dir.path()).unwrap();
        assert_eq!(first, key(dir.path()).unwrap());
        write("src/main.rs", "d");
        let second = key(dir.path()).unwrap();
        write("src/more.rs", "");
        let third = key(dir.path()).unwrap();
        assert!(first != second && second != third && first != third);
        std::fs::remove_file(dir.path().join("Cargo.lock")).unwrap();
        assert!(key(dir.path()).is_err());
    }

    #[test]
    fn the_committed_package_is_found() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        assert_eq!(key(&root.join("services/broker")).unwrap().len(), 64);
    }
}
