//! A report: what was measured, on what, in a folder of its own, as JSON, as a Markdown table and
//! as one page that needs nothing else.

use std::path::PathBuf;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::findings::{Benchmark, number};
use super::html;
use super::machine::Machine;
use crate::Context;
use crate::junit::write_file;
use crate::state::LabState;

/// What measured and what was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    pub at: DateTime<Utc>,
    /// Short runs, as CI makes them.
    pub quick: bool,
    pub machine: Machine,
    pub lab: Configuration,
    pub benchmarks: Vec<Benchmark>,
}

/// The lab that was measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Configuration {
    pub backend: String,
    /// The broker, and how many.
    pub broker: String,
    /// Part and image, where parts run in containers.
    pub images: Vec<(String, String)>,
    pub workers: u32,
    pub postgres: Vec<(String, String)>,
}

impl Configuration {
    /// # Errors
    /// When PostgreSQL does not answer.
    pub async fn look(lab: &LabState) -> anyhow::Result<Self> {
        let pool = chassis::postgres::connect(&lab.postgres())?;
        let postgres = super::machine::postgres_settings(&pool)
            .await
            .context("failed to read PostgreSQL's settings")?;
        let images = lab.images.iter();
        Ok(Self {
            backend: lab.backend.clone(),
            broker: match lab.brokers {
                1 => lab.broker.clone(),
                brokers => format!("{}, {brokers} brokers", lab.broker),
            },
            images: images
                .map(|(part, image)| (part.clone(), image.reference.clone()))
                .collect(),
            workers: lab.workers,
            postgres,
        })
    }

    pub fn text(&self) -> String {
        let mut text = format!(
            "backend {}, broker {}, {} worker(s) of bancaire",
            self.backend, self.broker, self.workers
        );
        for (part, image) in &self.images {
            text += &format!(", {part} from {image}");
        }
        for (name, value) in &self.postgres {
            text += &format!(", {name} {value}");
        }
        text
    }
}

impl Report {
    pub fn failures(&self) -> Vec<String> {
        self.benchmarks
            .iter()
            .flat_map(Benchmark::failures)
            .collect()
    }

    pub fn missed(&self) -> Vec<String> {
        self.benchmarks.iter().flat_map(Benchmark::missed).collect()
    }

    /// The table for a document, and what it was measured on.
    pub fn markdown(&self) -> String {
        let mut lines = vec![
            "| benchmark | figure | median | spread | floor | goal | verdict |".to_owned(),
            "|---|---|---|---|---|---|---|".to_owned(),
        ];
        lines.extend(self.benchmarks.iter().flat_map(Benchmark::rows));
        lines.push(String::new());
        lines.push(format!("{}; {}.", self.machine.text(), self.lab.text()));
        let steals: Vec<String> = self
            .benchmarks
            .iter()
            .map(|b| format!("{} {} %", b.name, number(b.steal_percent.round())))
            .collect();
        lines.push(format!("CPU steal: {}.", steals.join(", ")));
        for benchmark in &self.benchmarks {
            if let Some(verified) = &benchmark.verified {
                lines.push(format!(
                    "verify after {}: {}",
                    benchmark.name, verified.summary
                ));
            }
        }
        lines.join("\n") + "\n"
    }

    /// Writes `report.json`, `report.md` and `report.html` into a folder named after the time;
    /// returns the folder.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self, ctx: &Context) -> anyhow::Result<PathBuf> {
        let dir = root(ctx).join(self.at.format("%Y%m%dT%H%M%SZ").to_string());
        write_file(
            &dir.join("report.json"),
            &serde_json::to_string_pretty(self)?,
        )?;
        write_file(&dir.join("report.md"), &self.markdown())?;
        write_file(&dir.join("report.html"), &html::page(self))?;
        Ok(dir)
    }

    /// Reads a report: its folder, its `report.json`, or the name of a folder among the reports.
    ///
    /// # Errors
    /// When there is none, or it is not one.
    pub fn read(ctx: &Context, name: &str) -> anyhow::Result<(PathBuf, Self)> {
        let given = [PathBuf::from(name), root(ctx).join(name)];
        let file = given.iter().map(|path| match path.extension() {
            Some(extension) if extension == "json" => path.clone(),
            _ => path.join("report.json"),
        });
        let mut file = file.filter(|path| path.is_file());
        let path = file.next().with_context(|| {
            format!("there is no report {name}; `cargo xtask perf report` names the last one")
        })?;
        let failed = || format!("failed to read {}", path.display());
        let text = std::fs::read_to_string(&path).with_context(failed)?;
        let report = serde_json::from_str(&text).with_context(failed)?;
        Ok((path, report))
    }

    /// The newest report's folder.
    ///
    /// # Errors
    /// When nothing was measured here.
    pub fn last(ctx: &Context) -> anyhow::Result<PathBuf> {
        let entries = std::fs::read_dir(root(ctx)).into_iter().flatten().flatten();
        let folders = entries.map(|entry| entry.path());
        folders
            .filter(|path| path.join("report.html").is_file())
            .max()
            .context("nothing was measured here yet; `cargo xtask perf all` does")
    }
}

fn root(ctx: &Context) -> PathBuf {
    ctx.reports_dir().join("perf")
}

/// Two reports side by side, as a Markdown table: the figures that both have.
pub fn compare(a: &Report, b: &Report) -> String {
    let name = |report: &Report| {
        let commit = report.machine.commit.as_deref().unwrap_or("unknown");
        format!("{} ({commit})", report.at.format("%Y-%m-%d %H:%M"))
    };
    let mut lines = vec![
        format!(
            "| benchmark | figure | A: {} | B: {} | B / A |",
            name(a),
            name(b)
        ),
        "|---|---|---|---|---|".to_owned(),
    ];
    for before in &a.benchmarks {
        let Some(after) = b.benchmarks.iter().find(|found| found.name == before.name) else {
            continue;
        };
        for figure in &before.figures {
            let Some(other) = after.figure(&figure.name) else {
                continue;
            };
            let show = |value: f64| format!("{} {}", number(value), figure.unit);
            let (old, new) = (figure.value.median, other.value.median);
            let ratio = if old == 0.0 {
                "-".to_owned()
            } else {
                format!("{:.2}", new / old)
            };
            // Overlapping spreads: the difference may be nothing.
            let apart = figure.value.max < other.value.min || other.value.max < figure.value.min;
            lines.push(format!(
                "| {} | {} | {} | {} | {ratio}{} |",
                before.name,
                figure.name,
                show(old).trim_end(),
                show(new).trim_end(),
                if apart { "" } else { " (spreads overlap)" }
            ));
        }
    }
    for (of, mine, other) in [("A", a, b), ("B", b, a)] {
        if mine.machine.cpu != other.machine.cpu || mine.machine.cores != other.machine.cores {
            lines.push(format!("\n{of} was measured on {}", mine.machine.text()));
        }
        if mine.quick != other.quick && mine.quick {
            lines.push(format!("\n{of} was measured quickly"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::perf::findings::tests::sample;

    pub(in crate::perf) fn report(p99: f64) -> Report {
        Report {
            at: Utc::now(),
            quick: false,
            machine: Machine {
                cpu: "a <processor>".into(),
                cores: 2,
                memory_mb: Some(8000),
                kernel: "Linux 6".into(),
                file_system: Some("ext4".into()),
                commit: Some("abc".into()),
                build: "dev".into(),
            },
            lab: Configuration {
                backend: "embedded".into(),
                broker: "kafka".into(),
                images: Vec::new(),
                workers: 1,
                postgres: vec![("fsync".into(), "on".into())],
            },
            benchmarks: vec![sample(p99)],
        }
    }

    #[test]
    fn two_reports_stand_side_by_side() {
        let text = compare(&report(10.0), &report(20.0));
        assert!(
            text.contains("| latency | p99 | 11 ms | 21 ms | 1.91 |"),
            "{text}"
        );
        let text = compare(&report(10.0), &report(11.0));
        assert!(text.contains("(spreads overlap)"), "{text}");
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let text = serde_json::to_string(&report(3.0)).unwrap();
        let again: Report = serde_json::from_str(&text).unwrap();
        assert_eq!(again.markdown(), report(3.0).markdown());
        assert!(again.markdown().contains("fsync on"));
    }
}
