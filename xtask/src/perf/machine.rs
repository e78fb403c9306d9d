//! What a measurement ran on, so that a figure can be understood later.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sqlx::PgPool;

/// The machine and the tree.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_mb: Option<u64>,
    pub kernel: String,
    /// The file system that holds the lab's data.
    pub file_system: Option<String>,
    /// The commit, with `+` when the tree differs from it.
    pub commit: Option<String>,
    /// How the services were compiled.
    pub build: String,
}

impl Machine {
    pub fn look(root: &Path, data: &Path) -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name"));
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let total = meminfo
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"));
        let kb = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        Self {
            cpu: model.map_or("unknown".into(), |m| {
                m.trim_start_matches([' ', '\t', ':']).into()
            }),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mb: kb.map(|kb| kb / 1024),
            kernel: first_line("uname", &["-sr"], root).unwrap_or_else(|| "unknown".into()),
            file_system: first_line(
                "stat",
                &["-f", "-c", "%T", &data.display().to_string()],
                root,
            ),
            commit: commit(root),
            build:
                "cargo's dev profile of this workspace: opt-level 2 for services and dependencies"
                    .into(),
        }
    }

    pub fn text(&self) -> String {
        format!(
            "{}, {} cores, {} MB, {}, {}, {}, commit {}",
            self.cpu,
            self.cores,
            self.memory_mb.unwrap_or_default(),
            self.kernel,
            self.file_system.as_deref().unwrap_or("unknown file system"),
            self.build,
            self.commit.as_deref().unwrap_or("unknown")
        )
    }
}

fn commit(root: &Path) -> Option<String> {
    let commit = first_line("git", &["rev-parse", "--short", "HEAD"], root)?;
    let changed = first_line("git", &["status", "--porcelain"], root).is_some();
    Some(if changed {
        format!("{commit}+")
    } else {
        commit
    })
}

fn first_line(program: &str, args: &[&str], dir: &Path) -> Option<String> {
    let mut command = std::process::Command::new(program);
    let output = command
        .args(args)
        .current_dir(dir)
        .stderr(std::process::Stdio::null())
        .output();
    let output = output.ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .next()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
}

/// CPU time of the whole machine so far, in ticks: what was used, and what a hypervisor gave to
/// others although we wanted it.
#[derive(Debug, Clone, Copy)]
pub struct CpuTicks {
    all: u64,
    steal: u64,
}

impl CpuTicks {
    /// `None` where there is no /proc.
    pub fn now() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/stat").ok()?;
        Self::parse(stat.lines().next()?)
    }

    fn parse(line: &str) -> Option<Self> {
        // user nice system idle iowait irq softirq steal; what follows is contained in the first.
        let fields = line.strip_prefix("cpu ")?.split_whitespace().take(8);
        let fields: Vec<u64> = fields.map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Self {
            all: fields.iter().sum(),
            steal: *fields.get(7)?,
        })
    }

    /// The share of the time since then that others had, in per cent.
    pub fn steal_since(self, then: Self) -> f64 {
        let all = self.all.saturating_sub(then.all).max(1);
        100.0 * self.steal.saturating_sub(then.steal) as f64 / all as f64
    }
}

/// PostgreSQL's settings that decide how fast it writes.
///
/// # Errors
/// When PostgreSQL does not answer.
pub async fn postgres_settings(pool: &PgPool) -> sqlx::Result<Vec<(String, String)>> {
    sqlx::query_as(
        "SELECT name, current_setting(name) FROM pg_settings WHERE name IN
         ('server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'wal_compression',
          'shared_buffers', 'max_wal_size', 'wal_level') ORDER BY name",
    )
    .fetch_all(pool)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steal_is_a_share_of_the_time_between() {
        let then = CpuTicks::parse("cpu  100 0 100 700 0 0 0 100 0 0").unwrap();
        let now = CpuTicks::parse("cpu  150 0 100 720 0 0 0 130 50 0").unwrap();
        assert_eq!(now.steal_since(then), 30.0);
        assert!(CpuTicks::parse("cpu0 1 2 3").is_none());
    }
}
