//! A fault as it stands in its file: a hypothesis, a load, what is broken and mended, and what must
//! hold afterwards. The lab's own are in `tests/chaos/`; anybody may write more.
//!
//! Every value is checked while it is read, so that an error names the field, the line and what
//! would be right.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::Context;
use crate::components::Part;
use crate::verify::settle::parse_duration;

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

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Lets time pass.
    Wait(Time),
    /// Ends a part as kill -9 does.
    Kill(Component),
    /// Asks a part to stop, and waits until it has.
    Terminate(Component),
    /// SIGSTOP.
    Pause(Component),
    /// SIGCONT.
    Resume(Component),
    /// Starts a part and waits until it is ready.
    Start(Component),
    /// Starts or stops workers of bancaire.
    Workers(u32),
    /// Workers join and leave all the time.
    Storm(Storm),
    /// What stands between the services and a part.
    Wire(Wiring),
    /// The connection is cut in the moment in which this was asked, before the answer.
    LoseReply(LostReply),
    /// Waits until bancaire is at a named point in the middle of a batch, and holds it there.
    Hold(Point),
    /// Lets it go on from there.
    Release(Point),
    /// Publishes records that cannot be read, on every topic of events.
    Poison(Poison),
    /// Publishes the last events again.
    Duplicate(u32),
    /// Publishes everything that the logs hold again, unchanged.
    Replay,
    /// Publishes what a simulation does not.
    Produce(Made),
    /// Waits for a condition.
    Until(Condition),
    /// Leaves PostgreSQL no space at all.
    FillDisk,
    /// Gives it back.
    FreeDisk,
    /// Runs one of the repository's tests, which tries this fault with a lab of its own.
    Test(Test),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storm {
    /// How many workers there are in turn.
    pub between: [u32; 2],
    pub every: Time,
    pub lasts: Time,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wiring {
    pub to: Wired,
    pub is: State,
}

/// What a wire leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wired {
    Kafka,
    Postgres,
    Registry,
}

/// What a wire does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Everything passes.
    Through,
    /// Connections end at once, and new ones too.
    Cut,
    /// Connections stay, and nothing passes until later.
    Silent,
    /// Those that are open are dead without knowing; new ones are not.
    HalfOpen,
    /// Everything passes, so much later.
    Latency(Time),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LostReply {
    pub to: Wired,
    /// The words of the request.
    pub after: String,
}

/// A point in the middle of bancaire's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Point {
    BeforeTransaction,
    BeforeCopy,
    BeforeCommit,
    AfterCommit,
    /// The relay is about to publish rows of the outbox.
    Relaying,
    /// The relay has published rows of the outbox, and still has them.
    Relayed,
}

impl Point {
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforeTransaction => "before-transaction",
            Self::BeforeCopy => "before-copy",
            Self::BeforeCommit => "before-commit",
            Self::AfterCommit => "after-commit",
            Self::Relaying => "relaying",
            Self::Relayed => "relayed",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Poison {
    /// As the simulator names them.
    pub kinds: Vec<String>,
    /// Of each kind, on each topic.
    pub count: u32,
}

/// What can be published beside a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Made {
    /// Deposits, then the openings of their accounts.
    Early,
    /// One good event, cut at every byte length.
    Truncated,
    /// Events whose clock is a day ahead or behind.
    Skewed,
    /// SQL, HTML and control characters in every text.
    Hostile,
    /// Invalid UTF-8, and a zero character.
    Invalid,
}

/// What can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// bancaire has handled some events of this run.
    Flowing,
    /// The logs grow, and bancaire does not follow.
    Lagging,
    /// Everything that was in the logs is handled.
    CaughtUp,
    /// bancaire says that something is away.
    Degraded,
    /// bancaire says that everything is well.
    Healthy,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    pub package: String,
    /// The test binary; the package's own unit tests when left out.
    #[serde(default)]
    pub target: Option<String>,
    /// A part of the tests' names, as cargo takes it.
    pub name: String,
    /// How many tests have that name.
    #[serde(default = "one")]
    pub count: u32,
    /// They are run only when they are asked for.
    #[serde(default)]
    pub ignored: bool,
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

fn one() -> u32 {
    1
}

/// Lower-case letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(pub String);

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=50).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text))
        } else {
            Err(format!(
                "{text:?} is not 1 to 50 lower-case letters, digits and hyphens"
            ))
        }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A part's instance: `bancaire`, `kafka-2`; or `held`, the worker that is held at a fail point.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Component(pub String);

impl TryFrom<String> for Component {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match Part::from_name(&text) {
            _ if text == HELD => Ok(Self(text)),
            Ok(_) => Ok(Self(text)),
            Err(e) => Err(e.to_string()),
        }
    }
}

impl From<Component> for String {
    fn from(component: Component) -> Self {
        component.0
    }
}

impl Component {
    pub fn part(&self) -> Part {
        match self.0.as_str() {
            HELD => Part::Bancaire,
            name => Part::from_name(name).expect("it was checked when it was read"),
        }
    }
}

/// Whoever is held at a fail point.
pub const HELD: &str = "held";

/// A time such as `2s` or `500ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub struct Time(pub Duration);

#[derive(Deserialize)]
#[serde(untagged, expecting = "a time such as 30s, 500ms or 2m")]
enum Written {
    Text(String),
    Seconds(u64),
}

impl TryFrom<Written> for Time {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Text(text) => parse_duration(&text).map(Self),
            Written::Seconds(seconds) => Ok(Self(Duration::from_secs(seconds))),
        }
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        format!("{}ms", time.0.as_millis())
    }
}

/// Events per second, more than none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Rate(pub f64);

impl TryFrom<f64> for Rate {
    type Error = String;

    fn try_from(rate: f64) -> Result<Self, String> {
        if (0.01..=50_000.0).contains(&rate) {
            Ok(Self(rate))
        } else {
            Err(format!(
                "{rate} is not between 0.01 and 50000 events per second"
            ))
        }
    }
}

impl From<Rate> for f64 {
    fn from(rate: Rate) -> Self {
        rate.0
    }
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
        self.steps.iter().any(|step| matches!(step, Step::Hold(_)))
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
