//! The verdict for a person, for a program and for CI.

use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::checks::{self, Check, Evidence, Verdict};
use super::lines::Line;
use super::settle::Quiet;
use crate::junit::{self, Case, Outcome, Suite};

/// What `verify` found out.
#[derive(Debug, Serialize)]
pub struct Report {
    pub judged_at: DateTime<Utc>,
    pub passed: bool,
    pub quiet: bool,
    /// What still moved.
    pub moving: Quiet,
    pub partitions: Vec<Line>,
    pub checks: Vec<Check>,
}

impl Report {
    pub fn new(evidence: &Evidence) -> Self {
        let checks = checks::judge(evidence);
        Self {
            judged_at: Utc::now(),
            passed: checks.iter().all(|check| check.verdict != Verdict::Fail),
            quiet: evidence.quiet.is_quiet(),
            moving: evidence.quiet.clone(),
            partitions: evidence.lines.clone(),
            checks,
        }
    }

    /// # Errors
    /// Naming every check that failed.
    pub fn check(&self) -> anyhow::Result<()> {
        let failed: Vec<String> = self
            .checks
            .iter()
            .filter(|check| check.verdict == Verdict::Fail)
            .map(|check| format!("{} {}", check.invariant, check.name))
            .collect();
        anyhow::ensure!(
            failed.is_empty(),
            "{} of {} invariants are broken: {}",
            failed.len(),
            self.checks.len(),
            failed.join("; ")
        );
        Ok(())
    }

    /// The table of topics and the list of checks.
    pub fn print(&self) {
        println!(
            "{:36} {:>8} {:>8} {:>8} {:>6} {:>6} {:>6} {:>6} {:>9}",
            "TOPIC",
            "RECORDS",
            "APPLIED",
            "REJECTED",
            "PARKED",
            "DEAD",
            "DUPL",
            "ABSENT",
            "IN FLIGHT"
        );
        let mut topics: Vec<&str> = self.partitions.iter().map(|line| line.topic).collect();
        topics.dedup();
        for topic in topics {
            let of_topic = || self.partitions.iter().filter(|line| line.topic == topic);
            let sum = |f: fn(&Line) -> i64| of_topic().map(f).sum::<i64>();
            println!(
                "{topic:36} {:>8} {:>8} {:>8} {:>6} {:>6} {:>6} {:>6} {:>9}",
                sum(|l| l.high - l.low),
                sum(|l| l.applied),
                sum(|l| l.rejected),
                sum(|l| l.parked),
                sum(|l| l.dead_lettered),
                sum(|l| l.duplicates),
                sum(|l| l.absent),
                sum(|l| l.in_flight),
            );
        }
        println!();
        for check in &self.checks {
            let mark = match check.verdict {
                Verdict::Pass => "✓",
                Verdict::Fail => "✗",
                Verdict::Skipped => "-",
            };
            println!(
                "{mark} {} {}: {}",
                check.invariant, check.name, check.compared
            );
            for violation in &check.violations {
                println!("      {violation}");
            }
        }
        println!("\n{}", self.summary());
    }

    /// One line that says it all.
    pub fn summary(&self) -> String {
        let count = |verdict| self.checks.iter().filter(|c| c.verdict == verdict).count();
        let skipped = match count(Verdict::Skipped) {
            0 => String::new(),
            n => format!(", {n} not judged"),
        };
        if self.passed {
            format!(
                "Nothing lost, doubled or reordered: {} checks passed{skipped}; {}",
                count(Verdict::Pass),
                self.moving.describe()
            )
        } else {
            format!(
                "{} checks failed, {} passed{skipped}; {}",
                count(Verdict::Fail),
                count(Verdict::Pass),
                self.moving.describe()
            )
        }
    }

    /// Writes `verify.json` and `verify.xml` (JUnit) into `dir`.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self, dir: &Path) -> anyhow::Result<()> {
        let json = serde_json::to_string_pretty(self)?;
        junit::write_file(&dir.join("verify.json"), &json)?;
        let cases = self.checks.iter().map(|check| Case {
            name: format!("{} {}", check.invariant, check.name),
            took: None,
            outcome: match check.verdict {
                Verdict::Pass => Outcome::Passed,
                Verdict::Fail => Outcome::Failed(format!(
                    "{}\n{}",
                    check.compared,
                    check.violations.join("\n")
                )),
                Verdict::Skipped => Outcome::Skipped(check.violations.join("\n")),
            },
        });
        let suite = Suite {
            name: "verify".into(),
            cases: cases.collect(),
        };
        junit::write(&dir.join("verify.xml"), &[suite])
    }
}
