//! What an experiment changes about the lab's parts: other addresses, other variables, another
//! program. A user's lab has none of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Part;

/// How parts are started differently.
#[derive(Debug, Clone, Default)]
pub struct Detour {
    /// Variables that replace what a part would be told, or add to it.
    pub env: BTreeMap<Part, BTreeMap<String, String>>,
    /// Programs that take the place of the lab's own.
    pub programs: BTreeMap<Part, PathBuf>,
    /// A second door of the embedded Kafka.
    pub kafka: Option<SideDoor>,
}

/// Whoever bootstraps here is sent on to the announced port, where somebody stands in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SideDoor {
    pub listens: u16,
    pub announced: u16,
}
