//! The sink's own table, with what each run used of the machine, and its figures.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::json;

use super::Spread;
use super::findings::{Benchmark, Bound, Figure, Verified};
use super::sink::{SinkOptions, SinkRun};

/// The sink against a COPY of the same rows.
#[derive(Debug, Serialize)]
pub struct SinkReport {
    pub options: SinkOptions,
    pub runs: Vec<SinkRun>,
    pub summary: Summary,
    /// What `verify` said afterwards: a fast wrong answer is a failure.
    pub verified: Verified,
    pub steal_percent: f64,
}

/// Median and spread over all runs.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// From the begin of the first transaction to its last commit.
    pub sink_rows_per_s: Spread,
    pub sink_from_start_rows_per_s: Spread,
    pub copy_rows_per_s: Spread,
    pub copy_same_rows_per_s: Spread,
    /// Of each run's sink and its own COPY.
    pub ratio: Spread,
    pub ratio_same: Spread,
}

impl Summary {
    /// `None` without runs.
    pub fn of(runs: &[SinkRun]) -> Option<Self> {
        let spread = |of: fn(&SinkRun) -> f64| Spread::of(runs.iter().map(of));
        Some(Self {
            sink_rows_per_s: spread(SinkRun::sink_rate)?,
            sink_from_start_rows_per_s: spread(SinkRun::sink_rate_from_start)?,
            copy_rows_per_s: spread(SinkRun::copy_rate)?,
            copy_same_rows_per_s: spread(SinkRun::copy_same_rate)?,
            ratio: spread(|run| run.sink_rate() / run.copy_rate())?,
            ratio_same: spread(|run| run.sink_rate() / run.copy_same_rate())?,
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
            options, summary, ..
        } = self;
        writeln!(
            out,
            "Sink: {} deposits on {} accounts, {} runs of sink, COPY, COPY into the same table\n",
            options.events, options.accounts, options.runs
        )?;
        writeln!(
            out,
            "{:>3} {:>10} {:>10} {:>10} {:>10} {:>6} {:>6} {:>7} {:>9} {:>9} {:>9} {:>6}",
            "RUN",
            "SINK/s",
            "+START/s",
            "COPY/s",
            "COPY=/s",
            "RATIO",
            "/=",
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
                run.copy_same_rate(),
                run.sink_rate() / run.copy_rate(),
                run.sink_rate() / run.copy_same_rate(),
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
            ("COPY, same table", summary.copy_same_rows_per_s),
        ] {
            let Spread { median, min, max } = spread;
            writeln!(
                out,
                "{name:26} {median:>9.0} rows/s  ({min:.0} to {max:.0})"
            )?;
        }
        for (name, spread) in [
            ("sink / COPY", summary.ratio),
            ("sink / COPY, same table", summary.ratio_same),
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
             with LIKE … INCLUDING ALL, which has the same indexes but no reference to the accounts;\n\
             the second one has that too. Every table holds as many rows as the others at each start.\n\
             CPU is in cores, over the sink's time (bancaire's since its process start)."
        )?;
        Ok(())
    }

    /// The figures of all runs.
    ///
    /// # Errors
    /// Without any run.
    pub fn benchmark(&self) -> anyhow::Result<Benchmark> {
        let runs = &self.runs;
        let figure = |name: &str, unit: &str, of: fn(&SinkRun) -> f64| {
            Figure::new(name, unit, runs.iter().map(of))
        };
        let mut figures = vec![
            figure("sink / COPY into the same table", "", |run| {
                run.sink_rate() / run.copy_same_rate()
            })?
            .goal(Bound::AtLeast(0.7)),
            figure("sink / COPY into a bare copy of it", "", |run| {
                run.sink_rate() / run.copy_rate()
            })?,
            figure("sink", "rows/s", SinkRun::sink_rate)?,
            figure(
                "sink, from process start",
                "rows/s",
                SinkRun::sink_rate_from_start,
            )?,
            figure(
                "COPY into the same table",
                "rows/s",
                SinkRun::copy_same_rate,
            )?,
            figure("COPY into a bare copy", "rows/s", SinkRun::copy_rate)?,
            figure("discarding consumer", "records/s", |run| run.discard_rate)?,
            figure("durable 8 kB writes", "/s", |run| run.fsync_rate)?,
            figure("rows per transaction", "rows", |run| {
                run.rows as f64 / run.batches.max(1) as f64
            })?,
        ];
        type Used = fn(&SinkRun) -> Option<u64>;
        let used: [(&str, Used); 3] = [
            ("bancaire's CPU", |run| run.cpu_ms.bancaire),
            ("PostgreSQL's CPU", |run| run.cpu_ms.postgres),
            ("Kafka's CPU", |run| run.cpu_ms.kafka),
        ];
        for (name, of) in used {
            let cores = runs
                .iter()
                .filter_map(|run| Some(of(run)? as f64 / run.sink_ms));
            // Not where the system does not tell.
            figures.extend(Figure::new(name, "cores", cores));
        }
        Ok(Benchmark {
            name: "sink".into(),
            title: "Draining a backlog into PostgreSQL".into(),
            how: format!(
                "{} deposits wait in Kafka when bancaire is started; from the begin of its first \
                 transaction to its last commit, beside one CSV COPY of the same rows, as psql's \
                 \\copy sends it, in turn: into a table with everything that bancaire's own has, and \
                 into a copy that has its indexes but not its reference to the accounts.",
                self.options.events
            ),
            figures,
            plots: Vec::new(),
            notes: vec![format!("{} accounts", self.options.accounts)],
            table: Some(self.text()),
            verified: Some(self.verified.clone()),
            steal_percent: self.steal_percent,
            details: json!(self),
        })
    }
}
