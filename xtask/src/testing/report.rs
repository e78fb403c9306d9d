//! What the tests came to: for a person, for a program, for CI.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Value, json};

use super::suites::Group;
use crate::Context;
use crate::junit::{self, Outcome, Suite};

/// Everything that was run, and what was not.
#[derive(Debug)]
pub struct Report {
    dir: PathBuf,
    suites: BTreeMap<Group, Vec<(Suite, Duration)>>,
    pub not_run: Vec<NotRun>,
    pub took: Duration,
    /// Nothing may be left out.
    pub strict: bool,
}

/// Tests that this machine cannot run.
#[derive(Debug, Serialize)]
pub struct NotRun {
    pub what: String,
    pub reason: String,
    /// How to get it run.
    pub remedy: String,
}

impl NotRun {
    pub fn new(what: &str, reason: &str, remedy: &str) -> Self {
        Self {
            what: what.into(),
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }
}

impl Report {
    /// Goes to `target/edalab/test`. With `EDALAB_CI` what is not run counts as failed.
    pub fn new(ctx: &Context) -> Self {
        Self::within(ctx.reports_dir().join("test"))
    }

    /// The same in another folder.
    pub fn within(dir: PathBuf) -> Self {
        Self {
            dir,
            suites: BTreeMap::new(),
            not_run: Vec::new(),
            took: Duration::ZERO,
            strict: std::env::var_os("EDALAB_CI").is_some_and(|value| !value.is_empty()),
        }
    }

    /// Where a suite's whole output goes.
    pub fn log(&self, suite: &str) -> PathBuf {
        let plain = |c: char| if c.is_alphanumeric() { c } else { '-' };
        let name: String = suite.chars().map(plain).collect();
        self.dir.join(format!("{}.log", name.trim_matches('-')))
    }

    pub fn add(&mut self, group: Group, suite: Suite, took: Duration) {
        self.suites.entry(group).or_default().push((suite, took));
    }

    fn count(&self, wanted: impl Fn(&Outcome) -> bool) -> usize {
        let suites = self.suites.values().flatten();
        let cases = suites.flat_map(|(suite, _)| &suite.cases);
        cases.filter(|case| wanted(&case.outcome)).count()
    }

    pub fn passed(&self) -> usize {
        self.count(|outcome| *outcome == Outcome::Passed)
    }

    pub fn failed(&self) -> usize {
        let failed = self.count(|outcome| matches!(outcome, Outcome::Failed(_)));
        failed + if self.strict { self.not_run.len() } else { 0 }
    }

    /// Suite, test and output of each failure.
    fn failures(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.suites.values().flatten().flat_map(|(suite, _)| {
            suite.cases.iter().filter_map(|case| match &case.outcome {
                Outcome::Failed(output) => Some((&*suite.name, &*case.name, &**output)),
                _ => None,
            })
        })
    }

    /// Writes a JUnit file per group, and `summary.json`.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self) -> anyhow::Result<()> {
        for (group, suites) in &self.suites {
            let suites: Vec<Suite> = suites.iter().map(|(suite, _)| suite.clone()).collect();
            junit::write(&self.dir.join(format!("{}.xml", group.name())), &suites)?;
        }
        let text = serde_json::to_string_pretty(&self.json()).context("failed to write JSON")?;
        junit::write_file(&self.dir.join("summary.json"), &text)
    }

    pub fn json(&self) -> Value {
        let suites = self.suites.iter().flat_map(|(group, suites)| {
            suites.iter().map(|(suite, took)| {
                let count = |wanted: fn(&Outcome) -> bool| {
                    suite
                        .cases
                        .iter()
                        .filter(|case| wanted(&case.outcome))
                        .count()
                };
                json!({
                    "group": group.name(),
                    "suite": suite.name,
                    "passed": count(|outcome| *outcome == Outcome::Passed),
                    "failed": count(|outcome| matches!(outcome, Outcome::Failed(_))),
                    "not_run": count(|outcome| matches!(outcome, Outcome::Skipped(_))),
                    "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0,
                })
            })
        });
        let failures = self
            .failures()
            .map(|(suite, test, output)| json!({ "suite": suite, "test": test, "output": output }));
        json!({
            "passed": self.passed(),
            "failed": self.failed(),
            "seconds": self.took.as_secs_f64().round(),
            "suites": suites.collect::<Vec<_>>(),
            "failures": failures.collect::<Vec<_>>(),
            "not_run": self.not_run,
        })
    }

    /// Every failure once, with what it said; what was not run, and the remedy; the closing line.
    pub fn print(&self, out: &mut impl std::io::Write) -> std::io::Result<()> {
        for (suite, test, output) in self.failures() {
            writeln!(out, "\n── FAILED {suite}: {test}")?;
            writeln!(out, "{output}")?;
        }
        if !self.not_run.is_empty() {
            let strict = if self.strict {
                ", which counts as failed here (EDALAB_CI)"
            } else {
                ""
            };
            writeln!(out, "\nNot run{strict}:")?;
            for NotRun {
                what,
                reason,
                remedy,
            } in &self.not_run
            {
                let remedy = if remedy.is_empty() {
                    String::new()
                } else {
                    format!(" → {remedy}")
                };
                writeln!(out, "  {what}: {reason}{remedy}")?;
            }
        }
        let seconds = self.took.as_secs();
        writeln!(out, "\nReports: {} ({seconds} s)", self.dir.display())?;
        writeln!(out, "{} passed, {} failed", self.passed(), self.failed())
    }

    /// # Errors
    /// When a test failed, or none has the name that was asked for.
    pub fn check(&self) -> anyhow::Result<()> {
        let failed = self.failed();
        anyhow::ensure!(failed == 0, "{failed} failed");
        anyhow::ensure!(
            self.passed() > 0 || self.suites.is_empty(),
            "no test has that name"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::junit::Case;

    fn report(strict: bool) -> Report {
        let case = |name: &str, outcome| Case {
            name: name.into(),
            outcome,
            took: None,
        };
        let suite = Suite {
            name: "tests/e2e".into(),
            cases: vec![
                case("a", Outcome::Passed),
                case("b", Outcome::Failed("it broke".into())),
                case("c", Outcome::Skipped("needs docker".into())),
            ],
        };
        Report {
            dir: "/reports".into(),
            suites: [(Group::E2e, vec![(suite, Duration::from_secs(2))])].into(),
            not_run: vec![NotRun::new("tests/e2e: c", "no Docker", "start it")],
            took: Duration::from_secs(3),
            strict,
        }
    }

    #[test]
    fn each_failure_is_told_once_and_the_last_line_counts() {
        let mut text = Vec::new();
        report(false).print(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.matches("it broke").count(), 1);
        assert!(
            text.contains("tests/e2e: c: no Docker → start it"),
            "{text}"
        );
        assert_eq!(text.lines().last(), Some("1 passed, 1 failed"));
        assert!(report(false).check().is_err());
    }

    #[test]
    fn where_nothing_may_be_left_out_it_counts_as_failed() {
        assert_eq!((report(true).passed(), report(true).failed()), (1, 2));
        let json = report(true).json();
        assert_eq!(json["failed"], 2);
        assert_eq!(json["suites"][0]["not_run"], 1);
        assert_eq!(json["failures"][0]["test"], "b");
    }

    #[test]
    fn logs_have_plain_names() {
        let log = report(false).log("schemas (lib)");
        assert_eq!(log, PathBuf::from("/reports/schemas--lib.log"));
    }
}
