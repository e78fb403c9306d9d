//! A fault as it stands in its file: a hypothesis, a load, what is broken and mended, and what must
//! hold afterwards. The lab's own are in `tests/chaos/`; anybody may write more.
//!
//! Every value is checked while it is read, so that an error names the field, the line and what
//! would be right.

mod step;
mod values;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

pub use self::step::{
    Condition, LostReply, Made, Point, Poison, State, Step, Storm, Test, Wired, Wiring,
};
pub use self::values::{Component, HELD, Name, Rate, Time};
use crate::Context;

/// One fault.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub name: Name,
    /// Its row in the matrix of the documentation; a user's own has none.
    #[serde(default)]
    pub row: Option<u32>,
    /// What is expected, in one sentence.
    pub hypothesis: String,
    #[serde(default)]
    pub needs: Vec<Need>,
    /// Part of `chaos all --quick`.
    #[serde(default)]
    pub quick: bool,
    #[serde(default)]
    pub lab: LabWish,
    /// What runs meanwhile; nothing when left out.
    #[serde(default)]
    pub load: Option<Load>,
    /// What is done, in order. The last one mends what was broken.
    #[serde(with = "serde_yaml_ng::with::singleton_map_recursive")]
    pub steps: Vec<Step>,
    /// What is judged; everything when left out.
    #[serde(default = "all_invariants")]
    pub invariants: Vec<Invariant>,
    /// From the last step until everything that was in the logs by then is handled.
    #[serde(default = "default_bound")]
    pub recover_within: Time,
    /// How long the flow may then take to come to rest.
    #[serde(default = "default_settle")]
    pub settle: Time,
    #[serde(default)]
    pub expect: Expect,
}

/// What a fault asks of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Three brokers in containers.
    Docker,
    /// To be run by root.
    Root,
    /// Apache Kafka rather than the light broker.
    Kafka,
}

/// How the lab is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LabWish {
    /// Workers of bancaire at the beginning; 0 is one.
    pub workers: u32,
    /// Not shared with the fault before or after.
    pub own: bool,
    /// PostgreSQL's data on a file system of this many megabytes; 0 leaves it where it is.
    pub postgres_mb: u64,
    /// Variables of parts.
    pub env: BTreeMap<Component, BTreeMap<String, String>>,
}

/// A simulation.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// One of the simulator's.
    pub scenario: String,
    /// Events per second.
    pub rate: Rate,
    pub duration: Time,
}

/// Beyond the invariants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// No event may be refused because nobody knows its account.
    pub no_unknown_account: bool,
    /// So many duplicates are recognised, at least.
    pub duplicates: i64,
    /// So many dead letters, exactly.
    pub dead_letters: Option<i64>,
    /// So many events are in the ledger, at least: the fault met a flow.
    pub applied: i64,
}

/// A letter of the documentation's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Invariant {
    C,
    X,
    L,
    O,
    D,
    R,
    B,
    Z,
}

fn all_invariants() -> Vec<Invariant> {
    use Invariant::{B, C, D, L, O, R, X, Z};
    vec![C, X, L, O, D, R, B, Z]
}

fn default_bound() -> Time {
    Time(Duration::from_secs(30))
}

fn default_settle() -> Time {
    Time(Duration::from_secs(60))
}

impl Fault {
    /// Reads one file's text; `file` is how errors call it.
    ///
    /// # Errors
    /// Naming the field, the line and what would be right.
    pub fn parse(file: &str, text: &str) -> anyhow::Result<Self> {
        let fault: Self =
            serde_yaml_ng::from_str(text).map_err(|e| anyhow::anyhow!("{file}: {e}"))?;
        anyhow::ensure!(
            !fault.steps.is_empty(),
            "{file}: steps: there is nothing to do"
        );
        anyhow::ensure!(
            !fault.hypothesis.trim().is_empty(),
            "{file}: hypothesis: says nothing"
        );
        Ok(fault)
    }

    /// True when bancaire must be the one with fail points.
    pub fn holds(&self) -> bool {
        self.steps
            .iter()
            .any(|step| matches!(step, Step::Hold(_) | Step::Arm(_)))
    }

    /// True when it is nothing but tests with labs of their own.
    pub fn is_tests(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Test(_)))
    }

    pub fn judges(&self, letter: &str) -> bool {
        self.invariants.iter().any(|i| format!("{i:?}") == letter)
    }
}

/// Every fault of the repository, by row and then by name.
///
/// # Errors
/// With everything that is wrong in any file.
pub fn catalogue(ctx: &Context) -> anyhow::Result<Vec<Fault>> {
    let folder = ctx.root.join("tests/chaos");
    let failed = || format!("failed to read {}", folder.display());
    let mut faults = Vec::new();
    let mut problems = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        if path.extension().is_some_and(|e| e == "yaml") {
            match read(&path) {
                Ok(fault) => faults.push(fault),
                Err(e) => problems.push(format!("{e:#}")),
            }
        }
    }
    anyhow::ensure!(problems.is_empty(), "{}", problems.join("\n"));
    faults.sort_by(|a, b| {
        (a.row.unwrap_or(u32::MAX), &a.name).cmp(&(b.row.unwrap_or(u32::MAX), &b.name))
    });
    Ok(faults)
}

/// One of the repository's by its name, or a file.
///
/// # Errors
/// When there is none, or its file is wrong.
pub fn find(ctx: &Context, name: &str) -> anyhow::Result<Fault> {
    let path = Path::new(name);
    if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
        return read(path);
    }
    let faults = catalogue(ctx)?;
    let names: Vec<String> = faults.iter().map(|fault| fault.name.0.clone()).collect();
    let found = faults.into_iter().find(|fault| fault.name.0 == name);
    found.with_context(|| {
        format!(
            "there is no fault {name:?}; there are {}, and any file that ends in .yaml",
            names.join(", ")
        )
    })
}

fn read(path: &Path) -> anyhow::Result<Fault> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| format!("failed to read {file}"))?;
    Fault::parse(&file, &text)
}
