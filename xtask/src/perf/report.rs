//! What a benchmark found: a table for people and JSON for programs, in a folder of its own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Spread;
use super::machine::Machine;
use super::sink::{SinkOptions, SinkRun};
use crate::junit::write_file;

/// The sink against a COPY of the same rows.
#[derive(Debug, Serialize)]
pub struct SinkReport {
    pub benchmark: &'static str,
    pub at: DateTime<Utc>,
    pub machine: Machine,
    pub options: SinkOptions,
    pub postgres: Vec<(String, String)>,
    pub runs: Vec<SinkRun>,
    pub summary: Summary,
    /// What `verify` said afterwards: a fast wrong answer is a failure.
    pub verified: bool,
    pub verdict: String,
}

/// Median and spread over all runs.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// From the begin of the first transaction to its last commit.
    pub sink_rows_per_s: Spread,
    pub sink_from_start_rows_per_s: Spread,
    pub copy_rows_per_s: Spread,
    pub copy_fk_rows_per_s: Spread,
    /// Of each run's sink and its own COPY.
    pub ratio: Spread,
    pub ratio_fk: Spread,
}

impl Summary {
    /// `None` without runs.
    pub fn of(runs: &[SinkRun]) -> Option<Self> {
        let spread = |of: fn(&SinkRun) -> f64| Spread::of(runs.iter().map(of));
        Some(Self {
            sink_rows_per_s: spread(SinkRun::sink_rate)?,
            sink_from_start_rows_per_s: spread(SinkRun::sink_rate_from_start)?,
            copy_rows_per_s: spread(SinkRun::copy_rate)?,
            copy_fk_rows_per_s: spread(SinkRun::copy_fk_rate)?,
            ratio: spread(|run| run.sink_rate() / run.copy_rate())?,
            ratio_fk: spread(|run| run.sink_rate() / run.copy_fk_rate())?,
        })
    }
}

impl SinkReport {
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_text(&mut out);
        out
    }

    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        let Self {
            machine,
            options,
            summary,
            ..
        } = self;
        writeln!(
            out,
            "Sink: {} deposits on {} accounts, {} runs of sink, COPY, COPY with the foreign key\n",
            options.events, options.accounts, options.runs
        )?;
        writeln!(
            out,
            "{:>3} {:>10} {:>10} {:>10} {:>10} {:>6} {:>6} {:>7} {:>9} {:>9} {:>9} {:>6}",
            "RUN",
            "SINK/s",
            "+START/s",
            "COPY/s",
            "COPY+FK/s",
            "RATIO",
            "/FK",
            "BATCHES",
            "BANCAIRE",
            "POSTGRES",
            "KAFKA",
            "STEAL"
        )?;
        for (i, run) in self.runs.iter().enumerate() {
            let cores = |ms: Option<u64>| match ms {
                Some(ms) => format!("{:.2} c", ms as f64 / run.sink_ms),
                None => "-".into(),
            };
            writeln!(
                out,
                "{:>3} {:>10.0} {:>10.0} {:>10.0} {:>10.0} {:>6.2} {:>6.2} {:>7} {:>9} {:>9} {:>9} {:>4.0} %",
                i + 1,
                run.sink_rate(),
                run.sink_rate_from_start(),
                run.copy_rate(),
                run.copy_fk_rate(),
                run.sink_rate() / run.copy_rate(),
                run.sink_rate() / run.copy_fk_rate(),
                run.batches,
                cores(run.cpu_ms.bancaire),
                cores(run.cpu_ms.postgres),
                cores(run.cpu_ms.kafka),
                run.steal_percent
            )?;
        }
        writeln!(out)?;
        for (name, spread) in [
            ("sink", summary.sink_rows_per_s),
            (
                "sink, from process start",
                summary.sink_from_start_rows_per_s,
            ),
            ("COPY", summary.copy_rows_per_s),
            ("COPY, foreign key", summary.copy_fk_rows_per_s),
        ] {
            let Spread { median, min, max } = spread;
            writeln!(
                out,
                "{name:26} {median:>9.0} rows/s  ({min:.0} to {max:.0})"
            )?;
        }
        for (name, spread) in [
            ("sink / COPY", summary.ratio),
            ("sink / COPY, foreign key", summary.ratio_fk),
        ] {
            let Spread { median, min, max } = spread;
            writeln!(
                out,
                "{name:26} {median:>9.2}         ({min:.2} to {max:.2})"
            )?;
        }
        writeln!(
            out,
            "\nThe sink's time is from the begin of its first transaction to its last commit; from\n\
             process start it also counts starting, joining the group and the first fetch.\n\
             COPY is one CSV COPY, as psql's \\copy sends it, of the same rows into a table made\n\
             with LIKE … INCLUDING ALL, which has the same indexes but not the foreign key; the\n\
             second one has that too. Every table holds as many rows as the others at each start.\n\
             CPU is in cores, over the sink's time (bancaire's since its process start)."
        )?;
        let settings: Vec<String> = self
            .postgres
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        writeln!(
            out,
            "\n{}, {} cores, {} MB, {}, {}\n{}\nPostgreSQL: {}\nCommit {}",
            machine.cpu,
            machine.cores,
            machine.memory_mb.unwrap_or_default(),
            machine.kernel,
            machine
                .file_system
                .as_deref()
                .unwrap_or("unknown file system"),
            machine.build,
            settings.join(", "),
            machine.commit.as_deref().unwrap_or("unknown")
        )?;
        writeln!(out, "\nverify: {}", self.verdict)
    }

    /// Writes `sink.json` and `sink.txt` into a folder named after the time; returns the folder.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self, reports: &Path) -> anyhow::Result<PathBuf> {
        let dir = reports
            .join("perf")
            .join(self.at.format("%Y%m%dT%H%M%SZ").to_string());
        write_file(&dir.join("sink.json"), &serde_json::to_string_pretty(self)?)?;
        write_file(&dir.join("sink.txt"), &self.text())?;
        Ok(dir)
    }
}
