//! What can be done to a lab, one thing at a time.

use serde::{Deserialize, Serialize};

use super::values::{Component, Time};

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
    /// The first half of `hold`: whoever comes to the point is going to be held.
    Arm(Point),
    /// The second half: waits until somebody is.
    Held(Point),
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

fn one() -> u32 {
    1
}
