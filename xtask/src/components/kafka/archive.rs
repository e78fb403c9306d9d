//! The class-data archive: Kafka's classes as the JVM keeps them in memory, written once by a
//! throw-away broker. It halves the time to start; without it everything works, only later.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::Context as _;
use nix::sys::signal::Signal;
use sha2::{Digest, Sha256};

use super::{Kafka, environment, format_once, jars::hex};
use crate::Context;
use crate::components::port_answers;
use crate::output::Step;
use crate::ports::{self, PortPolicy};
use crate::process::{Launch, Stopped};
use crate::state::Lock;

/// The archive for this Java and these jars; made when it is missing. `None` when that failed,
/// which is said but stops nothing.
pub async fn find_or_make(ctx: &Context, kafka: &Kafka, step: &Step) -> Option<PathBuf> {
    let folder = ctx.cache_dir.join("kafka");
    let archive = folder.join(format!("classes-{}.jsa", &key(kafka)[..16]));
    if archive.is_file() {
        return Some(archive);
    }
    match make(&folder, &archive, kafka, step).await {
        Ok(()) => Some(archive),
        Err(e) => {
            step.update(format_args!("goes on without a class archive: {e:#}"));
            None
        }
    }
}

/// The JVM refuses an archive of other jars, or of the same ones touched since.
fn key(kafka: &Kafka) -> String {
    let mut hash = Sha256::new();
    hash.update(kafka.java.program.as_os_str().as_encoded_bytes());
    hash.update(&kafka.java.identity);
    for jar in &kafka.jars.files {
        hash.update(jar.as_os_str().as_encoded_bytes());
        if let Ok(metadata) = std::fs::metadata(jar) {
            hash.update(metadata.len().to_le_bytes());
            let modified = metadata
                .modified()
                .ok()
                .and_then(|t| t.duration_since(UNIX_EPOCH).ok());
            hash.update(modified.unwrap_or_default().as_secs().to_le_bytes());
        }
    }
    hex(&hash.finalize())
}

async fn make(folder: &Path, archive: &Path, kafka: &Kafka, step: &Step) -> anyhow::Result<()> {
    let waiting = |pid: &str| step.update(format_args!("waits for pid {pid}, which prepares it"));
    let _lock = Lock::take(folder, Duration::from_secs(300), waiting).await?;
    if archive.is_file() {
        return Ok(());
    }
    step.update("archives Kafka's classes for quicker starts (once)");
    let work = tempfile::tempdir_in(folder).context("failed to write to the cache")?;
    let data = work.path().join("data");
    format_once(&data, &kafka.jars.version)?;
    let names = [("kafka", 0), ("kafka_controller", 0)];
    let none = BTreeMap::new();
    let ports = ports::choose(&names, &none, &none, PortPolicy::Free, ports::is_free)
        .map_err(|_| anyhow::anyhow!("no port is free"))?;
    kafka.write_settings(work.path(), &data, (ports[0].port, ports[1].port), None)?;
    let made = work.path().join("classes.jsa");
    let mut option = std::ffi::OsString::from("-XX:ArchiveClassesAtExit=");
    option.push(&made);
    let launch = Launch {
        program: kafka.java.program.clone(),
        args: kafka.arguments(work.path(), vec![option]),
        env: environment(),
        dir: work.path().to_owned(),
        log: work.path().join("kafka.log"),
        user: None,
    };
    let broker = KillOnDrop(launch.spawn(work.path())?);
    let started = Instant::now();
    while port_answers(ports[0].port).await.is_err() {
        anyhow::ensure!(broker.0.is_alive(), "the broker ended");
        anyhow::ensure!(
            started.elapsed() < Duration::from_secs(60),
            "the broker takes too long"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Writing the archive is part of its clean exit.
    let stopped = broker
        .0
        .stop(Signal::SIGTERM, Duration::from_secs(60))
        .await?;
    anyhow::ensure!(
        stopped == Stopped::Cleanly && made.is_file(),
        "the JVM wrote none"
    );
    std::fs::rename(&made, archive).context("failed to write to the cache")
}

/// An interrupted `up` drops this future in the middle.
struct KillOnDrop(crate::process::Identity);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.signal(Signal::SIGKILL);
    }
}
