//! The verdicts: each invariant with what was compared.
//!
//! Pure: everything that was asked of the lab is in [`Evidence`].

mod effect;
mod loss;
mod money;

use std::collections::{BTreeMap, HashSet};

use chassis::kafka::admin::Watermarks;
use serde::Serialize;
use serde_json::Value;

use super::audit::Wrongs;
use super::books::{Books, Place};
use super::letters::Letters;
use super::lines::Line;
use super::read_back::ReadBack;
use super::settle::Quiet;
pub use effect::unknown_ends;

/// Everything that is judged.
pub struct Evidence {
    pub quiet: Quiet,
    pub books: Books,
    pub lines: Vec<Line>,
    pub watermarks: Watermarks,
    pub cluster_id: Option<String>,
    pub letters: Letters,
    /// Dead letters per partition, published or still in the outbox, of handled records.
    pub dead: BTreeMap<Place, i64>,
    pub dead_in_outbox: i64,
    /// Or why the logs were not read back.
    pub read_back: Result<ReadBack, String>,
    /// Transfers whose credit is in the outbox, parked or in flight.
    pub causes: HashSet<String>,
    /// bancaire's own ledger, or why it was not asked.
    pub ledger: Result<Value, String>,
    /// What the simulator says was acknowledged, per event.
    pub acknowledged: BTreeMap<String, i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Pass,
    Fail,
    /// It could not be judged; the check says why.
    Skipped,
}

/// One invariant's verdict.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// The letter of the invariant.
    pub invariant: &'static str,
    pub name: &'static str,
    pub verdict: Verdict,
    /// What was compared, with its numbers.
    pub compared: String,
    /// The first violations.
    pub violations: Vec<String>,
}

impl Check {
    fn new(invariant: &'static str, name: &'static str, compared: String) -> Self {
        Self {
            invariant,
            name,
            verdict: Verdict::Pass,
            compared,
            violations: Vec::new(),
        }
    }

    /// Fails when there are violations.
    fn unless(mut self, violations: Vec<String>) -> Self {
        if !violations.is_empty() {
            self.verdict = Verdict::Fail;
            self.violations = violations;
            self.violations.truncate(10);
        }
        self
    }

    fn unless_wrong(self, wrongs: &Wrongs) -> Self {
        let mut violations = wrongs.samples.clone();
        if wrongs.count > violations.len() {
            violations.truncate(9);
            violations.push(format!("… {} in all", wrongs.count));
        }
        self.unless(violations)
    }

    fn skipped(mut self, reason: &str) -> Self {
        self.verdict = Verdict::Skipped;
        self.violations = vec![reason.to_owned()];
        self
    }
}

/// Judges every invariant.
pub fn judge(evidence: &Evidence) -> Vec<Check> {
    vec![
        loss::every_offset(evidence),
        loss::same_cluster(evidence),
        loss::log_read_back(evidence),
        loss::acknowledged(evidence),
        effect::one_row_per_event(evidence),
        effect::counters_are_rows(evidence),
        effect::own_ledger(evidence),
        money::balances(evidence),
        money::amounts_per_partition(evidence),
        money::transfers(evidence),
        money::chains(evidence),
        money::orders(evidence),
        effect::dead_letters(evidence),
        effect::dead_letters_bytes(evidence),
        loss::quiet(evidence),
    ]
}

#[cfg(test)]
mod tests;
