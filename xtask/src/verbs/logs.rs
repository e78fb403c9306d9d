//! `logs`: what the parts say, last lines first given, then as they come (`-f`).

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use futures_util::{Stream, StreamExt};

use crate::Context;
use crate::components::docker::{self, Daemon};
use crate::components::{Part, log_path};
use crate::state::LabState;

#[derive(Debug, clap::Args)]
pub struct LogsArgs {
    /// One part; without it, all of them.
    pub name: Option<String>,
    /// Go on with what comes.
    #[arg(long, short)]
    pub follow: bool,
    /// How many of the last lines of each part.
    #[arg(long, default_value_t = 40, value_name = "LINES")]
    pub tail: usize,
    /// Only lines of this severity and above.
    #[arg(long, value_enum)]
    pub level: Option<Level>,
    /// How the services' lines look: as they are, or for people.
    #[arg(long, value_name = "json|pretty", value_parser = ["json", "pretty"])]
    pub log: Option<String>,
    /// What all services said about one event, in order: a trace's id, or the event's own.
    #[arg(long, value_name = "ID", conflicts_with_all = ["name", "follow", "level"])]
    pub trace: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

pub async fn run(ctx: &Context, args: &LogsArgs) -> anyhow::Result<()> {
    if let Some(id) = &args.trace {
        let json = args.log.as_deref() == Some("json");
        return super::story::show(ctx, &sources(ctx, &Part::ALL)?, id, json).await;
    }
    let look = Look {
        level: args.level,
        is_pretty: args.log.as_deref() == Some("pretty"),
    };
    let Some(name) = &args.name else {
        return show_sources(sources(ctx, &Part::ALL)?, args.follow, args.tail, look).await;
    };
    let part = Part::from_name(name)?;
    let sources = sources(ctx, &[part])?;
    // `kafka-2` is one of several, and a part's own name stands for all of them.
    let one = sources.iter().any(|source| source.name == *name) && name != part.name();
    let picked = sources
        .into_iter()
        .filter(|source| !one || source.name == *name);
    show_sources(picked.collect(), args.follow, args.tail, look).await
}

/// Prints the logs of `parts`, with their names in front when there are several.
pub async fn show(
    ctx: &Context,
    parts: &[Part],
    follow: bool,
    tail: usize,
    level: Option<Level>,
) -> anyhow::Result<()> {
    let look = Look {
        level,
        is_pretty: false,
    };
    show_sources(sources(ctx, parts)?, follow, tail, look).await
}

/// Where a component logs.
pub(super) struct Source {
    pub name: String,
    pub path: PathBuf,
    pub container: Option<String>,
}

/// Which lines are shown, and how.
#[derive(Debug, Clone, Copy, Default)]
struct Look {
    level: Option<Level>,
    is_pretty: bool,
}

/// The components of `parts`; of a part that was never started, the file that it would have.
fn sources(ctx: &Context, parts: &[Part]) -> anyhow::Result<Vec<Source>> {
    let lab = LabState::load(&ctx.lab_dir)?;
    let mut sources = Vec::new();
    for part in parts {
        let known = lab.iter().flat_map(|lab| lab.components_of(*part));
        let known: Vec<Source> = known
            .map(|component| Source {
                name: component.name.clone(),
                path: component.log.clone(),
                container: component.container.clone(),
            })
            .collect();
        if known.is_empty() {
            sources.push(Source {
                name: part.name().to_owned(),
                path: log_path(ctx, *part),
                container: None,
            });
        }
        sources.extend(known);
    }
    Ok(sources)
}

async fn show_sources(
    sources: Vec<Source>,
    follow: bool,
    tail: usize,
    look: Look,
) -> anyhow::Result<()> {
    let readable = |source: &Source| source.container.is_some() || source.path.is_file();
    anyhow::ensure!(
        follow || sources.iter().any(readable),
        "there are no logs of {} yet",
        sources
            .iter()
            .map(|source| source.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    );
    let with_name = sources.len() > 1;
    let mut files = Vec::new();
    let mut containers = Vec::new();
    for source in sources {
        let filter = Filter::new(&source.name, with_name, look);
        match source.container {
            None => files.push(Log::new(source.path, filter)),
            Some(id) => containers.push((id, filter)),
        }
    }
    for log in &mut files {
        let lines = log.new_lines()?;
        if !print(&lines[lines.len().saturating_sub(tail)..]) {
            return Ok(());
        }
    }
    // A bound, so that a slow terminal holds the daemon up and not our memory.
    let (sender, mut receiver) = tokio::sync::mpsc::channel(64);
    if !containers.is_empty() {
        let daemon = Daemon::connect().await?;
        for (id, filter) in containers {
            let lines = docker::follow(&daemon, &id, tail, follow);
            tokio::spawn(forward(lines, filter, sender.clone()));
        }
    }
    drop(sender);
    loop {
        tokio::select! {
            lines = receiver.recv() => match lines {
                Some(lines) => {
                    if !print(&lines?) {
                        return Ok(());
                    }
                    continue;
                }
                None if !follow => return Ok(()),
                None => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            () = tokio::time::sleep(Duration::from_millis(100)), if follow => {}
        }
        for log in &mut files {
            if !print(&log.new_lines()?) {
                return Ok(());
            }
        }
    }
}

/// Sends on what a container logs, until it ends or nobody reads any more.
async fn forward(
    lines: impl Stream<Item = anyhow::Result<String>>,
    mut filter: Filter,
    sender: tokio::sync::mpsc::Sender<anyhow::Result<Vec<String>>>,
) {
    let mut lines = std::pin::pin!(lines);
    while let Some(text) = lines.next().await {
        if sender
            .send(text.map(|text| filter.lines(&text)))
            .await
            .is_err()
        {
            return;
        }
    }
}

/// False when the reader has gone, as `head` does.
fn print(lines: &[String]) -> bool {
    let mut out = std::io::stdout().lock();
    lines.iter().all(|line| writeln!(out, "{line}").is_ok())
}

/// Which lines of a log are shown, and how.
struct Filter {
    prefix: String,
    look: Look,
    last_level: Level,
}

impl Filter {
    fn new(name: &str, with_name: bool, look: Look) -> Self {
        let prefix = if with_name {
            format!("{name:9} | ")
        } else {
            String::new()
        };
        Self {
            prefix,
            look,
            last_level: Level::Info,
        }
    }

    fn lines(&mut self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for line in text.lines() {
            // A line without a level continues the one before, as a stack trace does.
            self.last_level = level_of(line).unwrap_or(self.last_level);
            if self.look.level.is_none_or(|least| self.last_level >= least) {
                let prefix = &self.prefix;
                lines.push(match self.look.is_pretty {
                    true => format!("{prefix}{}", super::story::readable(line)),
                    false => format!("{prefix}{line}"),
                });
            }
        }
        lines
    }
}

/// One file, read from where the last reading ended.
struct Log {
    path: PathBuf,
    filter: Filter,
    /// Tells the file from a new one of the same name.
    inode: u64,
    offset: u64,
    /// A line whose end is not written yet.
    rest: Vec<u8>,
}

impl Log {
    fn new(path: PathBuf, filter: Filter) -> Self {
        Self {
            path,
            filter,
            inode: 0,
            offset: 0,
            rest: Vec::new(),
        }
    }

    fn new_lines(&mut self) -> anyhow::Result<Vec<String>> {
        let failed = || format!("failed to read {}", self.path.display());
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e).with_context(failed),
        };
        let metadata = file.metadata().with_context(failed)?;
        if metadata.ino() != self.inode || metadata.len() < self.offset {
            (self.inode, self.offset) = (metadata.ino(), 0);
        }
        file.seek(SeekFrom::Start(self.offset))
            .with_context(failed)?;
        self.offset += file.read_to_end(&mut self.rest).with_context(failed)? as u64;
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(Vec::new());
        };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        Ok(self.filter.lines(&String::from_utf8_lossy(&whole)))
    }
}

/// In the services' JSON, in Kafka's lines or in PostgreSQL's.
fn level_of(line: &str) -> Option<Level> {
    if line.starts_with('{') {
        let value: serde_json::Value = serde_json::from_str(line).ok()?;
        return word_level(value["level"].as_str()?);
    }
    line.split_whitespace().take(6).find_map(word_level)
}

fn word_level(word: &str) -> Option<Level> {
    Some(match word.to_ascii_uppercase().trim_end_matches(':') {
        "TRACE" => Level::Trace,
        "DEBUG" => Level::Debug,
        "INFO" | "LOG" | "NOTICE" => Level::Info,
        "WARN" | "WARNING" => Level::Warn,
        "ERROR" | "FATAL" | "PANIC" => Level::Error,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_least(level: Level) -> Look {
        Look {
            level: Some(level),
            is_pretty: false,
        }
    }

    #[test]
    fn levels_of_all_three_kinds_of_lines() {
        for (line, level) in [
            (
                r#"{"timestamp":"x","level":"WARN","message":"m"}"#,
                Some(Level::Warn),
            ),
            (
                "2026-11-24T15:27:31.465Z INFO  Kafka started (KafkaRaftServer)",
                Some(Level::Info),
            ),
            (
                "2026-11-24 15:27:31.465 UTC [42] edalab@edalab FATAL:  no",
                Some(Level::Error),
            ),
            (
                "2026-11-24 15:27:31.465 UTC [42] LOG:  ready",
                Some(Level::Info),
            ),
            ("\tat java.lang.Thread.run(Thread.java:840)", None),
        ] {
            assert_eq!(level_of(line), level, "{line}");
        }
    }

    #[test]
    fn a_log_is_followed_over_half_lines_and_a_new_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let filter = Filter::new("kafka", false, at_least(Level::Warn));
        let mut log = Log::new(path.clone(), filter);
        assert!(log.new_lines().unwrap().is_empty());
        let mut file = File::create(&path).unwrap();
        write!(file, "t INFO a\nt ERROR b\n\tat c\nt WAR").unwrap();
        assert_eq!(log.new_lines().unwrap(), ["t ERROR b", "\tat c"]);
        writeln!(file, "N d").unwrap();
        assert_eq!(log.new_lines().unwrap(), ["t WARN d"]);
        std::fs::rename(&path, dir.path().join("x.log.1")).unwrap();
        std::fs::write(&path, "t ERROR e\n").unwrap();
        assert_eq!(log.new_lines().unwrap(), ["t ERROR e"]);
    }
}
