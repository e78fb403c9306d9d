//! The tests of this workspace as suites: which binaries there are, and running one of them.
//!
//! `cargo test` would run the same binaries one after the other. Run from here each one's output
//! is its own, and is understood while it comes.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::Signal;
use tokio_util::sync::CancellationToken;

use super::libtest::{Outcome, Parser, Test};
use crate::Context;
use crate::cargo::{self, Artifact};
use crate::output::Step;
use crate::process::Identity;

/// Labs that one binary's tests may run at the same time. Each test of [`LAB_PER_TEST`] has a lab of
/// its own, with a JVM: more of them at once take their time from each other, and half a gigabyte
/// each.
const LABS_AT_ONCE: usize = 2;
const LAB_PER_TEST: [&str; 3] = ["e2e", "docker", "brokers"];
/// A test process that was told to stop, or a lab that is being stopped, has this long.
const PATIENCE: Duration = Duration::from_secs(40);

/// Which tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Group {
    /// Beside the code, and in its documentation; they need nothing.
    Unit,
    /// Against a real broker, registry and PostgreSQL.
    Integration,
    /// Whole scenarios, as a user sees them.
    E2e,
    /// The web page's own.
    Ui,
    /// Every one of these.
    All,
}

impl Group {
    pub fn name(self) -> &'static str {
        match self {
            Group::Unit => "unit",
            Group::Integration => "integration",
            Group::E2e => "e2e",
            Group::Ui => "ui",
            Group::All => "all",
        }
    }
}

/// A binary full of tests, or the documentation's.
#[derive(Debug, Clone)]
pub struct Suite {
    /// Such as `schemas (lib)` or `tests/e2e`.
    pub name: String,
    pub group: Group,
    program: PathBuf,
    args: Vec<String>,
    dir: PathBuf,
    /// It starts labs.
    pub needs_lab: bool,
}

/// What a suite came to.
#[derive(Debug)]
pub struct Ran {
    pub tests: Vec<Test>,
    pub took: Duration,
}

/// The suites among what cargo built, in a stable order.
pub fn find(ctx: &Context, artifacts: &[Artifact]) -> Vec<Suite> {
    let tests = artifacts.iter().filter(|artifact| artifact.profile.test);
    let mut suites: Vec<Suite> = tests.filter_map(suite).collect();
    suites.push(Suite {
        name: "documentation".into(),
        group: Group::Unit,
        program: cargo::program().into(),
        args: ["test", "--workspace", "--doc", "--no-fail-fast"]
            .map(String::from)
            .into(),
        dir: ctx.root.clone(),
        needs_lab: false,
    });
    suites.sort_by(|a, b| (a.group, &a.name).cmp(&(b.group, &b.name)));
    suites
}

fn suite(artifact: &Artifact) -> Option<Suite> {
    let program = artifact.executable.clone()?;
    let dir = artifact.manifest_path.parent()?.to_owned();
    let package = dir.file_name()?.to_string_lossy().into_owned();
    let target = &artifact.target.name;
    let kind = artifact.target.kind.first()?.as_str();
    let (name, group) = match kind {
        "test" if package == "tests" && matches!(target.as_str(), "e2e" | "performance") => {
            (format!("{package}/{target}"), Group::E2e)
        }
        "test" => (format!("{package}/{target}"), Group::Integration),
        "bin" => (format!("{package} (bin {target})"), Group::Unit),
        _ => (format!("{package} (lib)"), Group::Unit),
    };
    let threads = if kind == "test" && target == "performance" {
        // What runs at the same time would be measured too.
        "--test-threads=1".into()
    } else if kind == "test" && LAB_PER_TEST.contains(&target.as_str()) {
        format!("--test-threads={}", cores().min(LABS_AT_ONCE))
    } else {
        format!("--test-threads={}", cores())
    };
    Some(Suite {
        name,
        group,
        program,
        args: vec![threads],
        dir,
        // These need nothing but the sources.
        needs_lab: kind == "test"
            && package == "tests"
            && !matches!(target.as_str(), "plan" | "documents"),
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Suite {
    /// Only tests whose name contains this.
    pub fn filtered(&self, filter: &str) -> Self {
        let mut suite = self.clone();
        if suite.program == Path::new(&cargo::program()) {
            suite.args.push("--".into());
        }
        suite.args.push(filter.to_owned());
        suite
    }

    /// Only the tests of these names.
    pub fn only(&self, names: &BTreeSet<String>) -> Self {
        let mut suite = self.clone();
        suite.args.push("--exact".into());
        suite.args.extend(names.iter().cloned());
        suite
    }

    /// Only these tests, which its harness would leave out.
    pub fn only_ignored(&self, names: &BTreeSet<String>) -> Self {
        let mut suite = self.clone();
        // These names instead of those that it was restricted to.
        if let Some(at) = suite.args.iter().position(|arg| arg == "--exact") {
            suite.args.truncate(at);
        }
        suite.args.push("--ignored".into());
        suite.only(names)
    }

    /// Runs it to its end, blocking; its whole output goes to `log` too.
    ///
    /// # Errors
    /// When it cannot be started, or at an interruption; then its labs are gone when this returns.
    pub fn run(&self, log: &Path, step: &Step, stop: &CancellationToken) -> anyhow::Result<Ran> {
        let failed = || format!("failed to run {}", self.name);
        let began = Instant::now();
        // One pipe for both streams: what belongs together stays together.
        let (reader, writer) = std::io::pipe().with_context(failed)?;
        let mut child = {
            let mut command = Command::new(&self.program);
            command
                .args(&self.args)
                .current_dir(&self.dir)
                .env("CARGO_MANIFEST_DIR", &self.dir)
                .env("CARGO", cargo::program())
                .env("NO_COLOR", "1")
                .env("CARGO_TERM_COLOR", "never")
                .stdin(Stdio::null())
                .stdout(writer.try_clone().with_context(failed)?)
                .stderr(writer);
            command.spawn().with_context(failed)?
        };
        let identity = Identity::of(child.id());
        let watcher = stop_with(identity.clone(), stop.clone());
        let mut file = create(log)?;
        let mut parser = Parser::new(self.args.iter().any(|arg| arg == "--test-threads=1"));
        let mut tail = std::collections::VecDeque::new();
        for line in BufReader::new(reader).split(b'\n') {
            let line = line.with_context(failed)?;
            let line = String::from_utf8_lossy(&line).into_owned();
            // The log is a convenience: a full disk is met by the tests themselves.
            let _ = std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes());
            self.tell(&mut parser, &line, step);
            tail.push_back(line);
            if tail.len() > 30 {
                tail.pop_front();
            }
        }
        let status = child.wait().with_context(failed)?;
        watcher.abort();
        wait_for_labs(child.id(), step);
        anyhow::ensure!(!stop.is_cancelled(), "interrupted");
        let died = (!status.success()).then(|| {
            let tail = Vec::from(tail).join("\n");
            format!(
                "{} ended with {status}; the last lines were:\n{tail}",
                self.name
            )
        });
        let mut tests = parser.finish(died.as_deref());
        if let Some(died) = died
            && !tests
                .iter()
                .any(|test| matches!(test.outcome, Outcome::Failed(_)))
        {
            tests.push(Test {
                name: "(the test process)".into(),
                outcome: Outcome::Failed(died),
                took: None,
            });
        }
        Ok(Ran {
            tests,
            took: began.elapsed(),
        })
    }

    fn tell(&self, parser: &mut Parser, line: &str, step: &Step) {
        let Some(test) = parser.line(line) else {
            return;
        };
        let (name, word) = match &test.outcome {
            Outcome::Passed => (test.name.clone(), "ok"),
            Outcome::Failed(_) => (test.name.clone(), "FAILED"),
            Outcome::Ignored(_) => (test.name.clone(), "not run"),
        };
        let (ended, announced) = parser.progress();
        let text = format!("{}: {ended} of {announced}, {name} {word}", self.name);
        // Quick ones would only fill a log.
        if self.needs_lab || word == "FAILED" {
            step.update(text);
        } else {
            step.tick(text);
        }
    }
}

fn create(log: &Path) -> anyhow::Result<std::fs::File> {
    let failed = || format!("failed to write {}", log.display());
    let dir = log.parent().with_context(failed)?;
    std::fs::create_dir_all(dir).with_context(failed)?;
    std::fs::File::create(log).with_context(failed)
}

/// Ends the test process when the user wants to stop. Ctrl-C on a terminal reaches it by itself.
fn stop_with(identity: Option<Identity>, stop: CancellationToken) -> tokio::task::JoinHandle<()> {
    tokio::runtime::Handle::current().spawn(async move {
        stop.cancelled().await;
        if let Some(identity) = identity {
            // It may have ended by the same Ctrl-C.
            let _ = identity.stop(Signal::SIGTERM, Duration::from_secs(5)).await;
        }
    })
}

/// The fixture ends its labs when its process is gone, however it went, and removes their folders
/// then. What comes next should have the machine for itself.
fn wait_for_labs(pid: u32, step: &Step) {
    let suffix = format!("-{pid}");
    let labs = || {
        let entries = std::fs::read_dir(std::env::temp_dir())
            .into_iter()
            .flatten()
            .flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names
            .filter(|name| name.starts_with("edalab-") && name.ends_with(&suffix))
            .count()
    };
    let began = Instant::now();
    while labs() > 0 && began.elapsed() < PATIENCE {
        step.tick("its labs stop");
        std::thread::sleep(Duration::from_millis(50));
    }
}
