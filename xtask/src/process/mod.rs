//! Child processes that outlive xtask: started detached with their output in a log file, told
//! apart by more than their pid, stopped politely and then not.

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod platform;
#[cfg(not(target_os = "linux"))]
#[path = "ps.rs"]
mod platform;

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid};

/// In the environment of every process of a lab: the lab's folder. Finds what a crash of xtask
/// left behind.
pub const MARKER: &str = "EDALAB_LAB";

/// A log that has grown beyond this is set aside at the next start.
const LOG_LIMIT: u64 = 16 << 20;

/// What to start, and how.
#[derive(Debug)]
pub struct Launch {
    pub program: PathBuf,
    pub args: Vec<OsString>,
    pub env: Vec<(String, String)>,
    pub dir: PathBuf,
    pub log: PathBuf,
    /// Another user to run as, when we are root.
    pub user: Option<Account>,
}

/// A user and its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    pub uid: Uid,
    pub gid: Gid,
}

/// A process that cannot be confused with a later one of the same pid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub pid: u32,
    pub start_id: String,
}

impl Identity {
    /// The process that has this pid now, unless it is gone or a zombie.
    pub fn of(pid: u32) -> Option<Self> {
        start_id(pid).map(|start_id| Self { pid, start_id })
    }

    pub fn is_alive(&self) -> bool {
        start_id(self.pid).is_some_and(|now| now == self.start_id)
    }

    /// Sends a signal; false when the process is gone.
    pub fn signal(&self, signal: Signal) -> bool {
        self.is_alive() && kill(pid_of(self.pid), signal).is_ok()
    }

    /// Suspends it and everything below it; false when it is gone.
    pub fn suspend(&self) -> bool {
        // Itself first: then nothing new comes to be below it.
        self.signal(Signal::SIGSTOP) && signal_below(self.pid, Signal::SIGSTOP)
    }

    /// Lets it and everything below it go on; false when it is gone.
    pub fn resume(&self) -> bool {
        signal_below(self.pid, Signal::SIGCONT);
        self.signal(Signal::SIGCONT)
    }

    pub fn is_suspended(&self) -> bool {
        self.is_alive() && platform::is_suspended(self.pid)
    }

    /// Ends it without warning. What is below it ends by itself, and so must not be suspended.
    pub fn kill(&self) -> bool {
        let below = platform::family(self.pid);
        let killed = self.signal(Signal::SIGKILL);
        for pid in below.into_iter().skip(1) {
            // It may be gone already.
            let _ = kill(pid_of(pid), Signal::SIGCONT);
        }
        killed
    }

    /// Waits until it is gone; false at the deadline.
    pub async fn wait_gone(&self, deadline: Duration) -> bool {
        let started = Instant::now();
        while self.is_alive() {
            if started.elapsed() > deadline {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        true
    }

    /// Sends `signal`, waits, and kills what is still there at the deadline.
    ///
    /// # Errors
    /// When even SIGKILL does not end it.
    pub async fn stop(&self, signal: Signal, deadline: Duration) -> anyhow::Result<Stopped> {
        if !self.signal(signal) {
            return Ok(Stopped::WasGone);
        }
        // One that was suspended would not hear it.
        self.resume();
        if self.wait_gone(deadline).await {
            return Ok(Stopped::Cleanly);
        }
        self.kill();
        anyhow::ensure!(
            self.wait_gone(Duration::from_secs(5)).await,
            "process {} survives SIGKILL",
            self.pid
        );
        Ok(Stopped::Killed)
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    WasGone,
    Cleanly,
    /// It did not listen to the polite signal.
    Killed,
}

impl Launch {
    /// Starts it, detached from our terminal: Ctrl-C reaches xtask alone, which then stops its
    /// parts in order, and a closed terminal does not take a `--detach`ed lab along.
    ///
    /// # Errors
    /// When the program cannot be started or is gone at once.
    pub fn spawn(&self, lab_dir: &Path) -> anyhow::Result<Identity> {
        let log = open_log(&self.log)?;
        let failed = || format!("failed to start {}", self.program.display());
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(k, v)| (k, v)))
            .env(MARKER, lab_dir)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().with_context(failed)?)
            .stderr(log)
            .process_group(0);
        if let Some(account) = self.user {
            command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
        }
        // Tokio's child is reaped in the background when its handle is dropped.
        let mut command = tokio::process::Command::from(command);
        let child = starting(|| command.spawn()).with_context(failed)?;
        let identity = child.id().and_then(Identity::of);
        identity.with_context(|| {
            format!(
                "{} ended at once:\n{}",
                self.program.display(),
                log_tail(&self.log, 8)
            )
        })
    }
}

/// Held while a process with a marker is started; true when none may be any more.
static ENDED: Mutex<bool> = Mutex::new(false);

/// Starts a process that carries the marker.
///
/// # Errors
/// What `spawn` says, or that [`end_marked`] was called.
pub fn starting<T>(spawn: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
    if *ended {
        return Err(io::Error::other("everything is being ended"));
    }
    spawn()
}

/// Kills this lab's processes for good: from here on this xtask starts none any more.
pub async fn end_marked(lab_dir: &Path) {
    *ENDED.lock().unwrap_or_else(PoisonError::into_inner) = true;
    let began = Instant::now();
    loop {
        let marked = marked(lab_dir);
        if marked.is_empty() || began.elapsed() > Duration::from_secs(2) {
            return;
        }
        for (process, _) in marked {
            process.signal(Signal::SIGKILL);
        }
        // Again: one of them may have started another meanwhile.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Processes that carry this lab's marker, and their names. Never ourselves, nor who started us.
pub fn marked(lab_dir: &Path) -> Vec<(Identity, String)> {
    let above = ancestors(std::process::id());
    platform::marked(&format!("{MARKER}={}", lab_dir.display()))
        .into_iter()
        .filter(|pid| *pid != std::process::id() && !above.contains(pid))
        .filter_map(|pid| Some((Identity::of(pid)?, name(pid))))
        .collect()
}

/// Signals what is below a process, but not itself. Always true: who is gone needs no signal.
fn signal_below(pid: u32, signal: Signal) -> bool {
    for pid in platform::family(pid).into_iter().skip(1) {
        let _ = kill(pid_of(pid), signal);
    }
    true
}

/// What the kernel calls the time since the machine started; `None` where it has no name for it.
pub fn boot_id() -> Option<String> {
    platform::boot_id()
}

/// A process and everything below it.
pub fn family(pid: u32) -> Vec<u32> {
    platform::family(pid)
}

/// The program's short name, for messages.
pub fn name(pid: u32) -> String {
    platform::name(pid).unwrap_or_else(|| "?".into())
}

/// The pids above a process, nearest first.
pub fn ancestors(pid: u32) -> Vec<u32> {
    let mut above = Vec::new();
    let mut next = platform::parent(pid);
    // The bound is for a pid that is taken anew while we climb.
    while let Some(pid) = next.filter(|pid| *pid > 1 && above.len() < 64) {
        above.push(pid);
        next = platform::parent(pid);
    }
    above
}

/// Memory of a process and its children, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Memory {
    /// Resident, each process by itself: pages that they share count several times.
    pub rss_bytes: u64,
    /// Resident, shared pages counted once. 0 where the system does not say.
    pub pss_bytes: u64,
}

/// Of a process and everything below it.
pub fn memory(pid: u32) -> Memory {
    let mut sum = Memory::default();
    for pid in platform::family(pid) {
        let memory = platform::memory(pid);
        sum.rss_bytes += memory.rss_bytes;
        sum.pss_bytes += memory.pss_bytes;
    }
    sum
}

/// CPU time of a process and everything below it so far, of children that ended too; `None` where
/// the system does not say.
pub fn cpu_ms(pid: u32) -> Option<u64> {
    let family = platform::family(pid);
    Some(family.into_iter().filter_map(platform::cpu_ms).sum()).filter(|ms| *ms > 0)
}

/// A program of this name on the `PATH`.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|program| program.is_file())
}

/// The last `lines` lines of a log.
pub fn log_tail(path: &Path, lines: usize) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn start_id(pid: u32) -> Option<String> {
    platform::start_id(pid)
}

fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).expect("the system's pids are positive i32"))
}

fn open_log(path: &Path) -> anyhow::Result<File> {
    let failed = || format!("failed to open {}", path.display());
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).with_context(failed)?;
    }
    if std::fs::metadata(path).is_ok_and(|m| m.len() > LOG_LIMIT) {
        std::fs::rename(path, path.with_extension("log.1")).with_context(failed)?;
    }
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .with_context(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_stat_line_survives_odd_names() {
        let tail = "S 7 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 22";
        for name in ["java", "a b", "tmux: server)", "((x) y"] {
            let line = format!("123 ({name}) {tail}");
            assert_eq!(
                platform::parse_stat(&line),
                Some(("S", 7, "4711")),
                "{name}"
            );
        }
        assert_eq!(platform::parse_stat("123 (x) S"), None);
    }

    async fn until(what: &str, is_so: impl Fn() -> bool) {
        let started = Instant::now();
        while !is_so() {
            let elapsed = started.elapsed();
            assert!(
                elapsed < Duration::from_secs(10),
                "waited in vain until {what}"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_process_is_started_found_by_its_marker_and_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let launch = Launch {
            program: "sh".into(),
            args: vec!["-c".into(), "echo hello; exec sleep 60".into()],
            env: Vec::new(),
            dir: dir.path().to_owned(),
            log: dir.path().join("logs/x.log"),
            user: None,
        };
        let identity = launch.spawn(dir.path()).unwrap();
        assert!(identity.is_alive());
        let other = Identity {
            start_id: "other".into(),
            ..identity.clone()
        };
        assert!(
            !other.is_alive(),
            "the same pid at another time is another process"
        );
        // The marker is visible once the program has replaced the fork of ourselves.
        let is_marked = || {
            let found = marked(dir.path());
            found.iter().any(|(found, _)| *found == identity)
        };
        until("it is found", is_marked).await;
        // Found is not yet done: it could be suspended and stopped before its first word.
        until("it has spoken", || log_tail(&launch.log, 5) == "hello").await;
        assert!(identity.suspend());
        // A process that runs on another core stops when it hears of the signal.
        until("it is suspended", || identity.is_suspended()).await;
        assert!(identity.resume() && identity.is_alive());
        assert!(identity.suspend(), "a suspended one can be stopped");
        let stopped = identity
            .stop(Signal::SIGTERM, Duration::from_secs(10))
            .await
            .unwrap();
        assert_eq!(stopped, Stopped::Cleanly);
        assert_eq!(
            identity
                .stop(Signal::SIGTERM, Duration::ZERO)
                .await
                .unwrap(),
            Stopped::WasGone
        );
        assert_eq!(log_tail(&launch.log, 3), "hello");
    }
}
