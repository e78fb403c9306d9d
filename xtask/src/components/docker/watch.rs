//! How a container is: does it run, what does it log, how much memory does it hold.

use anyhow::Context as _;
use bollard::errors::Error::DockerResponseServerError;
use bollard::query_parameters::{LogsOptionsBuilder, StatsOptionsBuilder};
use futures_util::{Stream, StreamExt};

use super::{Daemon, blocking};
use crate::process::Memory;

/// False for one that ended or is gone.
///
/// # Errors
/// When the daemon does not answer.
pub async fn is_running(daemon: &Daemon, id: &str) -> anyhow::Result<bool> {
    match daemon.inspect_container(id, None).await {
        Ok(container) => Ok(container.state.and_then(|state| state.running) == Some(true)),
        Err(DockerResponseServerError {
            status_code: 404, ..
        }) => Ok(false),
        Err(e) => Err(e).context("failed to ask the daemon for a container"),
    }
}

/// The same for code that cannot wait. Without a daemon nothing runs.
pub fn is_running_now(id: &str) -> bool {
    let asked = blocking(|| async {
        let daemon = Daemon::connect().await?;
        is_running(&daemon, id).await
    });
    asked.unwrap_or(false)
}

/// The last `lines` lines that it logged.
pub async fn log_lines(daemon: &Daemon, id: &str, lines: usize) -> anyhow::Result<Vec<String>> {
    let options = LogsOptionsBuilder::default()
        .stdout(true)
        .stderr(true)
        .tail(&lines.to_string());
    let mut stream = daemon.logs(id, Some(options.build())).boxed();
    let mut said = Vec::new();
    while let Some(line) = stream.next().await {
        let line = line
            .context("failed to read a container's log")?
            .to_string();
        said.extend(line.lines().map(str::to_owned));
    }
    Ok(said)
}

/// Something that changes when the log grows.
pub async fn log_mark(daemon: &Daemon, id: &str) -> String {
    let options = LogsOptionsBuilder::default()
        .stdout(true)
        .stderr(true)
        .timestamps(true)
        .tail("1");
    let mut stream = daemon.logs(id, Some(options.build())).boxed();
    let mut last = String::new();
    while let Some(Ok(line)) = stream.next().await {
        last = line.to_string();
    }
    last
}

/// The last `tail` lines, and with `follow` those that come, until the container ends.
pub fn follow(
    daemon: &Daemon,
    id: &str,
    tail: usize,
    follow: bool,
) -> impl Stream<Item = anyhow::Result<String>> + Send + use<> {
    let options = LogsOptionsBuilder::default()
        .stdout(true)
        .stderr(true)
        .follow(follow)
        .tail(&tail.to_string());
    let stream = daemon.logs(id, Some(options.build()));
    stream.map(|line| {
        let line = line.context("failed to read a container's log")?;
        Ok(line.to_string())
    })
}

/// No less than the most that the container's processes ever held. The cgroup's own peak counts the
/// files that the system keeps for it, the processes' counts what they share: the smaller one is closer.
pub async fn peak_memory(daemon: &Daemon, id: &str) -> Option<u64> {
    let peaks = [
        cgroup_peak(daemon, id).await,
        processes_peak(daemon, id).await,
    ];
    peaks.into_iter().flatten().min()
}

async fn cgroup_peak(daemon: &Daemon, id: &str) -> Option<u64> {
    let options = StatsOptionsBuilder::default()
        .stream(false)
        .one_shot(true)
        .build();
    let stats = daemon.stats(id, Some(options)).boxed().next().await?.ok()?;
    // The daemon knows it of cgroup v1; v2 has a file for it, where the system shows it to us.
    if let Some(peak) = stats.memory_stats.and_then(|memory| memory.max_usage) {
        return Some(peak);
    }
    let container = daemon.inspect_container(id, None).await.ok()?;
    let pid = container.state?.pid?;
    let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let peak = std::fs::read_to_string(format!("/sys/fs/cgroup/{path}/memory.peak")).ok()?;
    peak.trim().parse().ok()
}

/// Where the system shows us the container's processes.
async fn processes_peak(daemon: &Daemon, id: &str) -> Option<u64> {
    let top = daemon.top_processes(id, None).await.ok()?;
    let column = top.titles?.iter().position(|title| title == "PID")?;
    let mut sum = 0;
    for process in top.processes? {
        let pid = process.get(column)?;
        let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        if !cgroup.contains(id) {
            return None;
        }
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
        let kb: u64 = line.split_whitespace().next()?.parse().ok()?;
        sum += kb << 10;
    }
    Some(sum)
}

/// What the container's processes hold, without the files that the system keeps for them.
pub async fn memory(daemon: &Daemon, id: &str) -> Memory {
    let options = StatsOptionsBuilder::default()
        .stream(false)
        .one_shot(true)
        .build();
    let answer = daemon.stats(id, Some(options)).boxed().next().await;
    let Some(Ok(stats)) = answer else {
        return Memory::default();
    };
    let memory = stats.memory_stats.unwrap_or_default();
    let details = memory.stats.unwrap_or_default();
    // cgroup v2 and v1 name it differently.
    let files = ["inactive_file", "total_inactive_file"];
    let files = files
        .iter()
        .find_map(|name| details.get(*name))
        .copied()
        .unwrap_or(0);
    Memory {
        rss_bytes: memory.usage.unwrap_or(0).saturating_sub(files),
        pss_bytes: 0,
    }
}
