//! What the ten steps came to: a table for a person, JSON for a program, JUnit for CI.

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::junit::{self, Case, Suite};

/// How a step ended, with what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Passed(String),
    Failed(String),
    /// This lab has nothing to check there.
    Skipped(String),
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Outcome::Passed(_) => "passed",
            Outcome::Failed(_) => "FAILED",
            Outcome::Skipped(_) => "skipped",
        }
    }

    fn detail(&self) -> &str {
        match self {
            Outcome::Passed(text) | Outcome::Failed(text) | Outcome::Skipped(text) => text,
        }
    }
}

/// One step that ended.
#[derive(Debug, Clone)]
pub struct StepReport {
    pub number: usize,
    pub title: &'static str,
    pub outcome: Outcome,
    pub took: Duration,
}

impl StepReport {
    pub fn has_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }
}

/// A row of the table; a reason of several lines stands whole in the reports.
impl fmt::Display for StepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = self.outcome.detail().lines().next().unwrap_or_default();
        write!(
            f,
            "{:>2}  {:21} {:8} {:>6.1} s  {detail}",
            self.number,
            self.title,
            self.outcome.word(),
            self.took.as_secs_f64(),
        )
    }
}

/// All ten.
#[derive(Debug)]
pub struct Report {
    dir: PathBuf,
    backend: String,
    pub steps: Vec<StepReport>,
    took: Duration,
}

impl Report {
    pub fn new(dir: PathBuf, backend: String, steps: Vec<StepReport>, took: Duration) -> Self {
        Self {
            dir,
            backend,
            steps,
            took,
        }
    }

    fn failed(&self) -> impl Iterator<Item = &StepReport> {
        self.steps.iter().filter(|step| step.has_failed())
    }

    pub fn json(&self) -> Value {
        let steps = self.steps.iter().map(|step| {
            json!({
                "number": step.number,
                "title": step.title,
                "outcome": step.outcome.word().to_lowercase(),
                "detail": step.outcome.detail(),
                "seconds": (step.took.as_secs_f64() * 10.0).round() / 10.0,
            })
        });
        json!({
            "passed": self.failed().next().is_none(),
            "backend": self.backend,
            "seconds": (self.took.as_secs_f64() * 10.0).round() / 10.0,
            "steps": steps.collect::<Vec<_>>(),
        })
    }

    /// Writes `report.json` and `report.xml` (JUnit).
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(&self.json())?;
        junit::write_file(&self.dir.join("report.json"), &text)?;
        let cases = self.steps.iter().map(|step| Case {
            name: format!("{} {}", step.number, step.title),
            took: Some(step.took),
            outcome: match &step.outcome {
                Outcome::Passed(_) => junit::Outcome::Passed,
                Outcome::Failed(reason) => junit::Outcome::Failed(reason.clone()),
                Outcome::Skipped(reason) => junit::Outcome::Skipped(reason.clone()),
            },
        });
        let suite = Suite {
            name: "validate-mvp".into(),
            cases: cases.collect(),
        };
        junit::write(&self.dir.join("report.xml"), &[suite])
    }

    /// The closing table, with the whole reason of what failed below it.
    pub fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "\nValidation on the {} backend", self.backend)?;
        for step in &self.steps {
            writeln!(out, "{step}")?;
        }
        for step in self.failed().filter(|s| s.outcome.detail().contains('\n')) {
            writeln!(out, "\n── {} {}", step.number, step.title)?;
            writeln!(out, "{}", step.outcome.detail())?;
        }
        let count = |word| {
            let of = self.steps.iter().filter(|s| s.outcome.word() == word);
            of.count()
        };
        writeln!(out, "\nReports: {}", self.dir.display())?;
        writeln!(
            out,
            "{} passed, {} failed, {} skipped in {:.0} s",
            count("passed"),
            count("FAILED"),
            count("skipped"),
            self.took.as_secs_f64()
        )
    }

    /// # Errors
    /// Naming every step that failed.
    pub fn check(&self) -> anyhow::Result<()> {
        let failed: Vec<String> = self
            .failed()
            .map(|step| format!("{} {}", step.number, step.title))
            .collect();
        anyhow::ensure!(
            failed.is_empty(),
            "the validation failed at: {}",
            failed.join(", ")
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcomes: Vec<Outcome>) -> Report {
        let steps = (1..).zip(outcomes).map(|(number, outcome)| StepReport {
            number,
            title: "services",
            outcome,
            took: Duration::from_millis(1500),
        });
        let dir = PathBuf::from("/reports");
        let took = Duration::from_secs(9);
        Report::new(dir, "embedded".into(), steps.collect(), took)
    }

    #[test]
    fn a_failure_is_named_with_its_whole_reason() {
        let report = report(vec![
            Outcome::Passed("up".into()),
            Outcome::Failed("two failures:\n- a\n- b".into()),
            Outcome::Skipped("no Prometheus".into()),
        ]);
        let mut text = Vec::new();
        report.print(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("- a\n- b"), "{text}");
        let last = text.lines().last();
        assert_eq!(last, Some("1 passed, 1 failed, 1 skipped in 9 s"));
        let error = report.check().unwrap_err().to_string();
        assert!(error.contains("2 services"), "{error}");
        assert_eq!(report.json()["passed"], false);
        assert_eq!(report.json()["steps"][2]["outcome"], "skipped");
    }

    #[test]
    fn what_is_skipped_does_not_fail() {
        let report = report(vec![Outcome::Skipped("no Grafana".into())]);
        assert!(report.check().is_ok());
    }
}
