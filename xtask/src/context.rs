//! Where this run of xtask works: the repository, the lab's folder, the user's cache, and how it
//! talks to the person or program that started it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cli::Backend;
use crate::output::Output;
use crate::state::LabState;

/// What every verb gets.
#[derive(Debug, Clone)]
pub struct Context {
    /// The repository's root.
    pub root: PathBuf,
    /// Data, logs and state of the lab: `EDALAB_DIR`, else `.edalab` under the root. Absolute.
    pub lab_dir: PathBuf,
    /// What is fetched once: `EDALAB_CACHE`, else the user's cache folder.
    pub cache_dir: PathBuf,
    /// Results go to standard output as JSON.
    pub json: bool,
    /// As asked, not yet resolved.
    pub backend: Backend,
    /// Progress, for a person, on standard error.
    pub out: Output,
}

impl Context {
    /// From the environment and the current folder.
    ///
    /// # Errors
    /// When there is no current folder.
    pub fn new(json: bool, backend: Backend) -> anyhow::Result<Self> {
        let root = find_root(&std::env::current_dir().context("failed to find where we are")?);
        let lab_dir = match std::env::var_os("EDALAB_DIR") {
            Some(dir) if !dir.is_empty() => PathBuf::from(dir),
            _ => root.join(".edalab"),
        };
        Ok(Self {
            lab_dir: std::path::absolute(lab_dir).context("failed to resolve EDALAB_DIR")?,
            cache_dir: std::path::absolute(cache_dir()).context("failed to resolve the cache")?,
            root,
            json,
            backend,
            out: Output::detect(),
        })
    }

    /// The lab that is up.
    ///
    /// # Errors
    /// When none is, saying how to start one.
    pub fn lab(&self) -> anyhow::Result<LabState> {
        LabState::load(&self.lab_dir)?
            .context("no lab is up here; start one with `cargo xtask up --detach`")
    }

    /// Where reports of tests and measurements go.
    pub fn reports_dir(&self) -> PathBuf {
        self.root.join("target").join("edalab")
    }

    /// Prints a result as JSON.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn print_json(&self, value: &impl serde::Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(value).context("failed to write JSON")?;
        println!("{text}");
        Ok(())
    }
}

/// The workspace that contains `from`; outside of any, the one that this binary was built from.
fn find_root(from: &Path) -> PathBuf {
    let is_root = |dir: &&Path| dir.join("xtask/Cargo.toml").is_file();
    match from.ancestors().find(is_root) {
        Some(root) => root.to_owned(),
        None => {
            let built_from = Path::new(env!("CARGO_MANIFEST_DIR"));
            built_from.parent().unwrap_or(built_from).to_owned()
        }
    }
}

/// PostgreSQL runs as another user when we are root, and must get at its binaries: so root's cache
/// is not below its home, which others may not enter.
fn cache_dir() -> PathBuf {
    let var = |name| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    if let Some(dir) = var("EDALAB_CACHE") {
        return dir;
    }
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/cache/edalab");
    }
    let cache = var("XDG_CACHE_HOME").or_else(|| var("HOME").map(|home| home.join(".cache")));
    cache.unwrap_or_else(std::env::temp_dir).join("edalab")
}
