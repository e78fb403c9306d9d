//! The outcomes for a person, for a program and for CI.

use std::path::Path;
use std::time::Duration;

use super::run::{Outcome, Verdict};
use crate::junit::{self, Case, Suite};

/// Prints one outcome whole: what was compared, and what did not hold.
pub fn print_one(outcome: &Outcome) {
    println!("\n{}", outcome.name);
    println!("  hypothesis: {}", outcome.hypothesis);
    println!("  seed:       {}", outcome.seed);
    for finding in &outcome.findings {
        let mark = match (finding.passed, finding.skipped) {
            (_, true) => "-",
            (true, false) => "✓",
            (false, false) => "✗",
        };
        println!(
            "  {mark} {} {}: {}",
            finding.invariant, finding.name, finding.compared
        );
        for violation in &finding.violations {
            println!("      {violation}");
        }
    }
    if let Some(reason) = &outcome.reason {
        println!("  {reason}");
    }
    println!("  verdict:    {}, {}", word(outcome), recovery(outcome));
}

/// One line per fault.
pub fn print_table(outcomes: &[Outcome]) {
    let width = outcomes
        .iter()
        .map(|o| o.name.len())
        .max()
        .unwrap_or(0)
        .max(5);
    println!(
        "\n{:>3} {:width$} {:9} {:>8} {:>8} {:>8}  COMPARED",
        "ROW", "FAULT", "VERDICT", "RECOVER", "TOOK", "CHECKS"
    );
    for outcome in outcomes {
        let row = outcome
            .row
            .map_or_else(|| "-".into(), |row| row.to_string());
        let recovered = match outcome.recovered_ms {
            Some(ms) => format!("{:.1} s", ms as f64 / 1000.0),
            None => "-".into(),
        };
        let judged = outcome.findings.iter().filter(|f| !f.skipped).count();
        let said = outcome.reason.clone().unwrap_or_else(|| compared(outcome));
        println!(
            "{row:>3} {:width$} {:9} {recovered:>8} {:>6.1} s {judged:>8}  {}",
            outcome.name,
            word(outcome),
            outcome.took_ms as f64 / 1000.0,
            said.lines().next().unwrap_or_default(),
        );
    }
}

/// The count of a run's witnesses, in a few words.
fn compared(outcome: &Outcome) -> String {
    let journal = outcome
        .findings
        .iter()
        .find(|f| f.name.contains("acknowledged event has"));
    journal.map_or_else(String::new, |finding| finding.compared.clone())
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome.verdict {
        Verdict::Passed => "passed",
        Verdict::Failed => "FAILED",
        Verdict::NotRun => "not run",
    }
}

fn recovery(outcome: &Outcome) -> String {
    match outcome.recovered_ms {
        Some(ms) => format!("recovered after {:.1} s", ms as f64 / 1000.0),
        None => "no recovery was measured".into(),
    }
}

/// Writes `chaos.json` and `chaos.xml` (JUnit) into `dir`.
///
/// # Errors
/// When they cannot be written.
pub fn write(dir: &Path, outcomes: &[Outcome]) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(outcomes)?;
    junit::write_file(&dir.join("chaos.json"), &json)?;
    let cases = outcomes.iter().map(|outcome| Case {
        name: outcome.name.clone(),
        took: Some(Duration::from_millis(outcome.took_ms)),
        outcome: match outcome.verdict {
            Verdict::Passed => junit::Outcome::Passed,
            Verdict::Failed => junit::Outcome::Failed(failure(outcome)),
            Verdict::NotRun => junit::Outcome::Skipped(outcome.reason.clone().unwrap_or_default()),
        },
    });
    let suite = Suite {
        name: "chaos".into(),
        cases: cases.collect(),
    };
    junit::write(&dir.join("chaos.xml"), &[suite])
}

fn failure(outcome: &Outcome) -> String {
    let mut text = format!(
        "{} (seed {})",
        outcome.reason.clone().unwrap_or_default(),
        outcome.seed
    );
    for finding in outcome.broken() {
        text += &format!(
            "\n{} {}: {}",
            finding.invariant, finding.name, finding.compared
        );
        for violation in &finding.violations {
            text += &format!("\n  {violation}");
        }
    }
    text
}
