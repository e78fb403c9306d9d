//! An empty cluster in the cache, which initdb makes once and every new lab gets a copy of.
//!
//! initdb runs for a second or more, most of it for what is the same each time: the catalogue of
//! three databases. PostgreSQL's own tests do the same (`INITDB_TEMPLATE` in `pg_regress`). What
//! differs is the superuser's password, which each copy is given before its server starts.
//!
//! Nothing is synced, which would take longer than the rest: a template serves until the machine
//! restarts, for which what was written last may be missing, and the next lab makes another. Where
//! one restart cannot be told from another it is synced.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::{Binaries, binaries, folder};
use crate::Context;
use crate::components::kafka::jars::hex;
use crate::output::Step;
use crate::process::{self, Account, MARKER};
use crate::state::Lock;

/// How templates' names begin in the cache.
const TEMPLATE: &str = "cluster-";
const UNFINISHED: &str = "new-cluster-";

const INITDB: [&str; 5] = [
    "--username=postgres",
    "--encoding=UTF8",
    "--locale=C",
    "--auth=scram-sha-256",
    "--no-instructions",
];

/// A server that listens nowhere, reads statements from its standard input, and is ended by an error.
const SINGLE: [&str; 5] = [
    "--single",
    "-c",
    "exit_on_error=on",
    "-c",
    "log_checkpoints=off",
];

/// Who runs PostgreSQL's programs, and for which lab.
#[derive(Debug, Clone, Copy)]
pub struct Runner<'a> {
    pub ctx: &'a Context,
    pub binaries: &'a Binaries,
    pub account: Option<Account>,
}

impl Runner<'_> {
    /// Makes a cluster in the folder `new`, which is not there yet, and whose superuser has `password`.
    ///
    /// # Errors
    /// When the cache or `new` cannot be written, or a program fails; `new` is then of no use.
    pub async fn new_cluster(&self, new: &Path, password: &str, step: &Step) -> anyhow::Result<()> {
        let template = self.template(password, step).await?;
        step.update("copies the empty database cluster");
        folder::copy_private_dir(&template, new, self.account).await?;
        let password = password.replace('\'', "''");
        let statement = format!("ALTER ROLE postgres PASSWORD '{password}'");
        // What it writes is not synced either.
        self.single(new, &["-F"], &statement).await
    }

    /// The cluster to copy, made when it is not there.
    async fn template(&self, password: &str, step: &Step) -> anyhow::Result<PathBuf> {
        let cache = binaries::shared_cache(&self.ctx.cache_dir)?;
        let (name, boot) = (self.name(), process::boot_id());
        let template = cache.join(format!("{name}-{}", boot.as_deref().unwrap_or("synced")));
        if template.is_dir() {
            return Ok(template);
        }
        let failed = || format!("failed to write to {}", cache.display());
        std::fs::create_dir_all(&cache).with_context(failed)?;
        let waiting =
            |pid: &str| step.update(format_args!("waits for pid {pid}, which uses the cache"));
        let _lock = Lock::take(&cache, Duration::from_secs(600), waiting).await?;
        if template.is_dir() {
            return Ok(template);
        }
        step.update("creates the database cluster (once)");
        // Of one that was killed while it held the lock.
        remove(&cache, UNFINISHED)?;
        remove(&cache, &format!("{name}-"))?;
        let work = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempdir_in(&cache);
        let work = work.with_context(failed)?;
        folder::give(work.path(), self.account).with_context(failed)?;
        let made = work.path().join("data");
        let password_file = work.path().join("password");
        folder::write_private_file(&password_file, password, self.account).with_context(failed)?;
        let mut initdb = self.program("initdb");
        initdb
            .args(INITDB)
            .args(boot.as_ref().map(|_| "--no-sync"))
            .arg(prefixed("--pgdata=", &made))
            .arg(prefixed("--pwfile=", &password_file));
        self.run(initdb, work.path(), "").await?;
        // A quarter of a second less for each copy; what it holds is init.sql's.
        let unsynced: &[&str] = if boot.is_some() { &["-F"] } else { &[] };
        self.single(&made, unsynced, "CREATE DATABASE edalab")
            .await?;
        std::fs::rename(&made, &template).with_context(failed)?;
        Ok(template)
    }

    /// Tells apart what the outcome depends on.
    fn name(&self) -> String {
        let uid = self.account.map_or_else(nix::unistd::geteuid, |a| a.uid);
        let of = format!(
            "{} {} {} {uid} {INITDB:?}",
            self.binaries.version,
            self.binaries.dir.display(),
            std::env::consts::ARCH,
        );
        let hash = Sha256::digest(of.as_bytes());
        format!("{TEMPLATE}{}-{}", self.binaries.version, hex(&hash[..6]))
    }

    /// Has a server without clients execute one statement in the cluster `data`.
    async fn single(&self, data: &Path, args: &[&str], statement: &str) -> anyhow::Result<()> {
        let mut single = self.program("postgres");
        single.args(SINGLE).args(args).arg("-D").arg(data);
        single.arg("postgres");
        self.run(single, data, &format!("{statement}\n")).await
    }

    fn program(&self, name: &str) -> Command {
        Command::new(self.binaries.dir.join(name))
    }

    /// Runs it to its end in `dir`, with `input` on its standard input.
    async fn run(&self, mut command: Command, dir: &Path, input: &str) -> anyhow::Result<()> {
        let name = Path::new(command.get_program()).to_owned();
        command
            .env("LC_ALL", "C")
            // So that the next run ends it when this one is killed in the middle.
            .env(MARKER, &self.ctx.lab_dir)
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if let Some(account) = self.account {
            use std::os::unix::process::CommandExt;
            command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
        }
        let mut command = tokio::process::Command::from(command);
        let child = process::starting(|| command.kill_on_drop(true).spawn());
        let mut child = child.with_context(|| format!("failed to start {}", name.display()))?;
        let mut stdin = child.stdin.take().context("its standard input is piped")?;
        // One that ends early says why below.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = child.wait_with_output().await;
        let output = output.with_context(|| format!("failed to wait for {}", name.display()))?;
        anyhow::ensure!(
            output.status.success(),
            "{} failed: {}",
            name.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    }
}

fn prefixed(option: &str, path: &Path) -> OsString {
    let mut arg = OsString::from(option);
    arg.push(path);
    arg
}

/// Forgets the templates, so that the next new lab runs initdb: for measuring that.
///
/// # Errors
/// When one cannot be removed.
pub fn forget(ctx: &Context) -> anyhow::Result<()> {
    remove(&binaries::shared_cache(&ctx.cache_dir)?, TEMPLATE)
}

/// Removes the folders in the cache whose names begin so.
fn remove(cache: &Path, prefix: &str) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(cache).into_iter().flatten().flatten();
    let begins = |name: OsString| name.to_string_lossy().starts_with(prefix);
    for entry in entries.filter(|entry| begins(entry.file_name())) {
        let path = entry.path();
        std::fs::remove_dir_all(&path)
            .with_context(|| format!("failed to remove {}", path.display()))?;
    }
    Ok(())
}
